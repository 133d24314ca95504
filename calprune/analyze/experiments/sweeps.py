"""Conditions along a numeric parameter of their selector, such as alpha, all else equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune.analyze.experiments.experiment import ConditionRuns
from calprune.data.condition import ALL_TOKENS, Condition
from calprune.data.condition_names import name_of, spec_of


@dataclass(frozen=True)
class Sweep:
    """Conditions that are equal but for one parameter and, perhaps, the budget.

    Attributes:
        parameter: its name.
        fixed: what they have in common; without a budget where it differs too.
        runs: in table order; the parameter has two values at least.
    """

    parameter: str
    fixed: Condition
    runs: tuple[ConditionRuns, ...]

    @property
    def name(self) -> str:
        """Of what they have in common, e.g. ``scope @64``."""
        return name_of(self.fixed)

    @property
    def selector(self) -> str:
        """Name of the pruning rule."""
        return self.fixed.selector

    @property
    def line(self) -> str:
        """What they have in common at any budget, for people."""
        return self.runs[0].labels.line(spec_of(self.fixed))

    @property
    def levels(self) -> tuple[float, ...]:
        """The parameter's values, rising."""
        return tuple(sorted({_level(runs, self.parameter) for runs in self.runs}))


def sweeps(runs: Sequence[ConditionRuns], parameter: str) -> list[Sweep]:
    """Conditions that are the same without the parameter, at any budget.

    What the selector measured follows from its parameters and is not compared; everything else is,
    exactly. Sweeps are in the order of their first conditions.
    """
    return _swept(runs, parameter, across=True)


def within_budgets(runs: Sequence[ConditionRuns], parameter: str) -> list[Sweep]:
    """The same within each budget, conditions by rising level."""
    return [
        replace(one, runs=tuple(sorted(one.runs, key=lambda x: _level(x, parameter))))
        for one in _swept(runs, parameter, across=False)
    ]


def _swept(runs: Sequence[ConditionRuns], parameter: str, across: bool) -> list[Sweep]:
    piles: dict[Condition, list[ConditionRuns]] = defaultdict(list)
    for one in runs:
        if one.level(parameter) is not None:
            piles[_fixed(one.condition, parameter, across)].append(one)
    found = [Sweep(parameter, fixed, tuple(pile)) for fixed, pile in piles.items()]
    return [sweep for sweep in found if len(sweep.levels) > 1]


def _fixed(condition: Condition, parameter: str, across: bool) -> Condition:
    rest = tuple(p for p in condition.parameters if p[0] != parameter)
    budget = ALL_TOKENS if across else condition.budget
    return replace(condition, parameters=rest, features=None, budget=budget)


def _level(runs: ConditionRuns, parameter: str) -> float:
    level = runs.level(parameter)
    return 0.0 if level is None else level


def numeric_parameters(runs: Sequence[ConditionRuns]) -> list[str]:
    """Parameters that have several values along some sweep, those with most first."""
    names = sorted({name for one in runs for name, _ in one.condition.parameters})
    count = {
        name: len({level for sweep in sweeps(runs, name) for level in sweep.levels})
        for name in names
    }
    return sorted((name for name in names if count[name]), key=lambda name: -count[name])
