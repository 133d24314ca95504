"""The caption of a study's figure: what is whose, and what is lacking."""

from __future__ import annotations

from calprune.analyze.reproduction.figures import heatmap, lines, reliability
from calprune.analyze.reproduction.figures.points import FigurePoints, PanelPoints
from calprune.analyze.reproduction.targets import benchmarks
from calprune.data.studies import Publication


def notes_of(study: Publication, found: FigurePoints) -> tuple[str, ...]:
    """Sentences about what is in the picture, and about what is not."""
    points = [p for panel in found.panels for p in panel.points]
    kinds = {panel.panel.kind for panel in found.panels}
    measured = any(p.cell.value is not None for p in points)
    notes = [_panels(found), f"After {study.paper}, {study.title.rstrip('.')}."]
    notes += [_whose(study, found)] if measured else ["None of it is in the cache."]
    if any(p.cell.published is not None for p in points):
        notes.append("Hollow: published.")
    elif measured:
        notes.append("The paper prints no numbers of it.")
    notes += [heatmap.NOTE] * ("heatmap" in kinds) + [reliability.NOTE] * ("reliability" in kinds)
    notes += [lines.ACROSS] * any(panel.references for panel in found.panels)
    notes += [lines.BESIDE] * ("groups" in kinds)
    drawn = [p for p in points if p.low is not None]
    if drawn:
        notes.append("Bars: 95 %, from resamples." if not any(p.bias for p in drawn) else BIASED)
    if any(None not in p.published_span for p in points):
        notes.append("Thin bars with caps: published intervals, or a standard deviation of seeds.")
    if any(p.cell.agrees == "other questions" for p in points):
        notes.append("Asked here were fewer or more questions than published.")
    notes += [f"{_letter(panel)}{why}." for panel in found.panels for why in panel.lacking]
    odd = (note for table in found.tables for note in table.target.table.notes)
    notes += [f"{note[:1].upper()}{note[1:]}." for note in dict.fromkeys(odd)]
    return tuple(note for note in notes if note)


BIASED = (
    "Bars: 95 %, from resamples, of the de-biased value, moved to the plug-in value, which is drawn "
    "because papers print it."
)


def _panels(found: FigurePoints) -> str:
    said = [f"{_letter(panel)}{panel.title}" for panel in found.panels]
    return "; ".join(said) + "." if len(said) > 1 else ""


def _letter(panel: PanelPoints) -> str:
    return f"({panel.letter}) " if panel.letter else ""


def _whose(study: Publication, found: FigurePoints) -> str:
    target = found.tables[0].target
    asked = [
        b for t in found.tables for b in benchmarks(t.target.table) if b in t.target.experiments
    ]
    here = f"{target.model} on {', '.join(dict.fromkeys(asked))}"
    if target.own:
        return f"Filled: {here}."
    own = next(t for t in study.tables if t.name == target.table.name)
    theirs = f"{own.model} on {', '.join(benchmarks(own))}"
    return (
        f"Filled: {here}, in place of the study's {theirs}: no agreement is claimed, and a budget is "
        "the same share of the tokens."
    )
