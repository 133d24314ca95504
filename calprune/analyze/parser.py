"""How a benchmark's own script finds the answer in a wordy reply to a question with answers.

A sealed file that holds replies to questions with answers to choose from names the rule of its
benchmark (``benchmark/parser``), a plug-in of ``calprune.analyze.parsers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from calprune.data.sources.labels import OPTION_LETTER

_STYLES = ("\n{}. ", "\n({}) ")


class Parser(Protocol):
    """What a parser plug-in offers; it is made without arguments.

    ``title`` is one line for people.
    """

    title: ClassVar[str]

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """Name of the answer that a reply gives, None if it gives none and is wrong.

        Args:
            reply: in words, without surrounding blanks, as the runs behind published results strip
                it.
            options: the answers that the question allows, in their order, by name, and the text of
                each in the question, empty where it has none.
        """
        ...


def option_texts(question: str, names: Sequence[str]) -> dict[str, str]:
    """The text of each option by name, from its line ``A. text`` or ``(A) text`` in a question.

    All empty where a question has no such lines at its end, one after another.
    """
    whole = question.removesuffix(OPTION_LETTER).rstrip("\n")
    for style in _STYLES:
        found, end = dict.fromkeys(names, ""), len(whole)
        for name in reversed(names):
            mark = style.format(name)
            at = whole.rfind(mark, 0, end)
            if at < 0:
                break
            found[name], end = whole[at + len(mark) : end], at
        else:
            return found
    return dict.fromkeys(names, "")
