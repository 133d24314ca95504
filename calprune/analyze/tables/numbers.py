"""How numbers, intervals and headings are written for people."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context, Decimal

from calprune.analyze.metric import DisplayUnit

CLOSE = 1e-9  # rounding of p-values that were computed alike
CORRECTED = {"holm": "Holm", "bh": "BH"}
LEAST = 1e-250  # below, floating point may have lost a p-value


def number(value: float, unit: DisplayUnit, signed: bool = False) -> str:
    """Three decimals, or one for percent, points and scores; never a negative zero."""
    if math.isnan(value):
        return "-"
    if unit in ("plain", "score"):
        digits = 3 if unit == "plain" else 1
        text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    else:
        text = f"{100 * value:+.1f}" if signed or unit == "points" else f"{100 * value:.1f}"
    return text.lstrip("+-") if float(text) == 0 else text


def with_interval(
    value: float, low: float | None, high: float | None, unit: DisplayUnit, signed: bool = False
) -> str:
    """``0.041 [0.034, 0.049]``; the value alone without an interval."""
    shown = number(value, unit, signed)
    if low is None or high is None:
        return shown
    return f"{shown} [{number(low, unit, signed)}, {number(high, unit, signed)}]"


def estimated(
    value: float,
    debiased: float | None,
    ends: tuple[float | None, float | None],
    of: str,
    unit: DisplayUnit,
    signed: bool = False,
) -> str:
    """``0.861 [0.841, 0.880]`` or, if the interval is of it, ``0.061 (0.052 [0.030, 0.071])``.

    In the second form the first number is the plug-in value that papers print, and the one in
    brackets is less its expected bias; an error less than 0 is shown as 0.
    """
    if debiased is None or not of.endswith("debiased"):
        return with_interval(value, *ends, unit, signed)
    inner = with_interval(debiased if signed else max(debiased, 0.0), *ends, unit, signed)
    return f"{number(value, unit, signed)} ({inner})"


def of_what(title: str, of: str) -> str:
    """The title of a column of such cells."""
    return f"{title} (de-biased)" if of.endswith("debiased") else title


def heading(title: str, unit: DisplayUnit) -> str:
    """Column heading with its unit."""
    return title + {"plain": "", "percent": " %", "points": " pts", "score": ""}[unit]


def gap_unit(unit: DisplayUnit) -> DisplayUnit:
    """The unit of a difference of two such values."""
    return "points" if unit in ("percent", "points") else unit


def corrected_heading(correction: str) -> str:
    """Heading of p-values that are corrected over a family."""
    return f"p ({CORRECTED[correction]})"


def p_text(p: float, least: float = 0.0) -> str:
    """A p-value wherever one is printed, never below the true one.

    Four decimals rounded up, and two digits below 0.0001; with ``<=`` and without closing zeros
    where the number of permutations allows no smaller p than ``least``.
    """
    if math.isnan(p):
        return "-"
    if p <= least * (1 + CLOSE) and 0 < least < 1:
        shown = _up(least)
        return f"<={shown if 'e' in shown else shown.rstrip('0')}"
    return f"<={LEAST:.0e}" if p < LEAST else _up(p)


def p_printed(p: float, least: float = 0.0) -> str:
    """A p-value in print: ``<0.001``, ``0.0011``, ``0.023``; on the right side of 1 ‰, 1 % and 5 %.

    At least three decimals and two digits, rounded up, and as many more as it takes not to reach a
    level that p is below: 0.04996 stays so. With ``<=`` where the permutations allow none smaller.
    """
    if math.isnan(p):
        return "-"
    at = next((level for level in _LEVELS if abs(p / float(level) - 1) <= CLOSE), None)
    exact = Decimal(p * (1 - CLOSE)) if at is None else at
    if exact < _LEVELS[0]:
        return f"<{_LEVELS[0]}"
    decimals = 3 if exact >= _LEVELS[1] else 4
    shown = _rounded(exact, decimals)
    while any(exact < level <= shown for level in _LEVELS):
        decimals += 1
        shown = _rounded(exact, decimals)
    return f"{'<=' * (p <= least * (1 + CLOSE) and 0 < least < 1)}{shown}"


_LEVELS = (Decimal("0.001"), Decimal("0.01"), Decimal("0.05"))


def _rounded(exact: Decimal, decimals: int) -> Decimal:
    return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_CEILING)


def _up(p: float) -> str:
    exact = Decimal(p * (1 - CLOSE))
    digits = Context(prec=2, rounding=ROUND_CEILING).plus(exact)
    if digits < Decimal("0.0001"):
        return f"{float(digits):.1e}"
    return str(exact.quantize(Decimal("0.0001"), ROUND_CEILING))
