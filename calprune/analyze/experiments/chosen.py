"""Conditions by what ``--select`` and ``--keep`` say, as for collecting them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from calprune import registry
from calprune.analyze.experiments.columns import called
from calprune.analyze.experiments.match import matches
from calprune.data.condition import Budget
from calprune.data.condition_names import budget_text, parse_name, spec_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError
from calprune.terminal import remark


def chosen(
    tables: Sequence[LogitTable],
    select: Sequence[str] = (),
    keep: str | None = None,
    against: str | None = None,
) -> list[LogitTable]:
    """Those that are selected, of the budgets that are named; all without either.

    Models and benchmarks of which nothing is left are named on stderr.

    Args:
        tables: sealed logits.
        select: names, in full or short, with values separated by commas as for collecting:
            ``scope:alpha=0,0.5 @64``.
        keep: budgets, ``64,25%``; ``full`` and ``blind``, whose names tell none, stay.
        against: the reference that is asked for, which must be among them.

    Raises:
        PlanError: a name or budget that nothing here has, nothing that has both, or a reference
            that is left out.
    """
    by_name = list(tables)
    if select:
        by_name = list(called(tables, [name for text in select for name in each_name(text)]))
    left = by_name if keep is None else _of_budgets(by_name, keep)
    if against is not None and matches(against, tables) and not matches(against, left):
        lost = not matches(against, by_name)
        way = f"add --select '{against}'" if lost else "name its budget too"
        raise PlanError(
            f"--against {against}: {'--select' if lost else '--keep'} leaves it out: {way}"
        )
    there = {(t.condition.model, t.condition.benchmark) for t in left}
    asked = dict.fromkeys((t.condition.model, t.condition.benchmark) for t in tables)
    for model, benchmark in asked:
        if (model, benchmark) not in there:
            remark(f"{model} on {benchmark} has none of the selected conditions: left out")
    return left


def each_name(text: str) -> list[str]:
    """The names that one text stands for: values, budgets and seeds are separated by commas."""
    first, *rest = text.split() or [""]
    several = [word.startswith(("@", "seed=")) for word in rest]
    words = [_each(first), *(_each(w) if s else [w] for w, s in zip(rest, several, strict=True))]
    return [" ".join(one) for one in itertools.product(*words)]


def _each(word: str) -> list[str]:
    """A word of a name once for each of its values; a comma within a value is written ``%2C``."""
    parts = [_values(part) for part in word.replace("@", ":@").split(":")]
    return [":".join(one).replace(":@", "@") for one in itertools.product(*parts)]


def _values(part: str) -> list[str]:
    """``alpha=0,0.5`` or ``@64,128``, value by value."""
    before = part[: part.find("=") + 1] or part[: part.startswith("@")]
    return [before + value.strip() for value in part.removeprefix(before).split(",")]


def _of_budgets(tables: Sequence[LogitTable], keep: str) -> list[LogitTable]:
    """Those of the budgets, and those whose names tell none."""
    told = [spec_of(t.condition).budget is not None for t in tables]
    own = [t for t, is_told in zip(tables, told, strict=True) if is_told]
    if not own:
        raise PlanError(f"--keep {keep}: none of these conditions has a budget: leave it out")
    found: set[int] = set()
    for item in keep.split(","):
        budget, scope = _budget(keep, item.strip())
        same = [
            id(t)
            for t in own
            for b in [t.condition.budget]
            if (b.kind, b.value) == (budget.kind, budget.value) and scope in (None, b.scope)
        ]
        if not same:
            there = dict.fromkeys(budget_text(t.condition) for t in own)
            raise PlanError(f"--keep: {registry.unknown('budget', item.strip(), there)}")
        found.update(same)
    return [t for t, is_told in zip(tables, told, strict=True) if not is_told or id(t) in found]


def _budget(keep: str, item: str) -> tuple[Budget, str | None]:
    try:
        spec = parse_name(f"any@{item}")
    except PlanError:
        spec = None
    if spec is None or spec.budget is None or len(item.split()) != 1:
        raise PlanError(
            f"--keep {keep!r}: {item!r} is not a number of tokens; write e.g. 64,128 or 25%"
        )
    return spec.budget, spec.scope
