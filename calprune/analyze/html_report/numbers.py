"""How numbers look on a page: real minus signs, and a dash for what is not there."""

from __future__ import annotations

import math

from calprune.analyze.metric import DisplayUnit
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.notes import without_interval
from calprune.analyze.tables.numbers import number, p_text

ALPHA = 0.05
UNITS = {"plain": "", "percent": " %", "points": " points", "score": ""}


def shown(value: float, unit: DisplayUnit, signed: bool = False) -> str:
    """As ``layout.number``, with the signs of typography."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return number(value, unit, signed).replace("-", "−")


def bracketed(
    low: float | None, high: float | None, unit: DisplayUnit, signed: bool = False
) -> str:
    """``[0.034, 0.049]``; nothing without an interval."""
    if low is None or high is None:
        return ""
    return f"[{shown(low, unit, signed)}, {shown(high, unit, signed)}]"


def below(row: Estimate) -> str:
    """What stands under a value: its interval, or the de-biased value with the interval of that."""
    ends = "" if row.outside else bracketed(row.low, row.high, row.metric.unit)
    if row.interval_of == "debiased" and row.debiased is not None:
        return f"{shown(max(row.debiased, 0.0), row.metric.unit)} {ends}"
    return ends or without_interval(row.value, row.low, row.defined, row.outside).strip()


def below_delta(row: Difference) -> str:
    """The same of a difference."""
    unit = gap(row.metric.unit)
    ends = "" if row.outside else bracketed(row.low, row.high, unit, signed=True)
    if row.interval_of == "delta_debiased" and row.delta_debiased is not None:
        return f"{shown(row.delta_debiased, unit, signed=True)} {ends}"
    return ends or without_interval(row.delta, row.low, row.defined, row.outside).strip()


def centre(row: Difference) -> float:
    """The difference that the interval belongs to."""
    if row.interval_of == "delta_debiased" and row.delta_debiased is not None:
        return row.delta_debiased
    return row.delta


def gap(unit: DisplayUnit) -> DisplayUnit:
    """The unit of a difference of two such values."""
    return "points" if unit in ("percent", "points") else unit


def p_value(p: float, row: Difference) -> str:
    """As ``layout.p_text``, with the sign of typography."""
    return p_text(p, row.p_least).replace("<=", "≤ ")


def corrected(row: Difference) -> str:
    """Heading of corrected p-values."""
    return {"holm": "p (Holm)", "bh": "p (BH)"}.get(row.correction, f"p ({row.correction})")


def different(row: Difference) -> bool:
    """Whether the corrected p tells the condition from the reference."""
    return row.p_adjusted <= ALPHA


def counted(n: int, one: str) -> str:
    """``1 image``, ``250 images``."""
    return f"{n} {one}{'' if n == 1 else 's'}"
