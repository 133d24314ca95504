"""Forms in which an estimate is printed."""

from __future__ import annotations

from calprune import registry
from calprune.errors import PlanError


def check_form(form: str) -> None:
    """PlanError for a form that an estimate does not have."""
    if form not in ("table", "json"):
        raise PlanError(registry.unknown("format", form, ("table", "json")))
