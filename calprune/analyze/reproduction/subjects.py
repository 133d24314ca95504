"""Which of the cached conditions stands for which of the study's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune import registry
from calprune.analyze.cells import Cell, Setting
from calprune.data.condition import ALL_TOKENS, Budget, Scalar
from calprune.data.studies import TOKENS, Line, Table, scaled
from calprune.errors import CalpruneError

CROPS = 5  # of a LLaVA-NeXT, whose budgets are of five times the tokens


@dataclass(frozen=True)
class Subject:
    """A study's table as it is measured: on whom, and on which benchmarks.

    ``own``: the study's model; ``table`` has the benchmarks that stand in for the study's, if the
    cache holds none of them.
    """

    table: Table
    model: str
    own: bool
    settings: dict[str, Setting]


def subjects(table: Table, found: Sequence[Setting]) -> list[Subject]:
    """The study's own model if the cache holds it, else every model there; one at least."""
    models = list(dict.fromkeys(s.cells[0].tables[0].condition.model for s in found))
    models = [table.model] if table.model in models else models
    made = []
    for model in models or [table.model]:
        mine = [s for s in found if s.cells[0].tables[0].condition.model == model]
        by_name: dict[str, Setting] = {}
        for s in mine:  # of several ways of asking, the one with most conditions
            name = s.cells[0].tables[0].condition.benchmark
            if name not in by_name or len(s.cells) > len(by_name[name].cells):
                by_name[name] = s
        made.append(_placed(table, model, by_name))
    return made


def _placed(table: Table, model: str, there: dict[str, Setting]) -> Subject:
    own = model == table.model
    wanted = benchmarks(table)
    if own or not there or any(b in there for b in wanted):
        return Subject(table, model, own, there)
    if table.benchmark:
        stand_in = _likest(table.benchmark, list(there))
        return Subject(replace(table, benchmark=stand_in), model, own, there)
    first = table.columns[0]
    columns = tuple(replace(first, label=b, benchmark=b) for b in sorted(there))
    return Subject(replace(table, columns=columns), model, own, there)


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


def whole(setting: Setting) -> bool:
    """Whether as many rows as published were asked."""
    table = setting.cells[0].tables[0]
    try:
        counts = getattr(registry.load("benchmarks", table.condition.benchmark), "published", None)
    except CalpruneError:
        return True
    rows = getattr(counts, "rows", 0)
    return not rows or len(table) == rows


def matching(setting: Setting, line: Line, tokens: int) -> list[Cell]:
    """The cells of a spec at a budget of ``tokens``, chosen canonically, the model unquantised."""
    name, *parts = line.select.split(":")
    asked = dict(part.split("=", 1) for part in parts)
    found = []
    for cell in setting.cells:
        c = cell.tables[0].condition
        plain = (c.numerics, c.weights, c.kv) == (None, None, None)
        alike = c.selector == name and plain and _has(dict(c.parameters), asked)
        if alike and (line.keep is None or _same_budget(c.budget, line.keep, tokens, setting)):
            found.append(cell)
    usual = [x for x in found if x.tables[0].condition.positions == "contiguous"]
    return usual or found


def _has(parameters: dict[str, Scalar], asked: dict[str, str]) -> bool:
    return all(key in parameters and _same(parameters[key], text) for key, text in asked.items())


def _same(value: Scalar, text: str) -> bool:
    if isinstance(value, bool | str):
        return str(value).lower() == text.lower()
    try:
        return float(value) == float(text)
    except ValueError:
        return False


def _same_budget(budget: Budget, keep: int, of: int, setting: Setting) -> bool:
    if budget == ALL_TOKENS or budget.kind != "count":
        return False
    seen = max((cell.kept for cell in setting.cells if cell.full), default=float(TOKENS))
    return budget.value == scaled(keep, TOKENS * (CROPS if seen > 1.5 * TOKENS else 1), of)
