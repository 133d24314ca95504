"""A study's tables again: what was published beside what is measured, in the study's own shape."""

from calprune.analyze.reproduction.reproduce import reproduce
from calprune.analyze.reproduction.rows import Reproduced, Reproduction

__all__ = ["Reproduced", "Reproduction", "reproduce"]
