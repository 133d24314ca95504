"""``mmmu``: ``parse_multi_choice_response`` of MMMU-Benchmark/MMMU, eval/eval_utils.py.

Where that finds nothing it guesses an option at random; here such a reply is wrong, so that equal
replies have equal scores. A guess would be right in one of as many cases as there are options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["Mmmu"]

_MARKS = ",.!?;:'"
_FEW = 5  # words; only longer replies are searched for an option's text


class Mmmu:
    """The last of the letters in brackets; or between blanks; or of the options' texts."""

    title: ClassVar[str] = "MMMU: the last (B), or B between blanks, or option's text; no guess"

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """See ``Parser``."""
        for mark in _MARKS:
            reply = reply.strip(mark)
        reply = f" {reply} "
        lower = reply.lower()
        for form in ("({})", " {} "):
            at = {name: reply.rfind(form.format(name)) for name in options}
            if max(at.values()) >= 0:
                return max(at, key=at.__getitem__)
        if len(reply.split()) <= _FEW:
            return None
        at = {name: lower.rfind(text.lower()) for name, text in options.items() if text}
        return max(at, key=at.__getitem__) if max(at.values(), default=-1) >= 0 else None
