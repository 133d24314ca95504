"""What a figure is: something that picks numbers of some conditions, and draws them on pages.

One file here is one kind of figure; its name is the file's, with dashes. Other packages add theirs
by entry points of the group ``calprune.figures``. A kind computes nothing: it asks its data for the
numbers of any function of ``calprune.analyze.results``, which are written as CSV beside the
pictures. What it is made of, such as ``new_figure``, can be imported from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from calprune import registry
from calprune.analyze.figures._data import FigureData, FigureSpec
from calprune.analyze.figures._inline import inline
from calprune.analyze.figures._look import BARE, FORMATS, Look, look
from calprune.analyze.figures._pages import SUFFIXES, Page, file_stem, write_pages
from calprune.analyze.figures._style import escaped, new_figure, pt, styled
from calprune.analyze.metric import resolve
from calprune.errors import PlanError
from calprune.failures import working_on

__all__ = [
    "BARE",
    "FORMATS",
    "SUFFIXES",
    "Drawn",
    "FigureData",
    "FigureSpec",
    "Kind",
    "Look",
    "Page",
    "Picture",
    "drawn",
    "escaped",
    "file_stem",
    "look",
    "names",
    "new_figure",
    "of_kind",
    "pictures",
    "pt",
    "reads",
    "styled",
    "unavailable_because",
    "write_pages",
]


@dataclass(frozen=True)
class Drawn:
    """Pages, at least one, and the numbers on them as plain rows."""

    pages: tuple[Page, ...]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Picture:
    """A page as an ``<svg>`` element, and the words that belong to it; see ``Page``."""

    svg: str
    title: str
    notes: tuple[str, ...]


class Kind(Protocol):
    """One kind of figure; fields of a dataclass are parameters, as ``heatmap:parameter=alpha``.

    Attributes:
        title: what it shows, in a few words.
        per_metric: whether it shows the spec's metric, so that each metric has a file of its own.

    A kind may also have ``reads: ClassVar[frozenset[str]]``, the fields of ``FigureSpec`` and the
    options that it shows; one that does not say is taken to read them all.
    """

    title: ClassVar[str]
    per_metric: ClassVar[bool]

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """Why this cannot be drawn of these conditions; empty if it can."""
        ...

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """Draw; called within ``styled``, and only if nothing is lacking."""
        ...


def names() -> list[str]:
    """All kinds, sorted."""
    return registry.names("figures")


def reads(kind: Kind, name: str) -> bool:
    """Whether a kind reads a field of ``FigureSpec`` or an option."""
    found: frozenset[str] | None = getattr(kind, "reads", None)
    return found is None or name in found


def of_kind(text: str) -> Kind:
    """A kind by name and parameters, e.g. ``reliability:isotonic=true``.

    Raises:
        PlanError: an unknown kind or parameter, naming the known ones.
    """
    kind: Kind = registry.make("figures", text)
    return kind


def unavailable_because(kind: str, data: FigureData, spec: FigureSpec) -> str:
    """Why a kind cannot be drawn of these conditions; empty if it can."""
    return of_kind(kind).unavailable_because(data, spec)


def drawn(
    kind: str, data: FigureData, stem: Path, spec: FigureSpec, how: Look = BARE
) -> list[Path]:
    """Write a figure, its caption, and its numbers as CSV; returns the paths.

    Args:
        kind: as ``of_kind`` takes it.
        data: the conditions.
        stem: where to write; suffixes are appended, and a number for pages after the first.
        spec: what to show of them.
        how: width, size of words, and formats.

    Raises:
        PlanError: an unknown kind, or one that these conditions do not allow.
        WriteError: nothing can be written there.
    """
    with styled(size=how.font_size):
        made = _made(kind, data, replace(spec, room=how.room))
        return write_pages(made.pages, stem, made.rows, how)


def pictures(kind: str, data: FigureData, spec: FigureSpec) -> list[Picture]:
    """A figure as text for an HTML page: an ``<svg>`` element for each of its pages.

    Equal numbers give equal text. Ids are different in any two different figures, so that a page
    may hold many; letters are text, not outlines; it has a title for those who cannot see it and
    scales with what is around it.

    Args:
        kind: as ``of_kind`` takes it.
        data: the conditions; remembers numbers that several figures share.
        spec: what to show of them.
    """
    with styled(words=True):
        made = _made(kind, data, spec)
        return [Picture(inline(page), page.heading, page.notes) for page in made.pages]


def _made(kind: str, data: FigureData, spec: FigureSpec) -> Drawn:
    found = of_kind(kind)
    resolve([spec.metric])
    with working_on(data.title):
        missing = found.unavailable_because(data, spec)
        if missing:
            raise PlanError(f"no figure {kind} of {data.title}: {missing}")
        made = found.make(data, spec)
    if not isinstance(made, Drawn) or not all(isinstance(page, Page) for page in made.pages):
        given = made.pages if isinstance(made, Drawn) else (made,)
        kinds = sorted({type(page).__name__ for page in given})
        raise PlanError(
            f"figure {kind!r} of {data.title} made {', '.join(kinds)}, not a Drawn of Pages"
        )
    said = list(data.cautions(reads(found, "interval")))
    if spec.by is not None and not reads(found, "by"):
        said.append("All questions together, not by group.")
    cautious = (replace(page, notes=(*page.notes, *said)) for page in made.pages)
    return replace(made, pages=tuple(cautious))
