"""Selectors that a refusal may propose instead. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calprune import registry
from calprune.collect.adapter import Adapter
from calprune.collect.pruning_stages import is_in_model
from calprune.errors import PlanError


def with_compat() -> str:
    """Names of selectors that also choose as their reference code does."""
    return ", ".join(n for n, s in _loadable() if "compat" in getattr(s, "numerics", ()))


def serving(adapter: Adapter, *, before_layers: bool = False) -> str:
    """Names of selectors that a model serves; only those that choose ``before_layers`` run."""
    return ", ".join(
        name
        for name, s in _loadable()
        if s.needs <= adapter.measures.keys() and not (before_layers and is_in_model(s))
    )


def _loadable() -> Iterator[tuple[str, Any]]:
    for name in registry.names("selectors"):
        try:
            yield name, registry.load("selectors", name)
        except Exception:  # a foreign plug-in may fail in any way; it is not one to propose
            continue


def check_compat(name: str, selector: object) -> None:
    """PlanError if a selector, whose choice is called so, does not choose as reference code."""
    if "compat" not in getattr(selector, "numerics", ()):
        raise PlanError(
            f"{name} has no compat numerics; leave it out, or choose --numerics canonical. "
            f"Selectors that have: {with_compat()}"
        )
