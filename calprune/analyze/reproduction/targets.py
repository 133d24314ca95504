"""Which of the cached conditions stands for which of the study's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune import registry
from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.experiments.match import matches
from calprune.data.condition import ALL_TOKENS, Budget
from calprune.data.studies import TOKENS, Table, TableAxis, scaled
from calprune.errors import CalpruneError

CROPS = 5  # of a LLaVA-NeXT, whose budgets are of five times the tokens


@dataclass(frozen=True)
class ReproductionTarget:
    """A study's table as it is measured: on whom, and on which benchmarks.

    Attributes:
        table: with the benchmarks that stand in for the study's, if the cache holds none of them.
        model: of all rows that name no other.
        own: whether that is the study's.
        experiments: of the model, by benchmark.
        others: of all models, by model and benchmark.
    """

    table: Table
    model: str
    own: bool
    experiments: dict[str, Experiment]
    others: dict[str, dict[str, Experiment]]

    def experiment(self, line: TableAxis, benchmark: str = "") -> Experiment | None:
        """Where a cell is measured; None if the cache lacks it."""
        there = self.others.get(line.model, {}) if line.model else self.experiments
        return there.get(benchmark or line.benchmark or self.table.benchmark)


def targets(table: Table, found: Sequence[Experiment]) -> list[ReproductionTarget]:
    """The study's own model if the cache holds it, else every model there; one at least."""
    others: dict[str, dict[str, Experiment]] = {}
    for s in found:  # of several ways of asking, the one with most conditions
        c = s.key
        mine = others.setdefault(c.model, {})
        if c.benchmark not in mine or len(s.conditions) > len(mine[c.benchmark].conditions):
            mine[c.benchmark] = s
    models = [table.model] if table.model in others else list(others)
    return [_placed(table, model, others) for model in models or [table.model]]


def _placed(
    table: Table, model: str, others: dict[str, dict[str, Experiment]]
) -> ReproductionTarget:
    own, there = model == table.model, others.get(model, {})
    wanted = benchmarks(table)
    if own or not there or any(b in there for b in wanted):
        return ReproductionTarget(table, model, own, there, others)
    if table.benchmark:
        stand_in = _likest(table.benchmark, list(there))
        return ReproductionTarget(replace(table, benchmark=stand_in), model, own, there, others)
    first, names = table.columns[0], tuple(sorted(there))
    columns = tuple(replace(first, label=b, benchmark=b) for b in names)
    columns += tuple(replace(c, over=names) for c in table.columns if c.over)
    return ReproductionTarget(replace(table, columns=columns), model, own, there, others)


def benchmarks(table: Table) -> list[str]:
    """That a table is about."""
    own = [line.benchmark for line in (*table.rows, *table.columns)]
    return [b for b in dict.fromkeys([table.benchmark, *own]) if b]


def _likest(benchmark: str, there: Sequence[str]) -> str:
    """One whose answers are of the same kind, else the first."""
    alike = [b for b in sorted(there) if _kind(b) == _kind(benchmark)]
    return (alike or sorted(there))[0]


def _kind(benchmark: str) -> str:
    try:
        kind = str(getattr(registry.load("benchmarks", benchmark), "kind", ""))
    except CalpruneError:  # of a plug-in that is not installed here, or a file's name
        kind = ""
    return "yes/no" if kind == "yes/no" or benchmark == "shapes" else "other"


def whole(experiment: Experiment) -> bool:
    """Whether as many rows as published were asked."""
    table = experiment.first
    try:
        counts = getattr(registry.load("benchmarks", table.condition.benchmark), "published", None)
    except CalpruneError:
        return True
    rows = getattr(counts, "rows", 0)
    return not rows or len(table) == rows


def conditions_of(experiment: Experiment, line: TableAxis, tokens: int) -> list[ConditionRuns]:
    """Those of a spec at a budget of ``tokens``, chosen canonically."""
    found = [
        runs
        for runs in matches(line.select, experiment.conditions)
        if runs.condition.numerics is None
        and (
            line.keep is None or _same_budget(runs.condition.budget, line.keep, tokens, experiment)
        )
    ]
    usual = [runs for runs in found if runs.condition.positions == "contiguous"]
    return usual or found


def _same_budget(budget: Budget, keep: int, of: int, experiment: Experiment) -> bool:
    if budget == ALL_TOKENS or budget.kind != "count":
        return False
    seen = max((runs.kept for runs in experiment.conditions if runs.full), default=float(TOKENS))
    return budget.value == scaled(keep, TOKENS * (CROPS if seen > 1.5 * TOKENS else 1), of)
