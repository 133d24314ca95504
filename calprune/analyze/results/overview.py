"""Several benchmarks and models at once: raw values, shares of the upper bound, and trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calprune.analyze.experiments.experiment import Cell, settings
from calprune.analyze.metrics import DisplayUnit
from calprune.analyze.options import AS_STORED, AnalysisOptions, PredictionOptions, Resampling
from calprune.analyze.results.estimate import estimate
from calprune.analyze.statistics.pareto_front import pareto_front
from calprune.analyze.tables.grid import Grid
from calprune.analyze.tables.written import number
from calprune.data.storage.logits import LogitTable

MISSING = "missing"


@dataclass(frozen=True)
class Overview:
    """One condition on one benchmark; ``percent`` is of the upper bound, where that is known."""

    condition: str
    budget: str
    model: str
    benchmark: str
    metric: str
    value: float
    percent: float | None


@dataclass(frozen=True)
class Tradeoff:
    """What a condition costs and gives.

    Attributes:
        last: visual tokens that the last layer saw, mean over questions.
        mean: the same, averaged over layers, which is what it costs.
        front: whether no other condition of its model and benchmark is as good in accuracy and in
            ECE and better in one of them; see ``pareto_front``.
    """

    model: str
    benchmark: str
    condition: str
    last: float
    mean: float
    accuracy: float
    ece: float
    front: bool


def overview(
    tables: Sequence[LogitTable],
    metric: str = "score",
    upper: str = "full",
    options: PredictionOptions = AS_STORED,
) -> tuple[list[Overview], Grid]:
    """Each condition on each benchmark of each model, and the same as a table.

    The table's last column is the mean of the percentages, over so many of all benchmarks.
    ``upper`` names the selector of the upper bound; without it a benchmark has no percentages.
    """
    told = AnalysisOptions(Resampling(0), predictions=options)
    rows: list[Overview] = []
    forms: dict[tuple[str, str], DisplayUnit] = {}
    for setting in settings(tables):
        place = (setting.model, setting.benchmark)
        own = [t for cell in setting.cells for t in cell.tables]
        found = {r.condition: r for r in estimate(own, [metric], told)}
        best = [found[c.name].value for c in setting.cells if c.selector == upper]
        for cell in setting.cells:
            value = found[cell.name].value
            forms[place] = found[cell.name].unit
            percent = 100 * value / best[0] if best and best[0] else None
            rows.append(Overview(_label(cell), cell.budget, *place, metric, value, percent))
    return rows, _grid(rows, forms, f"{metric}, and percent of {upper}")


def _label(cell: Cell) -> str:
    """Of a condition without its seed, alike on every benchmark."""
    return replace(cell.tables[0].condition, seed=None).label


def _grid(rows: Sequence[Overview], forms: dict[tuple[str, str], DisplayUnit], title: str) -> Grid:
    at = {(r.condition, r.model, r.benchmark): r for r in rows}
    body = []
    for condition in dict.fromkeys(r.condition for r in rows):
        texts, shares = [condition], []
        for place, unit in forms.items():
            row = at.get((condition, *place))
            if row is None:
                texts.append(MISSING)
            elif row.percent is None:
                texts.append(number(row.value, unit))
            else:
                shares.append(row.percent)
                texts.append(f"{number(row.value, unit)} ({row.percent:.1f} %)")
        of = f"over {len(shares)} of {len(forms)}"
        texts.append(f"{np.mean(shares):.1f} % {of}" if shares else f"- {of}")
        body.append(tuple(texts))
    header = ("condition", *(f"{b}, {m}" for m, b in forms), "mean")
    return Grid(title, header, tuple(body), ())


def pareto(
    tables: Sequence[LogitTable],
    options: PredictionOptions = AS_STORED,
    each_seed: bool = False,
) -> tuple[list[Tradeoff], list[Grid]]:
    """Tokens, accuracy and ECE of every condition, and who is on the front; a table a setting."""
    told = AnalysisOptions(Resampling(0), predictions=options, each_seed=each_seed)
    rows: list[Tradeoff] = []
    grids = []
    for setting in settings(tables, each_seed):
        own = [t for cell in setting.cells for t in cell.tables]
        found = estimate(own, ["accuracy", "ece"], told)
        across, up = (found[i::2] for i in (0, 1))
        best = pareto_front(
            ([r.value for r in across], across[0].direction),
            ([r.value for r in up], up[0].direction),
        )
        made = [
            Tradeoff(
                setting.model,
                setting.benchmark,
                cell.name,
                cell.kept,
                float(np.mean([t.visual.mean() for t in cell.tables])),
                x.value,
                y.value,
                bool(on),
            )
            for cell, x, y, on in zip(setting.cells, across, up, best, strict=True)
        ]
        rows += made
        grids.append(_tradeoffs(f"{setting.model} on {setting.benchmark}: trade-offs", made))
    return rows, grids


def _tradeoffs(title: str, rows: Sequence[Tradeoff]) -> Grid:
    header = ("condition", "tokens, last layer", "mean of layers", "acc %", "ECE", "front")
    body = tuple(
        (
            r.condition,
            f"{r.last:.0f}",
            f"{r.mean:.0f}",
            number(r.accuracy, "percent"),
            number(r.ece, "plain"),
            "yes" if r.front else "no",
        )
        for r in rows
    )
    note = "front: no other condition is as good in accuracy and ECE and better in one of them"
    return Grid(title, header, body, (note,))
