"""Which conditions can be paired: the same questions, the same way of computing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.options import PredictionOptions
from calprune.analyze.predictions.table import Predictions
from calprune.data.condition import ExperimentKey
from calprune.data.condition_names import name_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch


def aligned(
    experiment: Experiment, base: ConditionRuns, options: PredictionOptions
) -> dict[str, list[Predictions]]:
    """Predictions of all conditions by name, with rows in the order of the reference's.

    Raises:
        Mismatch: they do not hold the same questions, and not only common ones are read.
    """
    read = experiment.predictions(options)
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


def with_common_questions(found: Sequence[Experiment]) -> list[Experiment]:
    """Experiments that differ only in the questions they cover, joined into one.

    Of each only the questions are read that all its conditions hold. A condition that was collected
    on several sets of questions is shown once, from the largest.
    """
    return [replace(_joined(pile), common=True) for pile in _alike(found)]


def dropped_sets(found: Sequence[Experiment]) -> list[str]:
    """What ``with_common_questions`` leaves out, as sentences."""
    lines = []
    for pile in _alike(found):
        for name, (kept, *others) in _sets(pile).items():
            for runs in others:
                named = ", ".join(str(table.path) for table in runs.tables)
                lines.append(
                    f"{pile[0].model} on {pile[0].key.benchmark}: {name} covers several sets of "
                    f"questions; read is the largest, of {len(kept.tables[0])}; left out is that "
                    f"of {len(runs.tables[0])}: {named}"
                )
    return lines


def dropped_questions(joined: Sequence[Experiment]) -> list[str]:
    """How many questions of which conditions common ones leave out, as sentences."""
    lines = []
    for experiment in joined:
        ids = [set(table.id.tolist()) for table in experiment.tables]
        shared = len(set.intersection(*ids))
        left: dict[str, list[str]] = {}
        for runs in experiment.conditions:
            most = max(len(table) for table in runs.tables)
            if most > shared:
                left.setdefault(f"{most - shared:,} of {most:,}", []).append(runs.name)
        if left:
            told = "; ".join(f"{count} of {', '.join(names)}" for count, names in left.items())
            lines.append(
                f"{experiment.title}: read are the {shared:,} questions that all conditions hold; "
                f"left out are {told}"
            )
    return lines


def _alike(found: Sequence[Experiment]) -> list[list[Experiment]]:
    """Experiments that differ only in their questions, side by side."""
    piles: dict[ExperimentKey, list[Experiment]] = {}
    for experiment in found:
        # the digest of a model says which it is, whatever it is called
        key = experiment.key._replace(benchmark_digest="", model="")
        piles.setdefault(key, []).append(experiment)
    return list(piles.values())


def _sets(pile: Sequence[Experiment]) -> dict[str, list[ConditionRuns]]:
    """Runs of each condition by its name, those of most questions first."""
    found: dict[str, list[ConditionRuns]] = {}
    for experiment in sorted(pile, key=lambda s: -len(s.first)):
        for runs in experiment.conditions:
            found.setdefault(runs.name, []).append(runs)
    return found


def _joined(pile: list[Experiment]) -> Experiment:
    if len(pile) == 1:
        return pile[0]
    largest = max(pile, key=lambda s: len(s.first))
    kept = [alike[0] for alike in _sets(pile).values()]
    ordered = sorted(kept, key=lambda c: not c.full)
    return replace(largest.of(ordered), benchmark=largest.key.benchmark)


def same_numerics(experiment: Experiment, base: LogitTable) -> None:
    """Mismatch if a condition was computed on other devices, kernels or versions than the base."""
    for table in experiment.tables:
        moved = moved_numerics(table, base)
        if moved:
            raise Mismatch(
                f"{_file(table)} and {_file(base)} were computed differently ({', '.join(moved)}); "
                "--mixed-numerics (in Python: mixed_numerics=True) pairs them all the same"
            )


def _file(table: LogitTable) -> str:
    return f"{table.path} ({name_of(table.condition)})"


def moved_numerics(table: LogitTable, base: LogitTable) -> list[str]:
    """What was computed differently, by name, sorted; empty if the two can be paired.

    The route by which rows were packed follows from the selector: one that prunes inside the
    language model needs a route of its own. Adapters are tested to answer by every route within
    1e-4, so where only one of the two prunes inside, the route is no difference of numerics.
    """
    mine, theirs = numerics(table), numerics(base)
    differ = {k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k)}
    if "route" in differ and prunes_inside(table) != prunes_inside(base):
        differ.discard("route")
    return sorted(differ)


def computed_otherwise(found: Sequence[Experiment]) -> list[str]:
    """Conditions that were computed otherwise than the first of their experiment, as sentences."""
    lines = []
    for experiment in found:
        moved: dict[str, list[str]] = {}
        for runs in experiment.conditions:
            each = {x for table in runs.tables for x in moved_numerics(table, experiment.first)}
            if each:
                moved.setdefault(", ".join(sorted(each)), []).append(runs.name)
        for what, names in moved.items():
            lines.append(
                f"{experiment.title}: computed with another {what} than "
                f"{experiment.conditions[0].name}: {', '.join(names)}"
            )
    return lines


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
    names = f"{_file(table)} and {_file(base)}"
    same = np.array_equal(predictions.id, first.id)
    if not same and set(predictions.id.tolist()) != set(first.id.tolist()):
        shared = int(np.isin(predictions.id, first.id).sum())
        odd = sorted(set(predictions.id.tolist()) ^ set(first.id.tolist()))
        raise Mismatch(
            f"{names} differ in id: {len(predictions)} and {len(first)} questions, {shared} of "
            f"them in common; {', '.join(odd[:3])}{', …' * (len(odd) > 3)} in one only; --common "
            "(in Python: common=True) compares what they share"
        )
    for column in (name for name in mine if name in theirs):
        if mine[column] is not theirs[column] and not np.array_equal(mine[column], theirs[column]):
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
