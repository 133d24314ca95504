"""Which conditions a name means: one rule for whoever asks by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from calprune import registry
from calprune.data.condition import Condition
from calprune.data.condition_names import name_of, named, parse_name
from calprune.errors import PlanError


class OfCondition(Protocol):
    """Runs of a condition, a sealed file of one, or anything else that has one."""

    @property
    def condition(self) -> Condition: ...  # noqa: D102


Item = TypeVar("Item", bound=OfCondition)


def matches(spec: str, runs: Sequence[Item]) -> list[Item]:
    """Those that a name, a part of one or a key stands for; none if there are none.

    ``scope:alpha=0 @128``, as tables print it; ``scope:alpha=0`` at any budget; ``scope``. What a
    name leaves out is any, or neutral where names are silent about it: see ``condition_names``.

    Raises:
        PlanError: what cannot be a name.
    """
    exact = str(parse_name(spec))
    found = [one for one in runs if name_of(one.condition) == exact]
    return found or [runs[i] for i in named(spec, [one.condition for one in runs])]


def match(spec: str, runs: Sequence[Item]) -> list[Item]:
    """The same, at least one.

    Raises:
        PlanError: nothing is called so; names the nearest and lists what there is.
    """
    found = matches(spec, runs)
    if not found:
        there = dict.fromkeys(name_of(one.condition) for one in runs)
        raise PlanError(registry.unknown("condition", spec, there))
    return found


def one_of(spec: str, found: Sequence[Item]) -> Item:
    """The only one of those that match; PlanError, listing them, if there are several."""
    if len(found) > 1:
        listed = ", ".join(dict.fromkeys(name_of(one.condition) for one in found))
        raise PlanError(f"several conditions are called {spec!r}, choose one: {listed}")
    return found[0]
