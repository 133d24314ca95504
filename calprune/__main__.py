"""``python -m calprune``."""

from calprune.cli import main

main()
