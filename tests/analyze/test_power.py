"""Power: against closed forms, its scaling, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from calprune.analyze.results.power import multiple, power
from calprune.analyze.study import Study
from calprune.analyze.tables.powers import power_tables, sentences
from calprune.errors import PlanError
from tests.analyze.calls import analyze, compare, read_predictions
from tests.analyze.conftest import make_condition, make_study_tables, make_table

QUICK = {"draws": 60, "permutations": 1}


def lone(images: int, noise: int = 0):
    """A condition whose images have one question each."""
    condition = make_condition() if noise == 0 else make_condition("scope", 16, alpha=1.0)
    return make_table(condition, images=images, per_image=1, noise=noise, signal=1.0)


def test_independent_rows_have_the_power_of_the_normal_approximation():
    tables = [lone(600), lone(600, 1)]
    (row,) = power(compare(tables, ["accuracy"], draws=4000, permutations=1), detect=0.02)
    ours, theirs = (read_predictions(t).correct.astype(float) for t in reversed(tables))
    sd = (ours - theirs).std() / np.sqrt(600)
    assert row.difference.sd == pytest.approx(sd, rel=0.04)
    found = norm.sf(norm.isf(0.025) - row.detectable / row.difference.sd)
    assert found == pytest.approx(0.8, abs=1e-9)
    assert row.images == pytest.approx(600 * (2.8016 * row.difference.sd / 0.02) ** 2, rel=1e-3)


def test_what_is_found_in_simulated_studies_is_what_power_says():
    rng = np.random.default_rng(0)
    shift = multiple(0.05)
    z = rng.normal(shift, 1, 200_000)
    assert (np.abs(z) > norm.isf(0.025)).mean() == pytest.approx(0.8, abs=0.005)


def test_a_difference_shrinks_with_the_root_of_images():
    few, many = (
        power(compare([lone(n), lone(n, 1)], ["brier"], draws=2000, permutations=1))[0]
        for n in (300, 4800)
    )
    assert few.detectable / many.detectable == pytest.approx(4, rel=0.15)


def test_what_is_needed_is_counted_in_what_is_drawn():
    """240 rows on 40 images, hardly dependent: as many questions are needed either way."""
    tables = [make_table(), make_table(make_condition("scope", 16), noise=3)]
    images, rows = (
        power(compare(tables, ["accuracy"], draws=2000, permutations=1, resample=unit), 0.02)[0]
        for unit in ("images", "rows")
    )
    assert rows.images == pytest.approx(240 * (rows.detectable / 0.02) ** 2, abs=1)
    assert rows.images == pytest.approx(6 * images.images, rel=0.25)


def test_a_debiased_difference_has_its_own_standard_deviation():
    tables = [make_table(), make_table(make_condition("scope", 16), noise=3, scale=1.7)]
    ece, less = compare(tables, ["ece", "ece-debiased"], **QUICK)
    values = {  # resampled as they are, without the interval of gaps
        r.metric.spec: r.sd
        for r in compare(tables, ["ece", "ece-debiased"], **QUICK, interval="percentile")
    }
    assert (ece.sd, less.sd) == pytest.approx((values["ece"], values["ece-debiased"]))
    assert ece.sd != pytest.approx(less.sd, rel=0.02)


def test_noise_is_told_where_it_is_allowed_for():
    tables = [make_table(), make_table(make_condition("scope", 16), noise=3, scale=1.7)]
    for interval, told in (("auto", True), ("percentile", False)):
        (grid,) = power_tables(power(compare(tables, ["ece"], **QUICK, interval=interval)))
        assert any("noise hides a part" in note for note in grid.notes) == told


def test_the_first_step_of_holm_needs_more(study_tables):
    rows = power(compare(study_tables, ["ece", "accuracy"], **QUICK), detect=0.05)
    assert {r.difference.family for r in rows} == {9}
    ratio = multiple(0.05 / 9) / multiple(0.05)
    plain = [r for r in rows if r.metric.spec == "accuracy"]
    assert all(r.detectable_first == pytest.approx(ratio * r.detectable) for r in plain)
    assert all(r.detectable_first > r.detectable >= multiple(0.05) * r.difference.sd for r in rows)
    assert all(r.images_first >= r.images >= 1 for r in rows)


def test_conditions_alike_could_show_anything_and_undefined_ones_nothing(table):
    again = replace(table, condition=make_condition("scope", 16))
    (row,) = power(compare([table, again], ["ece"], **QUICK), detect=0.01)
    assert (row.difference.sd, row.detectable, row.images) == (0.0, 0.0, 1)
    (row,) = power(compare([table, again], ["ece"], draws=0, permutations=1), detect=0.01)
    assert (row.difference.sd, row.detectable, row.images) == (None, None, None)


@pytest.mark.parametrize("fmt", ["table", "md", "csv", "json", "latex"])
def test_it_is_printed_in_every_format(study_tables, fmt):
    text = analyze(study_tables, power=True, detect=0.01, draws=60, fmt=fmt)
    if fmt == "json":
        rows = json.loads(text)["rows"]
        assert len(rows) == 18
        assert rows[0]["detect"] == 0.01
    elif fmt == "csv":
        assert {"sd", "detectable", "images_first"} <= set(text.splitlines()[0].split(","))
    else:
        assert "80" in text
        assert "0.010" in text
        assert "1.0 pts" in text


def test_impossible_requests_are_explained(study_tables):
    with pytest.raises(PlanError, match="above 0: not 0"):
        analyze(study_tables, power=True, detect=0.0, draws=20)


def test_it_is_a_frame_in_python():
    frame = Study(tuple(make_study_tables(images=20))).power("accuracy", detect=0.05, draws=40)
    assert len(frame) == 9
    assert (frame["detectable"] > 0).all()


def test_a_report_gets_at_most_three_sentences(study_tables):
    rows = power(compare(study_tables, ["ece", "accuracy", "brier"], **QUICK))
    said = sentences(rows)
    assert len(said) == 3
    assert "ECE: " in said[0]
    assert "points" in said[1]
    assert sentences([]) == ()
