"""``scienceqa``: LLaVA's llava/eval/eval_science_qa.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

__all__ = ["ScienceQa"]

_LETTERS = frozenset("ABCDE")
_PHRASE = re.compile("The answer is ([A-Z]).")  # the last dot is any character, as there


class ScienceQa:
    """The letter by itself; or that before ``. `` at the start; or of one "The answer is B.".

    "B." and "(B)" are none of these, and "The answer is B" without anything after it is not. A
    letter beyond the question's options is an answer, and a wrong one.
    """

    title: ClassVar[str] = 'LLaVA on ScienceQA: "B", "B. text", or one "The answer is B."'

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """See ``Parser``."""
        letters = _LETTERS | options.keys()
        if reply in letters:
            return reply
        if reply[:1] in letters and reply[1:3] == ". ":
            return reply[0]
        found: list[str] = _PHRASE.findall(reply)
        return found[0] if len(found) == 1 else None
