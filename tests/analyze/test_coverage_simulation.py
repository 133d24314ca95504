"""The simulated studies of ``benchmarks.pope_coverage`` have the shape and truth they claim."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import pope_coverage as coverage
from calprune.analyze.statistics.clustering import Clusters, icc


def test_rows_repeat_as_in_pope():
    times = np.bincount(coverage.QUESTION)
    assert (len(coverage.QUESTION), len(times)) == (9000, 5127)
    assert np.array_equal(np.bincount(times), [0, 2789, 803, 1535])
    assert (np.bincount(coverage.IMAGE) == 18).all()


def test_truth_is_in_closed_form_and_calibrated_at_scale_one():
    accuracy, ece, *_ = coverage.truth(1.0)
    assert accuracy == pytest.approx(0.87, abs=1e-5)
    assert ece == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.14])
def test_images_are_as_alike_as_asked(rho):
    r = coverage.shared_part(rho)
    found = []
    for run in range(8):
        (predictions,) = coverage.equal_conditions(np.random.default_rng(run), r, 1, 1.0)
        first = np.unique(coverage.QUESTION, return_index=True)[1]
        predictions = predictions.take(first)
        found.append(
            icc(predictions.correct, Clusters.of(predictions.cluster), predictions.duplicate_of)
        )
    assert np.mean(found) == pytest.approx(rho, abs=0.02)
