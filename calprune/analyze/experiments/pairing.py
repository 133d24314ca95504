"""Which conditions can be paired: the same questions, the same way of computing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment, told_apart
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.predictions.table import Predictions
from calprune.data.condition import ExperimentKey
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch


def aligned(
    experiment: Experiment, base: ConditionRuns, options: AnalysisOptions
) -> dict[str, list[Predictions]]:
    """Predictions of all conditions by name, with rows in the order of the reference's.

    With ``common`` only the questions that all of them hold; otherwise Mismatch if they differ.
    """
    cache, told = PredictionCache(), options.predictions
    read = {c.name: [cache(t, told) for t in c.tables] for c in experiment.conditions}
    if options.common:
        read = only_common(read)
    first, found = read[base.name][0], {}
    for runs in experiment.conditions:
        parts = []
        for table, predictions in zip(runs.tables, read[runs.name], strict=True):
            if not np.array_equal(predictions.id, first.id) and len(predictions) == len(first):
                predictions = predictions.take(
                    np.argsort(predictions.id)[np.argsort(np.argsort(first.id))]
                )
            _same_questions(predictions, first, table, base.tables[0])
            parts.append(predictions)
        found[runs.name] = parts
    return found


def only_common(read: Mapping[str, Sequence[Predictions]]) -> dict[str, list[Predictions]]:
    """The same, each restricted to the questions (ids) that all of them hold."""
    every = [predictions.id for parts in read.values() for predictions in parts]
    shared = every[0]
    for ids in every[1:]:
        shared = shared[np.isin(shared, ids)]
    if not len(shared):
        raise Mismatch("these conditions have no question in common; compare them one by one")
    return {
        name: [predictions.take(np.isin(predictions.id, shared)) for predictions in parts]
        for name, parts in read.items()
    }


def with_common_questions(found: Sequence[Experiment]) -> list[Experiment]:
    """Experiments that differ only in the questions they cover, joined into one.

    A condition that was collected on several sets of questions is shown once, from the largest.
    """
    return [_joined(pile) for pile in _alike(found)]


def dropped_sets(found: Sequence[Experiment]) -> list[str]:
    """What ``with_common_questions`` leaves out, as sentences."""
    lines = []
    for pile in _alike(found):
        for name, (kept, *others) in _sets(pile).items():
            for runs in others:
                named = ", ".join(str(table.path) for table in runs.tables)
                lines.append(
                    f"{pile[0].model} on {_benchmark(pile)}: {name} covers several sets of "
                    f"questions; read is the largest, of {len(kept.tables[0])}; left out is that "
                    f"of {len(runs.tables[0])}: {named}"
                )
    return lines


def _alike(found: Sequence[Experiment]) -> list[list[Experiment]]:
    """Experiments that differ only in their questions, side by side."""
    piles: dict[ExperimentKey, list[Experiment]] = {}
    for experiment in found:
        asked = experiment.conditions[0].tables[0].condition.experiment
        # the digest of a model says which it is, whatever it is called
        key = asked._replace(benchmark_digest="", model="")
        piles.setdefault(key, []).append(experiment)
    return list(piles.values())


def _sets(pile: Sequence[Experiment]) -> dict[str, list[ConditionRuns]]:
    """Runs of each condition by its name, that with most questions first."""
    conditions: dict[str, list[ConditionRuns]] = {}
    for experiment in sorted(pile, key=lambda s: -len(s.conditions[0].tables[0])):
        for runs in experiment.conditions:
            seeds = f" ({runs.seed})" if len(runs.tables) > 1 else ""
            conditions.setdefault(runs.label + seeds, []).append(runs)
    return conditions


def _benchmark(pile: Sequence[Experiment]) -> str:
    return pile[0].conditions[0].tables[0].condition.benchmark


def _joined(pile: list[Experiment]) -> Experiment:
    if len(pile) == 1:
        return pile[0]
    largest = max(pile, key=lambda s: len(s.conditions[0].tables[0]))
    kept = [conditions[0] for conditions in _sets(pile).values()]
    shared = Counter(runs.name for runs in kept)  # what each experiment left out of names
    kept = told_apart([replace(c, name=c.label) if shared[c.name] > 1 else c for c in kept])
    ordered = sorted(kept, key=lambda c: not c.full)
    return replace(largest, benchmark=_benchmark(pile), conditions=tuple(ordered))


def same_numerics(experiment: Experiment, base: LogitTable) -> None:
    """Mismatch if a condition was computed on other devices, kernels or versions than the base."""
    for table in (t for runs in experiment.conditions for t in runs.tables):
        moved = moved_numerics(table, base)
        if moved:
            raise Mismatch(
                f"{table.path} ({table.condition.label}) and {base.path} ({base.condition.label}) "
                f"were computed differently ({', '.join(moved)}); --mixed-numerics (in Python: "
                "mixed_numerics=True) pairs them all the same"
            )


def moved_numerics(table: LogitTable, base: LogitTable) -> list[str]:
    """What was computed differently, by name, sorted; empty if the two can be paired.

    The route by which rows were packed follows from the selector: one that prunes inside the
    language model needs a route of its own. Adapters are tested to answer by every route within
    1e-4, so where only one of the two prunes inside, the route is no difference of numerics.
    """
    mine, theirs = numerics(table), numerics(base)
    differ = {k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k)}
    if prunes_inside(table) != prunes_inside(base):
        differ.discard("route")
    return sorted(differ)


def prunes_inside(table: LogitTable) -> bool:
    """Whether layers of the language model saw different numbers of visual tokens."""
    return bool((table.visual != table.visual[:, :1]).any())


def numerics(table: LogitTable) -> dict[str, object]:
    """What may move the last digits of a logit."""
    computed, software = (table.provenance.get(x) for x in ("numerics", "software"))
    found = dict(computed) if isinstance(computed, dict) else {}
    found.pop("tokens_per_forward", None)  # may shrink within one run where memory is short
    found["dtype"] = table.condition.dtype
    if isinstance(software, dict):
        found |= {k: software.get(k) for k in ("torch", "transformers")}
    return found


def _same_questions(
    predictions: Predictions, first: Predictions, table: LogitTable, base: LogitTable
) -> None:
    mine, theirs = _asked(predictions), _asked(first)
    names = f"{table.path} ({table.condition.label}) and {base.path} ({base.condition.label})"
    if set(predictions.id) != set(first.id):
        shared = int(np.isin(predictions.id, first.id).sum())
        odd = sorted(set(predictions.id.tolist()) ^ set(first.id.tolist()))
        raise Mismatch(
            f"{names} differ in id: {len(predictions)} and {len(first)} questions, {shared} of "
            f"them in common; {', '.join(odd[:3])}{', …' * (len(odd) > 3)} in one only; --common "
            "(in Python: common=True) compares what they share"
        )
    for column in (name for name in mine if name in theirs):
        if not np.array_equal(mine[column], theirs[column]):
            raise Mismatch(
                f"{names} differ in {column}, so they cannot be paired; "
                "collect both on the same questions"
            )


def _asked(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """What belongs to the questions and not to the answers; older files lack groups and tags."""
    found = {
        "id": predictions.id,
        "label": predictions.label,
        "cluster": predictions.cluster,
        "split": predictions.split,
    }
    found |= {
        "category": predictions.category,
        "options": predictions.n_options,
        "replies": predictions.replied,
    }
    found |= {"offered": predictions.offered} | (
        {} if predictions.group is None else {"group": predictions.group}
    )
    return found | {f"tag {name}": column for name, column in predictions.tags.items()}
