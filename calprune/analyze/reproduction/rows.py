"""What a reproduction gives, and how one of its cells is judged and written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from calprune.analyze.reproduction.targets import ReproductionTarget
from calprune.analyze.results.reliability import Bin
from calprune.analyze.tables.text_table import TextTable
from calprune.data.studies import TableAxis
from calprune.data.studies._numbers import Number, Printed

Agrees = Literal["yes", "no", "not at hand", "missing", "other model", "other questions"]
SCALE = {
    "plain": 1.0,
    "score": 1.0,
    "percent": 100.0,
    "points": 100.0,
    "percent of upper bound": 100.0,
}
DIGITS = {"plain": 3, "score": 1, "percent": 1, "points": 1, "percent of upper bound": 1}


@dataclass(frozen=True)
class Reproduction:
    """One cell of one table.

    Attributes:
        study, table, row, column: where it stands.
        metric: spec.
        condition: what was measured, as the cache calls it, or the spec that is missing.
        model, benchmark: what was asked, or should have been.
        unit: of all numbers here; percentages and points are 100 times the metric.
        published: as printed; None if the paper has none.
        published_low, published_high, published_sd: printed beside it.
        source: of the published number.
        value, low, high: ours, with the 95 % interval of resampled images.
        debiased: of ECE, ours less its expected bias, which the interval belongs to; else None.
        agrees: ``yes`` if the published number lies within our interval when its bounds are rounded
            to the published digits, for ECE after adding our bias to them, since it is a plug-in
            value; ``other model`` and ``other questions`` claim nothing.
        note: why a value is missing, or what differs from what the study did.
    """

    study: str
    table: str
    row: str
    column: str
    metric: str
    condition: str
    model: str
    benchmark: str
    unit: str
    published: float | None
    published_low: float | None
    published_high: float | None
    published_sd: float | None
    source: str
    value: float | None
    debiased: float | None
    low: float | None
    high: float | None
    agrees: Agrees
    note: str


@dataclass(frozen=True)
class Reproduced:
    """One table of a study.

    Attributes:
        title: the table's, and what was measured where that is not the study's own model.
        shown: to print; every cell says published, ours with its interval, and whether they agree.
        rows: the same, tidy.
        footnotes: what is odd about the published table, and what to know about ours.
        target: on whom and on what it was measured.
        bins: of a table of bins, one for each of its rows that has a value.
    """

    title: str
    shown: TextTable
    rows: tuple[Reproduction, ...]
    footnotes: tuple[str, ...]
    target: ReproductionTarget
    bins: tuple[Bin, ...] = ()


@dataclass(frozen=True)
class Measured:
    """A value in the metric's own scale, its display unit, and the name of its condition.

    Without a value, ``note`` says why.
    """

    condition: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    unit: str = ""
    debiased: float | None = None


def judged(
    published: Number | None,
    low: float | None,
    high: float | None,
    value: float,
    debiased: float | None = None,
) -> Agrees:
    """Whether a published number lies within an interval in its unit, after rounding.

    An interval of the de-biased value is first moved by the bias that both plug-in values have.
    """
    if published is None:
        return "not at hand"
    bias = 0.0 if debiased is None else value - debiased
    ends = (value if low is None else low + bias, value if high is None else high + bias)
    if not all(math.isfinite(x) for x in ends):
        return "no"
    least, most = (round(x, published.decimals) for x in ends)
    return "yes" if least <= published.value <= most else "no"


def written(row: Reproduction, published: Printed, line: TableAxis) -> str:
    """``86.9 | 87.1 [85.2, 88.9] | yes``; of ECE ``.041 | .051 (.049 [.038, .064]) | yes``."""
    printed = published.text
    if row.value is None:
        return f"{printed or 'not at hand'} | missing"
    signed = bool(line.minus) or line.unit == "points"
    ours = _number(row.value, line, signed)
    if row.low is not None and row.high is not None:
        ends = f"[{_number(row.low, line, signed)}, {_number(row.high, line, signed)}]"
        if row.debiased is not None:
            less = row.debiased if signed else max(row.debiased, 0.0)
            ends = f"({_number(less, line, signed)} {ends})"
        ours += f" {ends}"
    return f"{printed} | {ours} | {row.agrees}" if printed else f"not at hand | {ours}"


def _number(value: float, line: TableAxis, signed: bool) -> str:
    """As the study prints: no zero before the point."""
    if not math.isfinite(value):
        return "-"
    text = f"{value:{'+' if signed else ''}.{DIGITS[line.unit]}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text
