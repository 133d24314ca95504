"""What conditions are compared with: one condition, or one within each budget."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.errors import PlanError

Pair = tuple[ConditionRuns, ConditionRuns]


def pairs_of(experiment: Experiment, against: str) -> list[Pair]:
    """Each condition with its reference.

    ``full`` or another single condition is the reference of all others. ``scope:alpha=1``, a
    selector with parameters, stands for the condition that has them at the same budget (and, where
    seeds are shown one by one, of the same seed); so does a selector whose conditions differ in
    nothing but their budget. Conditions of other budgets are in no pair.

    Raises:
        PlanError: there is no such condition, or several within a budget; lists what there is.
    """
    if ":" not in against:
        named = experiment.named(against)
        if len(named) < 2 or not _one_per_budget(named):
            base = experiment.find(against)
            return [(runs, base) for runs in experiment.conditions if runs is not base]
        bases = named
    else:
        bases = _having(experiment, against)
    return [
        (runs, base)
        for runs in experiment.conditions
        if not any(runs is one for one in bases)
        for base in [_of_budget(runs, bases)]
        if base is not None
    ]


def has_reference(experiment: Experiment, against: str) -> bool:
    """Whether the experiment has a condition of that name, or selector with such parameters."""
    if ":" not in against:
        return bool(experiment.named(against))
    try:
        return bool(_having(experiment, against))
    except PlanError as error:
        if "several" in str(error):
            raise
        return False


def _having(experiment: Experiment, against: str) -> list[ConditionRuns]:
    selector, *settings = against.split(":")
    wanted = [s.partition("=") for s in settings]
    found = [
        c
        for c in experiment.conditions
        if c.selector == selector and all(_has(c, name, value) for name, _, value in wanted)
    ]
    if not found:
        there = dict.fromkeys(
            ":".join([c.selector, *c.parameters.split()])
            for c in experiment.conditions
            if not c.full
        )
        raise PlanError(
            f"no condition of {experiment.benchmark} is {against!r}; there are: {', '.join(there)}"
        )
    if not _one_per_budget(found):
        listed = ", ".join(c.name for c in found)
        raise PlanError(f"{against!r} means several conditions of one budget, choose one: {listed}")
    return found


def _has(runs: ConditionRuns, name: str, value: str) -> bool:
    known = dict(p.split("=", 1) for p in runs.parameters.split())
    if name not in known:
        return False
    try:
        return float(known[name]) == float(value)
    except ValueError:
        return known[name] == value


def _one_per_budget(conditions: Sequence[ConditionRuns]) -> bool:
    places = [(c.budget, c.seed) for c in conditions]
    return len(set(places)) == len(places)


def _of_budget(runs: ConditionRuns, bases: Sequence[ConditionRuns]) -> ConditionRuns | None:
    own = [b for b in bases if b.budget == runs.budget]
    same = [b for b in own if b.seed == runs.seed]
    return next(iter(same or own), None)
