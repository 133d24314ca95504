"""What conditions are compared with: one condition, or one within each budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.experiments.match import match, matches, one_of
from calprune.data.condition_names import of_each_budget, parse_name
from calprune.errors import PlanError

Pair = tuple[ConditionRuns, ConditionRuns]


def pairs_of(experiment: Experiment, against: str) -> list[Pair]:
    """Each condition with its reference.

    ``full`` or another single condition is the reference of all others. ``scope:alpha=1``, a name
    that tells parameters and no budget, stands for the condition that has them at the same budget
    (and, where seeds are shown one by one, of the same seed); so does any name that means one
    condition within each of several budgets. Conditions of other budgets are in no pair.

    Raises:
        PlanError: there is no such condition, or several within a budget; lists what there is.
    """
    bases = _bases(against, experiment)
    everywhere = len(bases) == 1 and not of_each_budget(against)
    if everywhere or not _one_per_budget(bases):
        base = one_of(against, bases)
        return [(runs, base) for runs in experiment.conditions if runs is not base]
    return [
        (runs, base)
        for runs in experiment.conditions
        if not any(runs is one for one in bases)
        for base in [_of_budget(runs, bases)]
        if base is not None
    ]


def has_reference(experiment: Experiment, against: str) -> bool:
    """Whether the experiment has a condition of that name."""
    return bool(matches(against, experiment.conditions))


def _bases(against: str, experiment: Experiment) -> list[ConditionRuns]:
    """As ``match``; of a seed that is joined with others it says so."""
    spec = parse_name(against)
    drawn = replace(spec, seed=None)
    if spec.seed is not None and not matches(against, experiment.conditions):
        joined = [one for one in matches(str(drawn), experiment.conditions) if one.joined]
        if joined:
            raise PlanError(
                f"{against!r} is joined with other seeds: compare with '{drawn}', or seed by seed "
                "(--each-seed)"
            )
    return match(against, experiment.conditions)


def _one_per_budget(runs: Sequence[ConditionRuns]) -> bool:
    places = [(one.condition.budget, one.condition.seed) for one in runs]
    return len(set(places)) == len(places)


def _of_budget(runs: ConditionRuns, bases: Sequence[ConditionRuns]) -> ConditionRuns | None:
    own = [b for b in bases if b.condition.budget == runs.condition.budget]
    same = [b for b in own if b.condition.seed == runs.condition.seed]
    return next(iter(same or own), None)
