"""A study's own figures: its panels, axes and series, with our numbers and the published ones.

What a figure shows is data of the study (``calprune.data.studies.StudyFigure``); here is how its
panels are drawn. Filled marks are ours, hollow ones published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calprune.analyze.figures import BARE, Look, Page, Picture, file_stem, styled, write_pages
from calprune.analyze.figures._inline import inline
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.reproduction.figures.captions import notes_of
from calprune.analyze.reproduction.figures.layout import arranged
from calprune.analyze.reproduction.figures.points import (
    FigurePoints,
    PanelPoints,
    point_records,
    points_of,
)
from calprune.analyze.reproduction.figures.tokens import attention_records, token_records
from calprune.analyze.reproduction.rows import Reproduced
from calprune.data.studies import Publication, find_study
from calprune.terminal import remark


def figures_of(study: str | Publication, tables: Sequence[Reproduced]) -> list[FigurePoints]:
    """A study's figures with their numbers; what has none of either kind is told and left out.

    Args:
        study: its name, or the study.
        tables: as ``reproduce`` gives them of it.
    """
    asked = find_study(study) if isinstance(study, str) else study
    found = []
    for figure in asked.figures:
        for one in points_of(asked, figure, tables):
            if one.empty:
                lacks = [why for panel in one.panels for why in panel.lacking if panel.panel.kept]
                why = "; ".join(lacks) or "nothing of it is in the cache, and nothing published"
                remark(f"no {figure.title}: {why}")
            else:
                found.append(one)
    return found


def write_figures(
    figures: Sequence[FigurePoints],
    folder: Path,
    options: AnalysisOptions = DEFAULTS,
    look: Look = BARE,
) -> list[Path]:
    """Write each figure with its caption and its numbers as CSV; returns the paths.

    Args:
        figures: as ``figures_of`` gives them.
        folder: where; files are named ``MODEL-STUDY-FIGURE``.
        options: those that the tables were made with.
        look: width, size of words, and formats.

    Raises:
        WriteError: nothing can be written there.
    """
    paths = []
    for one in figures:
        model = one.tables[0].target.model
        stem = folder / file_stem(f"{model}-{one.study.name}-{one.figure.name}")
        with styled(size=look.font_size):
            page = _page(_licensed(one), options, look.room)
            paths += write_pages([page], stem, records_of(one), look)
    return paths


def pictures_of(
    figures: Sequence[FigurePoints],
    options: AnalysisOptions = DEFAULTS,
    room: float | None = None,
) -> list[Picture]:
    """The same for an HTML page, ``room`` inches wide."""
    found = []
    for one in figures:
        with styled(words=True):
            page = _page(one, options, room)
            found.append(Picture(inline(page), page.heading, page.notes))
    return found


def _licensed(one: FigurePoints) -> FigurePoints:
    """With images of others, which a reader's own folder may hold and a page to pass on may not."""
    return replace(one, panels=tuple(replace(panel, licensed=True) for panel in one.panels))


def records_of(found: FigurePoints) -> list[dict[str, Any]]:
    """The numbers of a figure, with the same columns in every row."""
    rows = [row for panel in found.panels if not panel.empty for row in _records(panel)]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _records(panel: PanelPoints) -> list[dict[str, Any]]:
    made = {"tokens": token_records, "attention": attention_records}
    return made.get(panel.panel.kind, point_records)(panel)


def _page(one: FigurePoints, options: AnalysisOptions, room: float | None) -> Page:
    return Page(arranged(one, room), one.figure.title, notes_of(one, options.resampling.unit))
