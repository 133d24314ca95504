"""The best temperature, its ends, and cross-fitting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metric import resolve
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.statistics.clustering import Clusters
from calprune.errors import PlanError
from tests.analyze.calls import read_predictions
from tests.analyze.conftest import make_table


def nll(predictions):
    return float(
        ResampledMetrics.of(
            resolve(["nll"]), predictions, Clusters.of(predictions.cluster)
        ).point()[0]
    )


@pytest.mark.parametrize("answers", [2, 4])
def test_no_other_temperature_is_better(answers):
    table = make_table(answers=answers, scale=3.0)
    best = best_temperature(read_predictions(table)).value
    lowest = nll(read_predictions(table, temperature=best))
    for factor in (0.5, 0.99, 1.01, 2.0, 1 / best):
        assert lowest <= nll(read_predictions(table, temperature=best * factor)) + 1e-12


@pytest.mark.parametrize("scale", [0.01, 0.5, 8.0, 300.0])
def test_temperature_scales_with_logits(scale):
    table = make_table(answers=3, uneven=True)
    single = replace(table, answer_tokens=np.array([[1, -1], [2, -1], [3, -1]]))
    once = best_temperature(read_predictions(single))
    larger = replace(single, answer_logits=single.answer_logits * np.float32(scale))
    again = best_temperature(read_predictions(larger))
    assert again.value == pytest.approx(once.value * scale, rel=1e-5)


def test_calibrated_answers_need_none():
    rng = np.random.default_rng(0)
    table = make_table(images=2000, per_image=2)
    logits = rng.normal(0, 2, (4000, 2, 1)).astype(np.float32)
    p = 1 / (1 + np.exp(logits[:, 1, 0] - logits[:, 0, 0]))
    label = (rng.random(4000) > p).astype(np.int16)
    both = np.concatenate([logits, np.full_like(logits, -np.inf)], axis=2)
    predictions = read_predictions(replace(table, answer_logits=both, label=label))
    assert best_temperature(predictions).value == pytest.approx(1, abs=0.1)


def test_ends_are_named():
    table = make_table()
    best = read_predictions(table).predicted.astype(np.int16)
    assert best_temperature(read_predictions(replace(table, label=best))).kind == "all correct"
    wrong = read_predictions(replace(table, label=1 - best))
    assert best_temperature(wrong).kind == "no better than chance"
    assert best_temperature(wrong).value == np.inf
    flat = read_predictions(replace(table, answer_logits=np.zeros_like(table.answer_logits)))
    assert best_temperature(flat).kind == "flat"


def test_cross_fitting_never_scales_an_image_by_itself():
    table = make_table(images=50, scale=4.0)
    fitted = out_of_fold(read_predictions(table))
    assert len(set(zip(table.cluster.tolist(), fitted.fold.tolist(), strict=True))) == 50
    assert np.bincount(fitted.fold).tolist() == [60] * 5
    raw = read_predictions(table)
    for f, temperature in enumerate(fitted.fitted):
        assert temperature == best_temperature(raw.take(fitted.fold != f))
    assert nll(fitted.predictions) < nll(raw)
    assert (fitted.predictions.predicted == raw.predicted).all()
    assert out_of_fold(read_predictions(table)).fitted == fitted.fitted


def test_cross_fitting_says_what_it_cannot_do(table):
    with pytest.raises(PlanError, match="folds"):
        out_of_fold(read_predictions(make_table(images=3)))
    best = read_predictions(table).predicted.astype(np.int16)
    with pytest.raises(PlanError, match="all training answers"):
        out_of_fold(read_predictions(replace(table, label=best)))
