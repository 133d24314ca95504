"""``mmbench``: the rules that come before ChatGPT in open-compass/VLMEvalKit.

``can_infer`` of vlmeval/utils/matching_util.py. What these rules do not decide is asked of ChatGPT
there; here it is wrong. Left out is what only its own failures write into replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["MmBench"]

_MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_NONE = "Z"  # the letter that stands for no answer
_LAST = 5  # words, counted from the end, of which the letter has to be one


class MmBench:
    """The one option whose letter is a word among the last five; or the one whose text is there.

    Marks count as blanks. The text is looked for in any case of letters, and only in replies at
    most twice as long as all options together.
    """

    title: ClassVar[str] = "VLMEvalKit on MMBench: the one letter, or the one option's text; no GPT"

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """See ``Parser``."""
        if any(refusal in reply for refusal in _REFUSALS):
            return None
        words = reply.translate(_MARKS).split()
        letters = [name for name in options if name in words]
        if not letters and _NONE in words:
            return None
        if len(letters) == 1 and words.index(letters[0]) > len(words) - _LAST:
            return letters[0]
        return _by_text(reply.lower(), options)


def _by_text(reply: str, options: Mapping[str, str]) -> str | None:
    if len(reply) > 2 * sum(map(len, options.values())):
        return None
    found = [name for name, text in options.items() if text and text.lower() in reply]
    return found[0] if len(found) == 1 else None
