"""What a figure is: something that picks numbers of a subject, and draws them on pages.

One file here is one kind of figure; its name is the file's, with dashes. Other packages add theirs
by entry points of the group ``calprune.figures``. A kind computes nothing: its numbers come from a
``Subject``, and are written as CSV beside the pictures. What it is made of, such as ``new_figure``
and ``colours_of``, can be imported from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from calprune import registry
from calprune.analyze.figures._inline import inline
from calprune.analyze.figures._style import (
    PICTURES,
    SUFFIXES,
    escaped,
    file_stem,
    footnote,
    new_figure,
    styled,
    write,
    write_pages,
)
from calprune.analyze.figures._subject import Subject, View
from calprune.analyze.metric import Metric, resolve
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "PICTURES",
    "SUFFIXES",
    "Kind",
    "Made",
    "Subject",
    "View",
    "drawn",
    "escaped",
    "file_stem",
    "footnote",
    "lacks",
    "names",
    "new_figure",
    "of_kind",
    "reads",
    "styled",
    "svg_of",
    "write",
]


@dataclass(frozen=True)
class Made:
    """Pages, at least one, and the numbers on them as plain rows."""

    pages: tuple[Figure, ...]
    rows: list[dict[str, Any]]


class Kind(Protocol):
    """One kind of figure; fields of a dataclass are parameters, as ``heatmap:parameter=alpha``.

    Attributes:
        title: what it shows, in a few words.
        per_metric: whether it shows ``View.metric``, so that each metric has a file of its own.

    A kind may also have ``reads: ClassVar[frozenset[str]]``, the fields of ``View`` and choices of
    ``Subject`` that it shows; one that does not say is taken to read them all.
    """

    title: ClassVar[str]
    per_metric: ClassVar[bool]

    def lacks(self, subject: Subject, view: View) -> str:
        """Why this cannot be drawn of these conditions; empty if it can."""
        ...

    def make(self, subject: Subject, view: View) -> Made:
        """Draw; called within ``styled``, and only if nothing is lacking."""
        ...


def names() -> list[str]:
    """All kinds, sorted."""
    return registry.names("figures")


def reads(kind: Kind, name: str) -> bool:
    """Whether a kind reads a field of ``View`` or a choice of ``Subject``."""
    found: frozenset[str] | None = getattr(kind, "reads", None)
    return found is None or name in found


def of_kind(text: str) -> Kind:
    """A kind by name and parameters, e.g. ``reliability:isotonic=true``.

    Raises:
        PlanError: an unknown kind or parameter, naming the known ones.
    """
    kind: Kind = registry.make("figures", text)
    return kind


def lacks(kind: str, subject: Subject, view: View) -> str:
    """Why a kind cannot be drawn of these conditions; empty if it can."""
    return of_kind(kind).lacks(subject, view)


def drawn(kind: str, subject: Subject, stem: Path, view: View) -> list[Path]:
    """Write a figure as PNG, SVG and PDF, and its numbers as CSV; returns the paths.

    Args:
        kind: as ``of_kind`` takes it.
        subject: the conditions.
        stem: where to write; suffixes are appended, and a number for pages after the first.
        view: what to show of them.

    Raises:
        PlanError: an unknown kind, or one that these conditions do not allow.
        WriteError: nothing can be written there.
    """
    with styled():
        made = _made(kind, subject, view)
        return write_pages(made.pages, stem, made.rows)


def svg_of(
    kind: str,
    tables: Sequence[LogitTable] | Subject,
    *,
    metric: str | Metric = "ece",
    budget: int | str | None = None,
    by: str | None = None,
    against: str = "full",
    options: AnalysisOptions = DEFAULTS,
    of: str = "",
) -> str:
    """A figure as text for an HTML page: an ``<svg>`` element for each of its pages.

    Equal numbers give equal text. Ids are different in any two different figures, so that a page
    may hold many; letters are text, not outlines; it has a title for those who cannot see it and
    scales with what is around it.

    Args:
        kind: as ``of_kind`` takes it.
        tables: sealed logits of one model and benchmark; or a ``Subject``, which remembers numbers
            that several figures share.
        metric: as ``View``.
        budget: as ``View``.
        by: as ``View``.
        against: as ``View``.
        options: as ``Subject``, for tables.
        of: likewise.
    """
    subject = tables if isinstance(tables, Subject) else Subject(tuple(tables), options, of)
    with styled(words=True):
        made = _made(kind, subject, View(metric, budget, by, against))
        return "\n".join(inline(page) for page in made.pages)


def _made(kind: str, subject: Subject, view: View) -> Made:
    found = of_kind(kind)
    resolve([view.metric])
    missing = found.lacks(subject, view)
    if missing:
        raise PlanError(f"no figure {kind} of {subject.title}: {missing}")
    return found.make(subject, view)
