"""Conditions along a numeric parameter of their selector, such as alpha or the gap power."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calprune.analyze.experiments.experiment import Cell, settings
from calprune.analyze.metric import Metric
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.data.storage.logits import LogitTable

Line = tuple[str, str]
"""A selector, and as text all of its parameters but one."""


def level(cell: Cell, parameter: str) -> float | None:
    """The number that a cell's selector was given for ``parameter``; None if there is none."""
    value = dict(cell.tables[0].condition.parameters).get(parameter)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and value is not None else None


def line(cell: Cell, parameter: str) -> Line:
    """Selector and the other parameters: what stays the same while ``parameter`` moves."""
    parts = (p for p in cell.parameters.split(" ") if not p.startswith(f"{parameter}="))
    return cell.selector, " ".join(parts)


def lines(cells: Sequence[Cell], parameter: str) -> dict[Line, list[Cell]]:
    """Cells along ``parameter``, where it takes several values; all levels, any budget."""
    found: dict[Line, list[Cell]] = defaultdict(list)
    for cell in cells:
        if level(cell, parameter) is not None:
            found[line(cell, parameter)].append(cell)
    return {k: own for k, own in found.items() if len({level(c, parameter) for c in own}) > 1}


def numeric_parameters(cells: Sequence[Cell]) -> list[str]:
    """Parameters that move along some line, those with most levels first."""
    names = sorted({name for c in cells for name, _ in c.tables[0].condition.parameters})
    levels = {
        name: len({level(c, name) for own in lines(cells, name).values() for c in own})
        for name in names
    }
    return sorted((name for name in names if levels[name]), key=lambda name: -levels[name])


@dataclass(frozen=True)
class ParameterEffect:
    """A condition minus the one that differs in nothing but one parameter.

    Attributes:
        difference: of the two; p is corrected over all conditions of all budgets.
        parameter, level, baseline: what differs, the condition's value and the reference's.
    """

    difference: Difference
    parameter: str
    level: float
    baseline: float

    @property
    def condition(self) -> ConditionInfo:
        """Which is compared."""
        return self.difference.condition

    @property
    def line(self) -> str:
        """What both have in common at any budget, for people."""
        spec = self.condition.spec
        rest = tuple(p for p in spec.parameters if p[0] != self.parameter)
        return replace(spec, parameters=rest, budget=None, scope=None, seed=None).title

    def columns(self) -> dict[str, Any]:
        """See ``Columns``."""
        own = {"parameter": self.parameter, "level": self.level, "baseline": self.baseline}
        return {**self.difference.columns(), **own}


def parameter_effects(
    tables: Sequence[LogitTable],
    metric: str | Metric,
    parameter: str,
    baseline: float,
    options: AnalysisOptions = DEFAULTS,
) -> list[ParameterEffect]:
    """Each level of ``parameter`` against ``baseline`` at the same budget, paired.

    Conditions without a counterpart at ``baseline`` are left out. p-values are corrected over all
    that is left of a model and benchmark.

    Args:
        tables: sealed logits.
        metric: a name or an instance.
        parameter: of selectors, numeric.
        baseline: its value in the references.
        options: all are read but ``by``, ``each_seed`` and ``common``.
    """
    found = []
    for setting in settings(tables):
        own: list[ParameterEffect] = []
        for cells in lines(setting.cells, parameter).values():
            for budget in dict.fromkeys(c.budget for c in cells):
                piled = [c for c in cells if c.budget == budget]
                base = next((c for c in piled if level(c, parameter) == baseline), None)
                if base is None or len(piled) < 2:
                    continue
                for cell, d in _against(piled, base, metric, options):
                    named = replace(
                        d,
                        condition=ConditionInfo.of(setting, cell),
                        reference=ConditionInfo.of(setting, base),
                    )
                    value = level(cell, parameter) or 0.0
                    own.append(ParameterEffect(named, parameter, value, baseline))
        correction = options.testing.correction
        adjusted = adjust_p([c.difference.p for c in own], correction)
        for row, p in zip(own, adjusted, strict=True):
            signature = row.difference.signature.plus(adjust=f"{correction}{len(own)}")
            corrected = replace(
                row.difference, p_adjusted=float(p), family=len(own), signature=signature
            )
            found.append(replace(row, difference=corrected))
    return found


def _against(
    piled: Sequence[Cell], base: Cell, metric: str | Metric, options: AnalysisOptions
) -> list[tuple[Cell, Difference]]:
    """Differences to ``base`` with their cells: alone, these may be called otherwise."""
    pile = [table for cell in piled for table in cell.tables]
    (alone,) = settings(pile)
    names = {cell.name: _same(piled, cell) for cell in alone.cells}
    reference = next(name for name, cell in names.items() if cell is base)
    return [(names[d.condition.name], d) for d in compare(pile, [metric], reference, options)]


def _same(cells: Sequence[Cell], wanted: Cell) -> Cell:
    return next(cell for cell in cells if cell.tables[0] is wanted.tables[0])
