"""Right answers in all the spellings that files use, and the usual words around a question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import ascii_uppercase

from calprune.data.benchmark import Answer
from calprune.data.condition import sha256_of
from calprune.data.sources.records import Record

SHORT_ANSWER = "\nAnswer the question using a single word or phrase."
OPTION_LETTER = "\nAnswer with the option's letter from the given choices directly."

_YES = {"yes", "y", "true", "1", "1.0"}  # tables write whole numbers so if a cell is empty
_NO = {"no", "n", "false", "0", "0.0"}


def yes_no(row: Record, field: str) -> int:
    """0 for yes and 1 for no, as in ``YES_NO``; understands "Yes", "yes.", 1 and true."""
    value = row.get(field)
    if isinstance(value, float) and value in (0.0, 1.0):
        value = int(value)
    plain = str(value).strip().strip(".").strip().lower()
    if plain not in _YES | _NO:
        raise row.wrong(field, f"{value!r} is neither yes nor no")
    return 0 if plain in _YES else 1


def letter(row: Record, field: str, options: Sequence[str]) -> int:
    """Index of the right option, written as "B", "b.", "(B)", or as the option's own words."""
    given = row.text(field)
    plain = given.strip(" ().:").upper()
    at = ascii_uppercase.find(plain) if len(plain) == 1 else -1
    if 0 <= at < len(options):
        return at
    same = [i for i, option in enumerate(options) if option.strip().lower() == given.lower()]
    if len(same) == 1:
        return same[0]
    raise row.wrong(field, f"{given!r} is not among the {len(options)} options of this row")


def index(row: Record, field: str, options: Sequence[str]) -> int:
    """Index of the right option, counted from 0."""
    at = row.integer(field)
    if not 0 <= at < len(options):
        raise row.wrong(field, f"{at} is not the index of one of its {len(options)} options")
    return at


def letters(n: int) -> tuple[Answer, ...]:
    """The answers A, B, C, … of multiple choice.

    Lower-case letters are left out: "a" is also the article.
    """
    return tuple(Answer(x, (x,)) for x in ascii_uppercase[:n])


def option_lines(options: Sequence[str], style: str = "{letter}. {option}") -> str:
    """``A. text`` lines, each after a line break."""
    pairs = zip(ascii_uppercase, options, strict=False)
    return "".join("\n" + style.format(letter=x, option=option) for x, option in pairs)


def enough(row: Record, field: str, options: Sequence[str], most: int = 26) -> Sequence[str]:
    """The same options; BenchmarkError unless they are 2 to ``most``."""
    if not 2 <= len(options) <= most:
        raise row.wrong(field, f"2 to {most} options expected, found {len(options)}")
    return options


def content_id(given: Counter[str], *content: str) -> str:
    """An id for a row that has none: 16 hex digits of the SHA-256 of its content.

    ``given`` counts the ids given so far; a second row of equal content gets ``-2`` at its end.
    """
    return distinct(given, sha256_of(list(content))[:16])


def distinct(given: Counter[str], name: str) -> str:
    """The id, if it is the first row's that has it; the second's gets ``-2`` at its end, and so on.

    ``given`` counts the rows of each id so far.
    """
    given[name] += 1
    return name if given[name] == 1 else f"{name}-{given[name]}"
