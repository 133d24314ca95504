"""What ``calprune collect`` says when it is done, or was stopped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from calprune.terminal import counted, printable

if TYPE_CHECKING:
    from calprune.collect.planned_before import Planned
    from calprune.collect.run import Outcome
    from calprune.collect.stages.plan import Plan


def done(planned: Planned, sealed: int) -> str:
    """What is said when all of a plan is sealed, so many conditions by this run."""
    total, where = counted(len(planned.conditions), "condition"), planned.store
    new = f"{sealed} new" if sealed else "nothing to do"
    without = _without(planned)
    what = f"{total} of {planned.benchmark} on {planned.model} in {where} "
    return printable(f"{what}({new}{without}); next: calprune analyze --store {where}")


def _without(planned: Planned) -> str:
    """How many images are left out, if any."""
    lost = len(planned.left_out)
    return f", {lost:,} of {counted(planned.images + lost, 'image')} left out" if lost else ""


def stopped(plan: Plan, missing: int) -> typer.Exit:
    """Say how far it came; the end of the command."""
    from calprune.collect.planned_before import planned

    total = counted(len(plan.conditions), "condition")
    print(
        f"calprune: stopped; {len(plan.conditions) - missing} of {total} are sealed in "
        f"{plan.store.root}{_without(planned(plan))} and every finished part is saved: run the "
        "same command again to go on",
        file=sys.stderr,
    )
    return typer.Exit(130)


def conclude(outcome: Outcome) -> None:
    """Say what was audited and sealed; ends the command where it was stopped."""
    from calprune.collect.planned_before import planned

    plan, told = outcome.plan, planned(outcome.plan)
    for a in outcome.audits:
        print(
            f"audit {printable(a.label)}: {counted(a.rows, 'row')}, "
            f"largest logit difference {a.worst_logit:.1e}, "
            f"log-sum-exp {a.worst_log_z:.1e}, answers changed {a.flipped}"
        )
    total = counted(len(plan.conditions), "condition")
    where = plan.store.root
    without = _without(told)
    if outcome.stopped:
        raise stopped(plan, outcome.missing)
    if outcome.missing:
        print(
            f"this shard is done{without}; {outcome.missing} of {total} in {where} wait for parts "
            "of other shards, the last to finish seals them"
        )
        return
    print(done(told, outcome.sealed))
