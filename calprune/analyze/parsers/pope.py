"""``pope``: POPE's script, evaluate.py of AoiDragon/POPE, in LLaVA as llava/eval/eval_pope.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["Pope"]

_NO = frozenset(("No", "no", "not"))


class Pope:
    """The second of two answers for "No", "no" or "not" as a word of the first sentence.

    Everything else, nonsense and "NO" too, is the first. Words are what lies between blanks, less
    commas; a full stop anywhere ends the sentence.
    """

    title: ClassVar[str] = "POPE: no where the first sentence has the word No, no or not; else yes"

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """See ``Parser``; there are always two answers."""
        yes, no = options
        words = reply.split(".")[0].replace(",", "").split(" ")
        return yes if _NO.isdisjoint(words) else no
