"""The calibration slope of sealed files: rows, tables, Python, and what is refused."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from scipy.special import expit

from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.html_report.sections.slopes import slopes as section
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results.calibration_slope import calibration_slopes
from calprune.analyze.results.calibration_slope_difference import calibration_slope_differences
from calprune.analyze.statistics.calibration_slope import (
    QUANTITIES,
    Part,
    calibration_slope,
    log_odds,
)
from calprune.analyze.study import Study
from calprune.commands.results import Asked, printed
from calprune.data.condition_names import name_of
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.calls import collect_data, read_predictions
from tests.analyze.calls import opened as opened_with
from tests.analyze.conftest import make_condition, make_study_tables, make_table, opened
from tests.analyze.test_calibration_slope import sandwich

FORMATS = ("table", "md", "latex", "csv", "json")


def slopes_of(tables, **given):
    return calibration_slopes(*opened_with(tables, given))


def moved(tables, against="full", **given):
    found, options = opened_with(tables, given)
    return calibration_slope_differences(found, against, options)


def text_of(tables, fmt="table", against=None, confidence="auto", **given):
    """What the command prints."""
    definitions = confidence.split(",")
    asked = Asked(confidences=definitions, against=against, given=given.keys())
    mode = "--calibration-slope" + " --against" * (against is not None)
    return printed(tables, mode, asked, AnalysisOptions.of(confidence=definitions[0], **given), fmt)


def by_metric(rows, condition="full"):
    return {r.metric.spec: r for r in rows if r.condition.name == condition}


@pytest.fixture(scope="module")
def tables():
    return make_study_tables()[:6]  # full, two of scope, three seeds of random


def test_every_condition_and_group_has_three_numbers(tables):
    rows = slopes_of(tables, by="split")
    conditions, groups = (
        {r.condition.name for r in rows},
        ("all", "random", "popular", "adversarial"),
    )
    assert len(conditions) == 4
    assert len(rows) == 4 * 4 * 3
    assert [r.metric.spec for r in rows[:3]] == list(QUANTITIES)
    assert tuple(dict.fromkeys(r.group for r in rows)) == groups
    seen = read_predictions(tables[0])
    seen = seen.take(seen.split == "popular")
    images = np.unique(seen.cluster, return_inverse=True)[1]
    part = Part(log_odds(seen.confidence)[0], seen.correct.astype(float), images)
    found = by_metric([r for r in rows if r.group == "popular"])
    for name, expected in calibration_slope([part], [1]).items():
        assert found[name].value == pytest.approx(expected.value, abs=1e-12)
        assert found[name].error == pytest.approx(expected.error, rel=1e-12)
        assert (found[name].n, found[name].clusters) == (80, 40)


def test_with_two_answers_the_slope_at_intercept_zero_is_one_over_t():
    """NLL at 1/T is that of a logistic regression through the origin."""
    seen = read_predictions(make_table(scale=1.7))
    x, y = np.log(seen.confidence / (1 - seen.confidence)), seen.correct.astype(float)
    beta = 1.0
    for _ in range(50):
        p = expit(beta * x)
        beta += x @ (y - p) / (x * x @ (p * (1 - p)))
    assert beta == pytest.approx(1 / best_temperature(seen).value, rel=1e-8)


def test_a_scaled_model_shows_its_temperature():
    """Logits that are 2.5 times as large have a slope 2.5 times smaller."""
    plain, sharp = (make_table(make_condition(), scale=s) for s in (1.0, 2.5))
    a, b = (by_metric(slopes_of([t])) for t in (plain, sharp))
    assert b["slope"].value == pytest.approx(a["slope"].value / 2.5, rel=1e-5)  # float32 logits
    assert b["intercept"].value == pytest.approx(a["intercept"].value, abs=1e-4)


def test_seeds_are_averaged_and_their_errors_share_images(tables):
    joined = by_metric(slopes_of(tables), "random @32")
    single = [r for r in slopes_of(tables, each_seed=True) if "random" in r.condition.name]
    for name in QUANTITIES:
        own = [r for r in single if r.metric.spec == name]
        values = [r.value for r in own]
        assert len(own) == len(joined[name].condition.seeds) == 3
        assert joined[name].value == pytest.approx(np.mean(values), abs=1e-9)
        assert joined[name].seed_sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)
        assert own[0].seed_sd is None
    seen = [read_predictions(t) for t in tables[3:]]
    images = np.unique(seen[0].cluster, return_inverse=True)[1]
    parts = [Part(log_odds(s.confidence)[0], s.correct.astype(float), images) for s in seen]
    covariance = sandwich(parts, slope=True)[1][3:, 3:]  # three slopes, from images they share
    expected = math.sqrt(covariance.sum()) / 3
    assert joined["slope"].error == pytest.approx(expected, rel=1e-6)


def test_differences_are_those_of_the_values_and_a_family(tables):
    alone = slopes_of(tables)
    for correction in ("holm", "bh"):
        rows = moved(tables, correction=correction)
        assert [r.metric.spec for r in rows] == [name for name in QUANTITIES for _ in range(3)]
        for name in QUANTITIES:
            own = [r for r in rows if r.metric.spec == name]
            for r in own:
                assert r.value == by_metric(alone, r.condition.name)[name].value
                assert r.reference_value == by_metric(alone)[name].value
                assert r.delta == pytest.approx(r.value - r.reference_value, abs=1e-8)
                assert r.low < r.delta < r.high
                assert r.family == 3
            p = np.sort([r.p for r in own])
            if correction == "holm":
                least = np.maximum.accumulate(np.minimum(1, p * np.array([3, 2, 1])))
            else:
                least = np.minimum.accumulate((p * 3 / np.array([1, 2, 3]))[::-1])[::-1]
            assert sorted(r.p_adjusted for r in own) == pytest.approx(least, rel=1e-12)


def test_pairing_by_image_counts():
    """Two conditions that are alike on images differ by less than their own errors say."""
    pair = [make_table(), make_table(make_condition("scope", 16), noise=0, signal=2.1)]
    (row,) = (r for r in moved(pair) if r.metric.spec == "slope")
    own = [by_metric(slopes_of([t]), name_of(t.condition))["slope"].error for t in pair]
    assert row.error < 0.6 * math.hypot(*own)


def test_soft_verdicts_are_a_fractional_logit():
    open_table = opened(make_table(images=60), verdicts=(0.0, 0.3, 1.0))
    hard, soft = (by_metric(slopes_of([open_table], target=t)) for t in ("hard", "soft"))
    assert hard["slope"].value != pytest.approx(soft["slope"].value, abs=1e-3)
    seen = read_predictions(open_table, target="soft")
    x = np.log(seen.confidence) - np.log1p(-seen.confidence)
    p = expit(soft["intercept"].value + soft["slope"].value * x)
    assert [(p - seen.correct).sum(), x @ (p - seen.correct)] == pytest.approx([0, 0], abs=1e-7)
    assert "fractional logit" in text_of([open_table], target="soft")
    assert "fractional logit" not in text_of([open_table], target="hard")


@pytest.mark.parametrize("against", [None, "full"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_all_formats_have_all_numbers(tables, fmt, against):
    text = text_of(tables, fmt=fmt, against=against)
    rows = slopes_of(tables) if against is None else moved(tables, against=against)
    first = rows[0]
    shown = first.value if against is None else first.delta
    if fmt == "json":
        found = json.loads(text)
        assert len(found["rows"]) == len(rows)
        assert found["rows"][0]["low"] == first.low
    elif fmt == "csv":
        found = list(csv.DictReader(StringIO(text)))
        assert [float(r["error"]) for r in found] == [r.error for r in rows]
    else:
        assert f"{abs(shown):.3f}" in text
        assert "clustered by image, t with 39 degrees of freedom" in text


def test_python_has_the_same_rows(tables):
    study = Study(tuple(tables))
    found = study.calibration_slope(by="split")
    rows = slopes_of(tables, by="split")
    assert found["value"].tolist() == [r.value for r in rows]
    compared = study.calibration_slope(against="full", correction="bh")
    assert compared["p_adjusted"].tolist() == [r.p_adjusted for r in moved(tables, correction="bh")]
    for unread in ({"correction": "bh"}, {"mixed_numerics": True}):
        with pytest.raises(PlanError, match="unknown option"):
            study.calibration_slope(**unread)


def right(table, correct):
    """The table with labels that make these rows right, two answers each."""
    predicted = read_predictions(table).predicted
    return replace(table, label=np.where(correct, predicted, 1 - predicted).astype(np.int16))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("correct", "why"),
    [
        (lambda c: np.ones(len(c), dtype=bool), "all answers are right"),
        (lambda c: np.zeros(len(c), dtype=bool), "all answers are wrong"),
        (lambda c: c > np.median(c), "confidence separates right from wrong answers"),
    ],
)
def test_where_nothing_can_be_estimated_the_reason_stands_in_the_table(correct, why):
    full, plain = make_table(), make_table(make_condition("scope", 16), noise=2)
    odd = right(full, correct(read_predictions(full).confidence))
    plain = replace(plain, label=odd.label)
    assert by_metric(slopes_of([odd]))["slope"].why == why
    assert f"- [{why}]" in text_of([odd])
    text = text_of([odd, plain], against="full")
    assert f"- [full: {why}]" in text
    (slope, *_) = moved([odd, plain])
    assert math.isnan(slope.delta)
    assert (slope.p, slope.p_adjusted, slope.family) == (None, None, 1)
    assert json.loads(text_of([odd, plain], against="full", fmt="json"))["rows"][0]["p"] is None


def test_one_image_has_values_and_no_interval():
    text = text_of([make_table(images=1, per_image=60)])
    row = next(line for line in text.splitlines() if line.startswith("full"))
    assert row.count("[one image has no spread]") == 3
    assert "95 %" not in text


@pytest.mark.parametrize(("images", "said"), [(39, True), (40, False)])
def test_few_images_are_a_caution(images, said):
    assert (
        f"{images} images: intervals are unreliable and p too low"
        in text_of([make_table(images=images)])
    ) is said


def test_certain_confidences_are_counted_and_told():
    table = make_table(signal=1.0)
    logits = table.answer_logits.copy()
    logits[:5] = np.array([[60, 58], [0, -2]])
    sure = replace(table, answer_logits=logits)
    rows = slopes_of([sure])
    assert {r.clipped for r in rows} == {5}
    text = text_of([sure])
    assert "confidences of exactly 0 or 1" in text
    assert "decide the slope: full 5" in text
    assert "exactly 0 or 1" not in text_of([table])


@pytest.mark.parametrize("definition", ["margin", "entropy", "logit-gap", "raw,margin"])
@pytest.mark.parametrize("against", [None, "full"])
def test_scores_are_refused(tables, definition, against):
    with pytest.raises(PlanError, match="is only a score; --calibrate isotonic or platt"):
        text_of(tables, confidence=definition, against=against)


def test_several_definitions_are_told_apart(tables):
    text = text_of(tables, confidence="answer-set,raw")
    assert "calibration slope, confidence raw" in text
    rows = json.loads(text_of(tables, confidence="answer-set,raw", fmt="json"))["rows"]
    assert [r["definition"] for r in rows] == ["answer-set"] * 12 + ["raw"] * 12


def test_a_calibrated_score_is_a_probability(tables):
    rows = slopes_of(tables[:1], confidence="margin", calibrate="platt")
    assert by_metric(rows)["slope"].value == pytest.approx(1, abs=0.2)


def test_rows_and_files_without_images_say_what_they_are_clustered_by(tables):
    rows = by_metric(slopes_of(tables[:1], resample="rows"))["slope"]
    assert (rows.freedom, rows.clusters, rows.resampled) == (239, 40, "rows")
    assert rows.error_images == by_metric(slopes_of(tables[:1]))["slope"].error_images <= 40
    assert "rows count as independent" in text_of(tables[:1], resample="rows")
    bare = replace(tables[0], cluster=np.full(240, ""))
    found = by_metric(slopes_of([bare]))["slope"]
    assert (found.freedom, found.resampled) == (239, "questions")
    assert "no image is known" in text_of([bare])


def test_what_cannot_be_paired_is_refused_as_elsewhere(tables):
    few = replace(
        make_table(make_condition("scope", 8)), id=np.array([f"x{i}" for i in range(240)])
    )
    with pytest.raises(Mismatch, match="--common"):
        moved([tables[0], few])
    with pytest.raises(IncompleteError, match="it is the only condition"):
        moved(tables[:1])
    with pytest.raises(PlanError, match=r"'ful'.*full"):
        moved(tables, against="ful")
    other = replace(tables[1], provenance={"numerics": {"device": "another"}})
    with pytest.raises(Mismatch, match="mixed-numerics"):
        moved([tables[0], other])
    assert len(moved([tables[0], other], mixed_numerics=True)) == 3


def test_common_questions_alone_are_read(tables):
    other = replace(tables[1], id=np.where(np.arange(240) < 40, "x", tables[1].id))
    other = replace(
        other, id=np.array([f"{x}{i}" if x == "x" else x for i, x in enumerate(other.id)])
    )
    rows = moved([tables[0], other], common=True)
    assert {r.n for r in rows} == {200}
    assert {r.n for r in slopes_of([tables[0], other], common=True)} == {200}


def test_the_page_has_a_section_unless_confidence_is_a_score(tables):
    content = collect_data(tables, draws=100)
    text = section(content) or ""
    for said in ("calibration slope", "calibration slope against full", "in the large against"):
        assert said in text
    assert "degrees of freedom" in text
    scored = collect_data(tables[:1], ["aurc"], draws=100, confidence="margin")
    assert section(scored) is None
