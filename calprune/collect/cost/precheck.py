"""What is wrong with a request for an estimate, told before torch is imported."""

from __future__ import annotations

from calprune import registry
from calprune.collect.cost.speed import assumed
from calprune.collect.precheck import refuse_names
from calprune.collect.request import CollectRequest
from calprune.errors import PlanError


def check_form(form: str) -> None:
    """PlanError for a form that an estimate is not printed in."""
    if form not in ("table", "json"):
        raise PlanError(registry.unknown("format", form, ("table", "json")))


def refuse_estimate(request: CollectRequest, gpu: str, form: str) -> None:
    """Raise what is plainly wrong with an estimate of a request's cost; PlanError or ModelError."""
    check_form(form)
    if gpu:
        assumed(gpu)
    refuse_names(request)
