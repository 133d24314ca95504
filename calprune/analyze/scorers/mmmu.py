"""``mmmu``: letters by the first token or the reply, open replies by MMMU's own parser.

``parse_open_response`` and ``eval_open`` of MMMU-Benchmark/MMMU, eval/eval_utils.py. Kept as they
are: a reply is lower-cased before it is cut where a capital letter follows a full stop, so only
line breaks cut it; what is compared may be the text "nan" or "inf", which counts as a number.

The original collects what it finds in a set, whose order changes from run to run. The score does
not: it asks whether any of them is correct. Here they are kept in the order found.

The original parses letters out of generated text and guesses, at random, where it finds none. So
does the parser ``mmmu`` where replies to choices are stored, but for the guess; elsewhere a choice
is the greedy first token, and one that is no letter is wrong.
"""

from __future__ import annotations

import re

from calprune.analyze.arrays import Floats
from calprune.analyze.scorer import MeanOfRows
from calprune.analyze.scorers._rows import score_rows
from calprune.data.storage.logits import LogitTable

__all__ = ["Mmmu"]

_KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_TRIVIAL = frozenset(":,.!?;'")
# These find what the original's do, in time that grows with a reply's length and not with its
# square: (?<!\d) and \d++ take a run of digits as a whole or not at all.
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),  # 12,345
    re.compile(r"-?(?<!\d)\d++(?:\.\d++)?[eE][+-]?\d+"),  # 1.2e-3
    re.compile(  # 12, 1.5, .5
        r"-?(?:(?<!\d)\d++\.\d++|\.\d++|(?<!\d)\d++\b)(?![eE][+-]?\d)(?![,\d])"
    ),
)


class Mmmu(MeanOfRows):
    """Share of correct answers over choices and open questions together."""

    name = "mmmu"
    title = "MMMU accuracy"
    by_parsed_answer = True

    def rows(self, table: LogitTable) -> Floats:
        """1 for a correct answer, (n,)."""
        return score_rows(table, lambda _, reply, references: float(is_correct(reply, references)))


def is_correct(reply: str, references: tuple[str, ...]) -> bool:
    """Whether anything found in the reply is a reference as a number, or contains one as text."""
    wanted = [form for reference in references for form in _forms(reference)]
    found = parsed(reply)
    words = [w for w in wanted if isinstance(w, str)]
    return any(
        any(word in form for word in words) if isinstance(form, str) else form in wanted
        for form in found
    )


def parsed(reply: str) -> list[str | float]:
    """Texts, in lower case, and numbers, to two digits, that may be what the reply answers."""
    parts = _key_parts(reply)
    numbers = [n for part in parts for pattern in _NUMBERS for n in pattern.findall(part)]
    return list(dict.fromkeys(form for text in (*parts, *numbers) for form in _forms(text)))


def _key_parts(reply: str) -> list[str]:
    """Of each line the shortest rest after a key phrase; the whole reply if there is none."""
    reply = reply.strip().strip(".").lower()
    lines = reply.split("\n")
    parts = []
    for line in lines[:-1]:
        parts.append(_shortest(line, _KEYS))
    parts.append(_shortest(lines[-1], (*_KEYS, "=")))  # the last one may be an equation
    return [part for part in parts if part and part not in _TRIVIAL] or [reply]


def _shortest(line: str, keys: tuple[str, ...]) -> str:
    """The shortest rest of a line after a key phrase; an empty one gives way to the next."""
    shortest = ""
    for key in keys:
        if key in line:
            rest = line.split(key)[-1].strip()
            if not shortest or len(rest) < len(shortest):
                shortest = rest
    return shortest


def _forms(text: str) -> list[str | float]:
    """A number to two digits, or a text in lower case; one letter never stands by itself."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]
