"""``mme``: calculation.py of MME's eval_tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["Mme"]


class Mme:
    """The first of two answers for "yes" within the first four characters, the second for "no".

    In any case of letters, "yes" before "no"; "snow" and "not sure" are no, "eyes" is yes, and
    "The answer is no" is neither.
    """

    title: ClassVar[str] = "MME: yes or no within the first four characters; else neither"

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """See ``Parser``; there are always two answers."""
        yes, no = options
        start = reply.lower()[:4]
        return yes if "yes" in start else no if "no" in start else None
