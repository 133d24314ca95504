"""How numbers look on a page: real minus signs, and a dash for what is not there."""

from __future__ import annotations

import math

from calprune.analyze.compare import Difference
from calprune.analyze.layout import number, p_text
from calprune.analyze.metrics import Form

ALPHA = 0.05
UNITS = {"plain": "", "percent": " %", "points": " points", "score": ""}


def shown(value: float, form: Form, signed: bool = False) -> str:
    """As ``layout.number``, with the signs of typography."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return number(value, form, signed).replace("-", "−")


def bracketed(low: float | None, high: float | None, form: Form, signed: bool = False) -> str:
    """``[0.034, 0.049]``; nothing without an interval."""
    if low is None or high is None:
        return ""
    return f"[{shown(low, form, signed)}, {shown(high, form, signed)}]"


def gap(form: Form) -> Form:
    """The form of a difference of two such values."""
    return "points" if form in ("percent", "points") else form


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
