"""Predictions as arrays with named axes, and the same as xarray's where it is installed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import calprune
from calprune.analyze.options import AS_STORED, AnalysisOptions
from calprune.analyze.results.labelled_arrays import labelled_arrays
from calprune.analyze.study import Study
from calprune.errors import MissingExtra, PlanError
from tests.analyze.conftest import make_condition, make_table


@pytest.fixture
def study() -> Study:
    """Two conditions, one of them of two seeds."""
    conditions = [make_condition(), *(make_condition("random", 8, seed=s) for s in range(2))]
    tables = [make_table(c, noise=i, images=10) for i, c in enumerate(conditions)]
    return Study(tuple(tables))


def test_runs_questions_and_answers(study: Study) -> None:
    (experiment,) = study.experiments(each_seed=True)
    found = labelled_arrays(experiment, AS_STORED)
    probability = found.variables["probability"]
    table = study.tables[0]
    assert probability.axes == ("run", "question", "answer")
    assert probability.values.shape == (3, len(table), len(table.answers))
    np.testing.assert_allclose(np.nansum(probability.values, axis=2), 1.0)
    read = study.predictions()
    for r, one in enumerate(read.values()):
        np.testing.assert_array_equal(found.variables["confidence"].values[r], one.confidence)
        np.testing.assert_array_equal(found.variables["correct"].values[r], one.correct)
    assert found.coordinates["question"].values.tolist() == table.id.tolist()
    assert found.coordinates["key"].values.tolist() == [t.condition.key for t in study.tables]
    assert found.coordinates["image"].values.tolist() == table.cluster.tolist()
    assert found.about["benchmark"] == experiment.benchmark
    for array in (*found.variables.values(), *found.coordinates.values()):
        assert array.values.ndim == len(array.axes)
        assert array.meaning


def test_what_a_run_lacks_is_not_a_number(study: Study) -> None:
    fewer = make_table(make_condition("scope", 8, alpha=1.0), noise=3, images=9)
    short = Study((*study.tables, fewer))
    (experiment,) = short.experiments(each_seed=True)
    found = labelled_arrays(experiment, AS_STORED)
    lacking = np.isnan(found.variables["confidence"].values).sum(axis=1)
    assert sorted(lacking.tolist()) == [0, 0, 0, len(study.tables[0]) - len(fewer)]


def test_only_probabilities_are_called_so(study: Study) -> None:
    (experiment,) = study.experiments(each_seed=True)
    margin = AnalysisOptions.of(confidence="margin").predictions
    found = labelled_arrays(experiment, margin)
    assert np.isnan(found.variables["probability"].values).all()
    assert not np.isnan(found.variables["confidence"].values).any()


def test_as_xarray(study: Study) -> None:
    if find_spec("xarray") is None:
        with pytest.raises(MissingExtra, match="arrays"):
            study.to_xarray()
        return
    data = study.to_xarray()
    assert dict(data.sizes) == {
        "run": 3,
        "question": len(study.tables[0]),
        "answer": len(study.tables[0].answers),
    }
    accuracy = data.correct.mean("question")
    frame = study.estimates(["accuracy"], each_seed=True, draws=100)
    assert sorted(accuracy.values.tolist()) == pytest.approx(sorted(frame.value))
    assert data.correct.groupby("image").mean().sizes["image"] == 10


def test_one_model_and_benchmark(study: Study) -> None:
    other = make_table(replace(make_condition(), benchmark="gqa"), images=10)
    with pytest.raises(PlanError, match="select one of"):
        Study((*study.tables, other)).to_xarray()
    with pytest.raises(PlanError, match="draws"):
        study.to_xarray(draws=3)  # type: ignore[call-arg]


def test_the_sample(tmp_path: Path) -> None:
    (experiment,) = calprune.open("sample").experiments(each_seed=True)
    found = labelled_arrays(experiment, AS_STORED)
    assert found.variables["probability"].values.shape == (20, 1800, 2)
    assert found.coordinates["answer"].values.tolist() == ["yes", "no"]
