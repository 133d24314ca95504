"""One table as people see it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class TextTable:
    """One table of text: first column to the left, all others to the right.

    Attributes:
        title, header, body, notes: as they are shown.
        people: names for people, by those to type that stand in these texts.
        in_print: what papers have instead, by row and column of the body.
        bold: cells of the body that are bold in print.
        print_notes: notes of papers alone.
    """

    title: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    people: Mapping[str, str] = field(default_factory=dict)
    in_print: Mapping[tuple[int, int], str] = field(default_factory=dict)
    bold: frozenset[tuple[int, int]] = frozenset()
    print_notes: tuple[str, ...] = ()

    def for_people(self) -> TextTable:
        """The same with conditions called as people call them, ``SCOPE α=0, K=128``."""

        def named(texts: Iterable[str]) -> tuple[str, ...]:
            return tuple(for_people(text, self.people) for text in texts)

        return replace(
            self,
            title=for_people(self.title, self.people),
            header=named(self.header),
            body=tuple((*named(row[:1]), *row[1:]) for row in self.body),
            notes=named(self.notes),
            print_notes=named(self.print_notes),
            people={},
        )


def for_people(text: str, people: Mapping[str, str]) -> str:
    """A text in which each condition has the name for people, by the one that is typed."""
    typed = sorted((name for name, title in people.items() if name != title), key=len, reverse=True)
    if not typed:
        return text
    whole = rf"(?<![\w:@=])(?:{'|'.join(map(re.escape, typed))})(?![\w.%:])"
    return re.sub(whole, lambda found: people[found[0]], text)
