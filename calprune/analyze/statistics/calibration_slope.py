"""Cox's calibration regression: intercept and slope of correctness on the log-odds of confidence.

    logit P(correct) = intercept + slope * logit(confidence)

A calibrated model has slope 1 and intercept 0 (Cox 1958, Biometrika 45:562). With the slope held at
1 the intercept is the calibration in the large (Miller, Hui and Tierney 1991, Stat. Med. 10:1213;
Van Calster et al. 2019, BMC Medicine 17:230). Knows arrays only.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from calprune.analyze.arrays import Floats, Indices

Quantity = Literal["slope", "intercept", "in-the-large"]
QUANTITIES: tuple[Quantity, ...] = ("slope", "in-the-large", "intercept")
FEW_CLUSTERS = 40  # below, these errors are too small even with t(G - 1)
_NEAREST = (math.nextafter(0.0, 1.0), math.nextafter(1.0, 0.0))
_ROUNDING = 1e-7  # of errors: sums of squares that cancel


class Part(NamedTuple):
    """The rows of one run.

    Attributes:
        log_odds: (n,), logit of confidence, finite.
        correct: (n,), in [0, 1].
        cluster: (n,), which rows are not independent, the same code in all parts.
    """

    log_odds: Floats
    correct: Floats
    cluster: Indices


@dataclass(frozen=True)
class Coefficient:
    """One number of the regression.

    Attributes:
        value: NaN if there is none.
        error: standard error; None without one.
        low, high: 95 % interval; None without one.
        t, p: of the hypothesis that the value is 0, two-sided; None without an error.
        why: the reason for no value, or for no error; empty if there is none.
    """

    value: float
    error: float | None = None
    low: float | None = None
    high: float | None = None
    t: float | None = None
    p: float | None = None
    why: str = ""


def log_odds(confidence: Floats) -> tuple[Floats, int]:
    """Logit of confidence (n,), and how many are exactly 0 or 1.

    Those are taken as the next number that float64 holds: -744.4 and 36.7.
    """
    inside = np.clip(confidence, *_NEAREST)
    return np.log(inside) - np.log1p(-inside), int((inside != confidence).sum())


def calibration_slope(
    parts: Sequence[Part], weights: Sequence[float]
) -> dict[Quantity, Coefficient]:
    """Sums over parts, with these weights, of slopes, intercepts and intercepts at slope 1.

    One part of weight 1 is a run, S parts of weight 1/S are the mean over seeds, and weights that
    sum to 0 are a difference: the interaction with the condition in a regression of all rows
    stacked. Logistic regression by statsmodels with errors clustered over all parts: covariance
    times G / (G - 1) * (N - 1) / (N - K) for G clusters, N rows and K coefficients, t with G - 1
    degrees of freedom. Correctness between 0 and 1 makes it a fractional logit (Papke and
    Wooldridge 1996), for which these errors hold as well.
    """
    w, none = np.asarray(weights, dtype=np.float64), np.zeros(len(parts))
    one_sided = next((why for p in parts if (why := _one_sided(p))), "")
    undefined = one_sided or next((why for p in parts if (why := _not_overlapping(p))), "")
    both, large = undefined or _fit(parts, slope=True), one_sided or _fit(parts, slope=False)
    return {
        "slope": _sum(both, np.concatenate([none, w])),
        "intercept": _sum(both, np.concatenate([w, none])),
        "in-the-large": _sum(large, w),
    }


def _one_sided(part: Part) -> str:
    """Why even a mean has no finite log-odds; empty if it has."""
    if not (part.correct < 1).any():
        return "all answers are right"
    return "" if (part.correct > 0).any() else "all answers are wrong"


def _not_overlapping(part: Part) -> str:
    """Why no finite slope fits best (Albert and Anderson 1984); empty if one does."""
    x, right, wrong = part.log_odds, part.correct > 0, part.correct < 1
    if x.min() == x.max():
        return "all confidences are equal"
    if x[right].min() >= x[wrong].max() or x[right].max() <= x[wrong].min():
        return "confidence separates right from wrong answers"
    return ""


def _fit(parts: Sequence[Part], slope: bool) -> Any:
    """Statsmodels' results: an intercept of each part, then its slope or log-odds as they are.

    A text where there are none.
    """
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    design = np.repeat(np.eye(len(parts)), [len(p.correct) for p in parts], axis=0)
    x, y, groups = (np.concatenate(column) for column in zip(*parts, strict=True))
    if slope:
        design = np.hstack([design, design * x[:, None]])
    several = len(np.unique(groups)) > 1
    robust = (
        {"cov_type": "cluster", "cov_kwds": {"groups": groups}, "use_t": True} if several else {}
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what they warn of is looked at below
        model = GLM(y, design, family=Binomial(), offset=None if slope else x)
        start = None if slope else [_intercept(p) for p in parts]
        fit = model.fit(start_params=start, tol=1e-10, tol_criterion="params", **robust)
    if not fit.converged or not np.isfinite(fit.cov_params()).all():
        return "log-odds lie too far apart for a fit"
    return fit


def _intercept(part: Part) -> float:
    """At slope 1, by bisection: Newton's steps from elsewhere may run away."""
    from scipy.optimize import brentq
    from scipy.special import expit

    x, y = part.log_odds, part.correct
    return float(brentq(lambda a: float((y - expit(x + a)).sum()), -x.max() - 50, 50 - x.min()))


def _sum(fit: Any, weights: Floats) -> Coefficient:
    """A weighted sum of fitted coefficients; a text is the reason for none."""
    if isinstance(fit, str):
        return Coefficient(math.nan, why=fit)
    covariance, value = fit.cov_params(), float(weights @ fit.params)
    if fit.cov_type != "cluster":
        return Coefficient(value, why="one cluster has no spread")
    error = math.sqrt(max(float(weights @ covariance @ weights), 0.0))
    apart = math.sqrt(float(np.abs(weights) @ np.abs(covariance) @ np.abs(weights)))
    if error > max(_ROUNDING, _ROUNDING * apart):
        from scipy.special import stdtr, stdtrit

        t, freedom = value / error, fit.df_resid_inference
        reach, p = float(stdtrit(freedom, 0.975)) * error, 2 * float(stdtr(freedom, -abs(t)))
        return Coefficient(value, error, value - reach, value + reach, t, p)
    if apart > _ROUNDING and abs(value) < _ROUNDING:  # two conditions that are one
        return Coefficient(value, 0.0, value, value, 0.0, 1.0)
    return Coefficient(value, why="all clusters are alike")
