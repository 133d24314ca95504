"""``python -m calprune``, and the command ``calprune``: signals are heard before anything loads."""

from calprune.interrupts import listen


def main() -> None:
    """Run the command line."""
    listen()
    from calprune.cli import main as run

    run()


if __name__ == "__main__":
    main()
