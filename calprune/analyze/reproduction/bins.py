"""A reliability figure as the table of its bins."""

from __future__ import annotations

from dataclasses import replace

from calprune.analyze.options import AnalysisOptions
from calprune.analyze.reproduction.rows import Reproduced, Reproduction
from calprune.analyze.reproduction.targets import ReproductionTarget, conditions_of
from calprune.analyze.results.reliability import Bin, reliability_bins
from calprune.analyze.tables.numbers import with_interval
from calprune.analyze.tables.text_table import TextTable
from calprune.data.studies import Publication, TableAxis

HEADER = ("", "bin", "answers", "confidence", "accuracy")


def bins_of(
    study: Publication, target: ReproductionTarget, title: str, options: AnalysisOptions
) -> Reproduced:
    """Every bin that holds answers, of every row; none of these numbers is published."""
    table = target.table
    experiment = target.experiments.get(table.benchmark)
    body: list[tuple[str, ...]] = []
    rows: list[Reproduction] = []
    bins: list[Bin] = []
    for line in table.rows:
        found = conditions_of(experiment, line, table.tokens) if experiment else []
        if experiment is None or not found:
            body.append((line.label, "missing", "", "", ""))
            rows.append(_row(study, target, line, None))
            continue
        for b in reliability_bins([experiment.of(found[:1])], options):
            edges = f"({b.low_edge:.3f}, {b.high_edge:.3f}]"
            accuracy = with_interval(b.accuracy, b.low, b.high, "plain")
            body.append((line.label, edges, f"{b.n:.0f}", f"{b.confidence:.3f}", accuracy))
            rows.append(_row(study, target, line, b))
            bins.append(b)
    shown = TextTable(title, HEADER, tuple(body), table.notes)
    return Reproduced(title, shown, tuple(rows), table.notes, target, tuple(bins))


def _row(
    study: Publication, target: ReproductionTarget, line: TableAxis, b: Bin | None
) -> Reproduction:
    blank = Reproduction(
        study=study.name,
        table=target.table.name,
        row=line.label,
        column="bins",
        metric="reliability",
        condition=line.select,
        model=target.model,
        benchmark=target.table.benchmark,
        unit="plain",
        published=None,
        published_low=None,
        published_high=None,
        published_sd=None,
        source="",
        value=None,
        debiased=None,
        low=None,
        high=None,
        agrees="missing",
        note="not in the cache",
    )
    if b is None:
        return blank
    return replace(
        blank,
        column=f"bin {b.low_edge:.3f} to {b.high_edge:.3f}",
        condition=b.condition.name,
        value=b.accuracy,
        low=b.low,
        high=b.high,
        agrees="not at hand",
        note=f"mean confidence {b.confidence:.6f} of {b.n:g}",
    )
