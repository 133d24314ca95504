"""All models and benchmarks side by side, and what pruning trades on each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calprune.analyze.results.overview import UPPER, Overview, Tradeoff
from calprune.analyze.tables.families import conditions_of
from calprune.analyze.tables.numbers import number
from calprune.analyze.tables.text_table import TextTable

MISSING = "missing"


def overview_table(rows: Sequence[Overview]) -> TextTable:
    """A row per condition, a column per model and benchmark.

    The last column is the mean of the percentages, over so many of all benchmarks.
    """
    units = {(r.condition.model, r.condition.benchmark): r.metric.unit for r in rows}
    title = f"{rows[0].metric.spec}, and percent of {UPPER}"
    at = {(r.condition.name, r.condition.model, r.condition.benchmark): r for r in rows}
    body = []
    for condition in dict.fromkeys(r.condition.name for r in rows):
        texts, shares = [_shown([r for r in rows if r.condition.name == condition])], []
        for place, unit in units.items():
            row = at.get((condition, *place))
            if row is None:
                texts.append(MISSING)
            elif row.percent is None:
                texts.append(number(row.value, unit))
            else:
                shares.append(row.percent)
                texts.append(f"{number(row.value, unit)} ({row.percent:.1f} %)")
        of = f"over {len(shares)} of {len(units)}"
        texts.append(f"{np.mean(shares):.1f} % {of}" if shares else f"- {of}")
        body.append(tuple(texts))
    header = ("condition", *(f"{b}, {m}" for m, b in units), "mean")
    return TextTable(title, header, tuple(body), (), conditions_of(rows))


def _shown(rows: Sequence[Overview]) -> str:
    """A condition with its seeds, of which benchmarks may have different numbers."""
    names = {row.condition.shown: len(row.condition.seeds) for row in rows}
    least, most = min(names, key=lambda n: names[n]), max(names, key=lambda n: names[n])
    if least == most:
        return most
    return f"{rows[0].condition.name} ({max(names[least], 1)} to {names[most]} seeds)"


def trade_off_tables(rows: Sequence[Tradeoff]) -> list[TextTable]:
    """Tokens, accuracy, ECE and the front, a table per model and benchmark."""
    places = dict.fromkeys(r.condition.place for r in rows)
    return [_trade_offs([r for r in rows if r.condition.place == place]) for place in places]


def _trade_offs(rows: Sequence[Tradeoff]) -> TextTable:
    title = f"{rows[0].condition.place}: trade-offs"
    header = ("condition", "tokens, last layer", "mean of layers", "acc %", "ECE", "front")
    body = tuple(
        (
            r.condition.shown,
            f"{r.last:.0f}",
            f"{r.mean:.0f}",
            number(r.accuracy, "percent"),
            number(r.ece, "plain"),
            "yes" if r.front else "no",
        )
        for r in rows
    )
    note = "front: no other condition is as good in accuracy and ECE and better in one of them"
    return TextTable(title, header, body, (note,), conditions_of(rows))
