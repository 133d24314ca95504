"""Cox's calibration regression on arrays: against published data, a sandwich by hand, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, stdtr, stdtrit

from calprune.analyze.statistics.calibration_slope import (
    QUANTITIES,
    Part,
    calibration_slope,
    log_odds,
)

WHEEZE = {
    # children who wheezed at 7, 8, 9 and 10 years: 0000, 0001, ... 1111
    "mother does not smoke": (237, 10, 15, 4, 16, 2, 7, 3, 24, 3, 3, 2, 6, 2, 5, 11),
    "mother smokes": (118, 6, 8, 2, 11, 1, 6, 4, 7, 3, 3, 1, 4, 2, 4, 7),
}


def wheezing() -> list[Part]:
    """Six-city children (Fitzmaurice and Laird 1993, Biometrika 80:141; ``ohio`` in geepack of R).

    A part each for mothers who smoke and who do not; age from -2 to 1 in place of log-odds.
    """
    parts, child = [], 0
    for counts in WHEEZE.values():
        patterns = np.repeat(np.arange(16), counts)
        wheezed = patterns[:, None] >> np.array([3, 2, 1, 0]) & 1
        children = child + np.arange(len(patterns))
        age = np.tile([-2.0, -1.0, 0.0, 1.0], len(patterns))
        parts.append(Part(age, wheezed.ravel().astype(float), np.repeat(children, 4)))
        child += len(patterns)
    return parts


def made(images: int, per: int, seed: int, mis: float = 1.0, shift: float = 0.0) -> Part:
    """Rows calibrated at mis 1 and shift 0: log-odds over mis, less shift; images are alike."""
    rng = np.random.default_rng(seed)
    x = rng.normal(1.2, 1.5, images * per)
    image = np.repeat(np.arange(images), per)
    y = rng.random(len(x)) < expit(x)
    return Part(x / mis - shift, y.astype(float), image)


def sandwich(parts: list[Part], slope: bool) -> tuple[np.ndarray, np.ndarray]:
    """Newton's steps and the clustered covariance, written out: (a_1, a_2, ..., b_1, b_2, ...)."""
    x, y, code = (np.concatenate(column) for column in zip(*parts, strict=True))
    which = np.repeat(np.arange(len(parts)), [len(p.correct) for p in parts])
    design = (which[:, None] == np.arange(len(parts))).astype(float)
    fixed = np.zeros(len(x)) if slope else x
    if slope:
        design = np.concatenate([design, design * x[:, None]], axis=1)
    beta = np.zeros(design.shape[1])
    for _ in range(60):
        p = expit(design @ beta + fixed)
        bread = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
        beta = beta + bread @ design.T @ (y - p)
    scores = design * (y - p)[:, None]
    meat = sum(np.outer(s, s) for s in (scores[code == g].sum(axis=0) for g in np.unique(code)))
    groups, n, k = len(np.unique(code)), len(x), design.shape[1]
    return beta, bread @ meat @ bread * groups / (groups - 1) * (n - 1) / (n - k)


def test_wheezing_children_are_those_of_geepack():
    """``geeglm(resp ~ age * smoke, id = id, corstr = "exch")`` has these to three decimals.

    Robust errors without a correction for few clusters, which is .16 % here.
    """
    published = {"slope": (0.071, 0.088), "intercept": (0.314, 0.188)}
    reference = {"slope": (-0.141, 0.058), "intercept": (-1.900, 0.119)}
    parts = wheezing()
    for weights, expected in (([-1, 1], published), ([1, 0], reference)):
        found = calibration_slope(parts, weights)
        for name, (value, error) in expected.items():
            assert found[name].value == pytest.approx(value, abs=1e-3)
            assert found[name].error == pytest.approx(error * math.sqrt(1.0033), abs=6e-4)


def test_wheezing_children_are_those_of_estimating_equations():
    """GEE with independence has the same coefficients, and the sandwich without corrections."""
    from statsmodels.genmod.cov_struct import Independence
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE

    parts = wheezing()
    x, y, child = (np.concatenate(column) for column in zip(*parts, strict=True))
    smokes = np.repeat([0.0, 1.0], [len(p.correct) for p in parts])
    design = np.column_stack([np.ones(len(x)), x, smokes, x * smokes])
    fit = GEE(y, design, groups=child, family=Binomial(), cov_struct=Independence()).fit()
    factor = math.sqrt(537 / 536 * 2147 / 2144)
    found = calibration_slope(parts, [-1, 1])
    for name, column in (("intercept", 2), ("slope", 3)):
        assert found[name].value == pytest.approx(fit.params[column], abs=1e-8)
        assert found[name].error == pytest.approx(fit.bse[column] * factor, rel=1e-6)


def test_a_fitted_model_is_calibrated_on_its_own_data():
    """Spector's classes, with the coefficients that the documentation of statsmodels prints."""
    from statsmodels.datasets import spector

    data = spector.load()
    documented = np.array([2.8261, 0.0952, 2.3787, -13.0213])  # GPA, TUCE, PSI, const
    x = np.column_stack([np.asarray(data.exog), np.ones(32)]) @ documented
    part = Part(x, np.asarray(data.endog, dtype=float), np.arange(32))
    found = calibration_slope([part], [1])
    assert found["slope"].value == pytest.approx(1, abs=2e-3)
    assert found["intercept"].value == pytest.approx(0, abs=2e-3)
    assert found["in-the-large"].value == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("images", [2, 9, 60])
@pytest.mark.parametrize("weights", [[1, 0], [0.5, 0.5], [1, -1]])
def test_errors_are_those_of_a_sandwich_by_hand(images, weights):
    one, other = made(images, 8, 0), made(images, 8, 1, mis=0.6)
    soft = other._replace(correct=np.clip(other.correct, 0.2, 0.9))
    parts = [one, soft]
    found = calibration_slope(parts, weights)
    both, at_one = sandwich(parts, slope=True), sandwich(parts, slope=False)
    w, none = np.array(weights, dtype=float), np.zeros(2)
    expected = {
        "slope": (both, np.concatenate([none, w])),
        "intercept": (both, np.concatenate([w, none])),
        "in-the-large": (at_one, w),
    }
    for name, ((beta, covariance), contrast) in expected.items():
        value, error = contrast @ beta, math.sqrt(contrast @ covariance @ contrast)
        reach = float(stdtrit(images - 1, 0.975)) * error
        assert found[name].value == pytest.approx(value, abs=1e-8)
        assert found[name].error == pytest.approx(error, rel=1e-6)
        assert found[name].low == pytest.approx(value - reach, abs=1e-5)
        assert found[name].high == pytest.approx(value + reach, abs=1e-5)
        p = 2 * float(stdtr(images - 1, -abs(value / error)))
        assert found[name].p == pytest.approx(p, rel=1e-5)


def test_calibrated_rows_have_slope_one():
    held = 0
    for seed in range(60):
        found = calibration_slope([made(100, 6, seed)], [1])
        held += sum(c.low <= (n == "slope") <= c.high for n, c in found.items())
    assert held >= 0.9 * 180
    assert calibration_slope([made(3000, 10, 99)], [1])["slope"].value == pytest.approx(1, abs=0.03)


@given(st.floats(0.1, 5.0), st.floats(-2.0, 2.0), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_temperature_and_shift_are_read_off(t, shift, seed):
    """Log-odds divided by T have T times the slope, exactly; a shift moves the intercept."""
    plain = made(30, 5, seed)
    moved = plain._replace(log_odds=plain.log_odds / t + shift)
    a, b = (calibration_slope([part], [1]) for part in (plain, moved))
    assert b["slope"].value == pytest.approx(t * a["slope"].value, rel=1e-7)
    assert b["slope"].error == pytest.approx(t * a["slope"].error, rel=1e-6)
    expected = a["intercept"].value - t * shift * a["slope"].value
    assert b["intercept"].value == pytest.approx(expected, abs=1e-6)
    lifted = calibration_slope([plain._replace(log_odds=plain.log_odds + shift)], [1])
    expected = a["in-the-large"].value - shift
    assert lifted["in-the-large"].value == pytest.approx(expected, abs=1e-6)


def test_order_of_rows_and_repeated_rows_change_nothing_they_should_not():
    part = made(40, 6, 3)
    shuffled = np.random.default_rng(0).permutation(240)
    mixed = Part(*(column[shuffled] for column in part))
    twice = Part(*(np.concatenate([column, column]) for column in part))
    a, b, c = (calibration_slope([x], [1])["slope"] for x in (part, mixed, twice))
    assert b.value == pytest.approx(a.value, abs=1e-9)
    assert b.error == pytest.approx(a.error, rel=1e-9)
    assert c.value == pytest.approx(a.value, abs=1e-9)
    assert c.error == pytest.approx(a.error * math.sqrt(479 / 478 / (239 / 238)), rel=1e-7)


def test_a_condition_compared_with_itself_does_not_differ():
    part = made(20, 6, 4)
    found = calibration_slope([part, part], [1, -1])
    for name in QUANTITIES:
        assert found[name].value == pytest.approx(0, abs=1e-9)
        assert (found[name].p, found[name].t) == (1.0, 0.0)
        assert found[name].low == found[name].high == found[name].value


@pytest.mark.parametrize(
    ("x", "y", "why", "large"),
    [
        ([0.5, 1, 2, 3], [1, 1, 1, 1], "all answers are right", False),
        ([0.5, 1, 2, 3], [0, 0, 0, 0], "all answers are wrong", False),
        ([1, 1, 1, 1], [0, 1, 0, 1], "all confidences are equal", True),
        ([0.5, 1, 2, 3], [0, 0, 1, 1], "confidence separates right from wrong answers", True),
        ([0.5, 1, 2, 3], [1, 1, 0, 0], "confidence separates right from wrong answers", True),
        ([0.5, 1, 1, 3], [0, 0, 1, 1], "confidence separates right from wrong answers", True),
        ([0.5, 1, 2, 3], [0, 0.5, 1, 1], "confidence separates right from wrong answers", True),
        ([-744.0, 36.7, -700, 20], [1, 0, 0, 1], "log-odds lie too far apart for a fit", False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_has_no_estimate_says_why(x, y, why, large):
    part = Part(np.array(x, dtype=float), np.array(y, dtype=float), np.array([0, 1, 2, 3]))
    found = calibration_slope([part], [1])
    if "far apart" not in why:
        assert found["slope"].why == found["intercept"].why == why
        assert math.isnan(found["slope"].value)
        assert found["slope"].low is found["slope"].p is found["slope"].error is None
    assert math.isfinite(found["in-the-large"].value) is large
    assert bool(found["in-the-large"].why) is not large


@pytest.mark.filterwarnings("error")
def test_without_a_spread_between_clusters_there_is_a_value_and_no_interval():
    part = made(1, 40, 5)
    one = calibration_slope([part], [1])["slope"]
    assert one.value == pytest.approx(sandwich([made(40, 1, 5)], slope=True)[0][1], abs=1e-8)
    assert (one.low, one.error, one.why) == (None, None, "one cluster has no spread")
    copies = Part(np.tile(part.log_odds, 3), np.tile(part.correct, 3), np.repeat([0, 1, 2], 40))
    alike = calibration_slope([copies], [1])
    assert {c.why for c in alike.values()} == {"all clusters are alike"}
    assert alike["slope"].value == pytest.approx(one.value, abs=1e-8)


def test_certain_confidences_are_taken_as_the_nearest_numbers():
    x, clipped = log_odds(np.array([0.0, 0.25, 0.5, 0.75, 1.0]))
    assert clipped == 2
    assert x[1:4] == pytest.approx([-math.log(3), 0, math.log(3)])
    assert (round(x[0], 1), round(x[4], 1)) == (-744.4, 36.7)
