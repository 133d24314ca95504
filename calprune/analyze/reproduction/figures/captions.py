"""The caption of a study's figure: what is whose, and what is lacking."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.figures._broken import NOTE as BROKEN
from calprune.analyze.reproduction.figures import heatmap, lines, reliability, tokens
from calprune.analyze.reproduction.figures.kept import square_picture
from calprune.analyze.reproduction.figures.points import FigurePoints, PanelPoints
from calprune.analyze.reproduction.targets import benchmarks
from calprune.terminal import counted


def notes_of(found: FigurePoints, unit: str) -> tuple[str, ...]:
    """Sentences about what is in the picture, and about what is not.

    Args:
        found: the figure with its numbers.
        unit: what is resampled.
    """
    points = [p for panel in found.panels for p in panel.points]
    kinds = {panel.panel.kind for panel in found.panels}
    kept = [panel for panel in found.panels if panel.kept]
    measured = bool(kept) or any(p.cell.value is not None for p in points)
    notes = [_panels(found), f"After {found.study.paper} ({found.study.title})."]
    notes += _whose(found) if measured else ["None of it is in the cache."]
    if any(p.cell.published is not None for p in points):
        notes.append("Hollow: published.")
    elif measured and not kept:
        notes.append("The paper prints no numbers of it.")
    notes += [heatmap.NOTE] * ("heatmap" in kinds)
    notes += [lines.ACROSS] * any(panel.references for panel in found.panels)
    notes += [BROKEN] * any(lines.break_of(panel) is not None for panel in found.panels)
    notes += [lines.BESIDE] * ("groups" in kinds)
    notes += _of_kept(kept)
    notes += _bars(found, unit)
    if any(panel.bins for panel in found.panels):
        notes += reliability.notes(found.panels)
    notes += _other_scores(found) if measured else []
    if any(p.cell.agrees == "other questions" for p in points):
        notes.append("Asked here were fewer or more questions than published.")
    notes += [f"{_letter(panel)}{why}." for panel in found.panels for why in panel.lacking]
    drawn = {panel.panel.table for panel in found.panels if not panel.panel.kept}
    tables = [t.target.table for t in found.tables if t.target.table.name in drawn]
    odd = (note for table in tables for note in table.notes)
    notes += [f"{note[:1].upper()}{note[1:]}." for note in dict.fromkeys(odd)]
    return tuple(note for note in notes if note)


def _other_scores(found: FigurePoints) -> list[str]:
    """That a benchmark's own score stands beside that of another one."""
    notes = []
    for table in found.tables:
        own = next(t for t in found.study.tables if t.name == table.target.table.name)
        if own.benchmark != table.target.table.benchmark and any(
            r.metric == "score" and r.published is not None for r in table.rows
        ):
            notes.append(
                f"Published scores are of {own.benchmark}, and may be on another scale than ours."
            )
    return notes


def _of_kept(panels: Sequence[PanelPoints]) -> list[str]:
    """What pictures of kept tokens show, and whether images are in them."""
    notes = []
    for panel in panels:
        images = len(panel.kept[0].image)
        if panel.panel.kind == "attention":
            notes.append(f"{tokens.ATTENTION} The first {counted(images, 'image')}.")
            continue
        notes.append(tokens.TOKENS.format(", ".join(panel.kept[0].image)))
        if square_picture(panel.kept[0], 0, panel.licensed) is None:
            notes.append("Images are left out: they are not at hand, or licensed by others.")
    return notes


def _bars(found: FigurePoints, unit: str) -> list[str]:
    """What intervals are, as far as they are drawn; a heat map has none."""
    panels = [panel for panel in found.panels if panel.panel.kind != "heatmap"]
    shown = [p for panel in panels for p in (*panel.marks, *panel.references)]
    drawn = [p for p in shown if p.low is not None]
    notes = [f"Bars: 95 %, {unit} resampled."] * bool(drawn)
    if any(p.bias for p in drawn):
        notes.append(
            "ECE is the plug-in value, as papers print it; its bars are those of the de-biased "
            "value, moved by the difference."
        )
    notes += ["Values of the right axis have no bars."] * any(panel.beside for panel in panels)
    spans = [p.published_span for p in shown]
    if any(None not in span for span in spans):
        notes.append("Thin bars with caps: published intervals, or a standard deviation of seeds.")
    return notes


def _panels(found: FigurePoints) -> str:
    if len(found.panels) == 1:
        return ""
    return "; ".join(f"{_letter(panel)}{panel.title}" for panel in found.panels) + "."


def _letter(panel: PanelPoints) -> str:
    return f"({panel.letter}) " if panel.letter else ""


def _whose(found: FigurePoints) -> list[str]:
    target = found.tables[0].target
    asked = [one.benchmark for panel in found.panels for one in panel.kept] or [
        b for t in found.tables for b in benchmarks(t.target.table) if b in t.target.experiments
    ]
    kept = any(panel.kept for panel in found.panels)
    marks, claim = ("Shown", "") if kept else ("Filled", ": no agreement is claimed")
    here = f"{target.model} on {', '.join(dict.fromkeys(asked))}"
    if target.own:
        return [f"{marks}: {here}."]
    own = next(t for t in found.study.tables if t.name == target.table.name)
    theirs = f"{own.model} on {', '.join(benchmarks(own))}"
    return [f"{marks}: {here}, in place of the study's {theirs}{claim}."]
