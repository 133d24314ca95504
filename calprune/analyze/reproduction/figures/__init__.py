"""A study's own figures: its panels, axes and series, with our numbers and the published ones.

What a figure shows is data of the study (``calprune.data.studies.StudyFigure``); here is how its
panels are drawn. Filled marks are ours, hollow ones published.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calprune.analyze.figures import BARE, Look, Page, Picture, file_stem, styled, write_pages
from calprune.analyze.figures._inline import inline
from calprune.analyze.reproduction.figures.captions import notes_of
from calprune.analyze.reproduction.figures.layout import arranged
from calprune.analyze.reproduction.figures.points import FigurePoints, points_of, records_of
from calprune.analyze.reproduction.rows import Reproduced
from calprune.data.studies import Publication, find_study
from calprune.terminal import remark


def figures_of(study: str | Publication, tables: Sequence[Reproduced]) -> list[FigurePoints]:
    """A study's figures with their numbers; what has none of either kind is told and left out."""
    asked = find_study(study) if isinstance(study, str) else study
    found = []
    for figure in asked.figures:
        for one in points_of(figure, tables):
            if one.empty:
                remark(f"no {figure.title}: nothing of it is in the cache, nor published")
            else:
                found.append(one)
    return found


def write_figures(
    study: str | Publication, tables: Sequence[Reproduced], folder: Path, look: Look = BARE
) -> list[Path]:
    """Write each figure with its caption and its numbers as CSV; returns the paths.

    Args:
        study: its name, or the study.
        tables: as ``reproduce`` gives them of it.
        folder: where; files are named ``MODEL-STUDY-FIGURE``.
        look: width, size of words, and formats.

    Raises:
        WriteError: nothing can be written there.
    """
    asked = find_study(study) if isinstance(study, str) else study
    paths = []
    for one in figures_of(asked, tables):
        model = one.tables[0].target.model
        stem = folder / file_stem(f"{model}-{asked.name}-{one.figure.name}")
        with styled(size=look.font_size):
            page = _page(asked, one, look.room)
            paths += write_pages([page], stem, records_of(one), look)
    return paths


def pictures_of(
    study: str | Publication, tables: Sequence[Reproduced], room: float | None = None
) -> list[Picture]:
    """The same for an HTML page, ``room`` inches wide."""
    asked, found = find_study(study) if isinstance(study, str) else study, []
    for one in figures_of(asked, tables):
        with styled(words=True):
            page = _page(asked, one, room)
            found.append(Picture(inline(page), page.heading, page.notes))
    return found


def _page(study: Publication, one: FigurePoints, room: float | None) -> Page:
    return Page(arranged(one, room), one.figure.title, notes_of(study, one))
