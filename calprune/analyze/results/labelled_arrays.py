"""Predictions of all runs of an experiment as arrays with named axes: run, question, answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.options import PredictionOptions
from calprune.analyze.predictions.table import Predictions
from calprune.data.condition_names import budget_text
from calprune.extras import needed

if TYPE_CHECKING:
    from xarray import Dataset

RUN, QUESTION, ANSWER = "run", "question", "answer"


@dataclass(frozen=True)
class LabelledArray:
    """An array with the names of its axes, and what it is."""

    axes: tuple[str, ...]
    values: NDArray[Any]
    meaning: str


@dataclass(frozen=True)
class LabelledArrays:
    """All that is known of ``r`` runs, ``q`` questions and ``a`` answers.

    Attributes:
        variables: ``probability`` (r, q, a), ``confidence``, ``correct`` and ``kept_tokens``
            (r, q), float64, NaN where a run lacks a question or nothing is known; ``label`` and
            ``prediction``, int64, index of the answer, −1 where there is none.
        coordinates: names of runs, ids of questions, names of answers, and what they are of.
        about: model, benchmark and what confidence is.
    """

    variables: Mapping[str, LabelledArray]
    coordinates: Mapping[str, LabelledArray]
    about: Mapping[str, str]

    def to_xarray(self) -> Dataset:
        """The same as xarray's; MissingExtra if it is not installed."""
        with needed("to_xarray", "arrays"):
            from xarray import Dataset

        def told(these: Mapping[str, LabelledArray]) -> dict[str, Any]:
            return {n: (x.axes, x.values, {"long_name": x.meaning}) for n, x in these.items()}

        return Dataset(told(self.variables), told(self.coordinates), dict(self.about))


def labelled_arrays(experiment: Experiment, options: PredictionOptions) -> LabelledArrays:
    """Arrays of an experiment whose seeds are kept apart.

    Questions stand in the order of the first run; what only later ones hold follows.
    """
    runs = [
        (condition.name, table, read)
        for condition in experiment.conditions
        for table, read in zip(condition.tables, condition.predictions(options), strict=True)
    ]
    place = {name: i for i, name in enumerate(dict.fromkeys(x for *_, p in runs for x in p.id))}
    answers = max((p.names for *_, p in runs), key=len)
    shape = (len(runs), len(place))
    floats = {n: np.full(shape, np.nan) for n in ("confidence", "correct", "kept_tokens")}
    probability = np.full((*shape, len(answers)), np.nan)
    prediction = np.full(shape, -1, dtype=np.int64)
    label = np.full(len(place), -1, dtype=np.int64)
    texts = {n: np.full(len(place), "", dtype=object) for n in ("split", "category", "image")}
    for r, (_, table, read) in enumerate(runs):
        at = np.array([place[name] for name in read.id], dtype=np.intp)
        floats["confidence"][r, at] = read.confidence
        floats["correct"][r, at] = read.correct
        if table.visual.size:
            kept = dict(zip(table.id.tolist(), table.visual[:, -1].tolist(), strict=True))
            floats["kept_tokens"][r, at] = [kept[name] for name in read.id.tolist()]
        probability[r, at, : len(read.names)] = _known(read)
        prediction[r, at] = np.where(read.replied, -1, read.predicted)
        label[at] = read.label
        texts["split"][at], texts["category"][at] = read.split, read.category
        texts["image"][at] = read.cluster
    both = (RUN, QUESTION)
    variables = {
        "probability": LabelledArray((*both, ANSWER), probability, "of each answer offered"),
        "confidence": LabelledArray(both, floats["confidence"], "confidence in the prediction"),
        "correct": LabelledArray(both, floats["correct"], "1 right, 0 wrong"),
        "prediction": LabelledArray(both, prediction, "index of the likeliest answer offered"),
        "kept_tokens": LabelledArray(both, floats["kept_tokens"], "visual tokens, last layer"),
        "label": LabelledArray((QUESTION,), label, "index of the right answer"),
    }
    conditions = [table.condition for _, table, _ in runs]
    keys = np.array([c.key for c in conditions])
    seeds = [np.nan if c.seed is None else c.seed for c in conditions]
    coordinates = {
        RUN: LabelledArray((RUN,), np.array([name for name, *_ in runs]), "condition"),
        "key": LabelledArray((RUN,), keys, "SHA-256 of what was asked"),
        "selector": LabelledArray((RUN,), np.array([c.selector for c in conditions]), "selector"),
        "budget": LabelledArray((RUN,), np.array([budget_text(c) for c in conditions]), "budget"),
        "seed": LabelledArray((RUN,), np.array(seeds, dtype=np.float64), "of a random selector"),
        QUESTION: LabelledArray((QUESTION,), np.array(list(place)), "id of the question"),
        **{n: LabelledArray((QUESTION,), x.astype(np.str_), n) for n, x in texts.items()},
        ANSWER: LabelledArray((ANSWER,), np.array(answers), "name of the answer"),
    }
    about = {"model": experiment.model, "benchmark": experiment.benchmark}
    return LabelledArrays(variables, coordinates, {**about, "confidence": runs[0][2].convention})


def _known(read: Predictions) -> Floats:
    """Probabilities (n, a) of the answers offered; NaN where they are none, or of replies."""
    names = len(read.names)
    known = read.offered[:, :names] & ~read.replied[:, None] & (read.scale == "probabilities")
    return np.asarray(np.where(known, read.probabilities[:, :names], np.nan), dtype=np.float64)
