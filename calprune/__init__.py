"""calprune: does visual token pruning keep a multimodal model's confidence right?

    import calprune

    calprune.collect("shapes", store="store")            # needs the [collect] extra
    study = calprune.open("store")                       # no torch
    study.select(selector="scope", budget=64).estimates(["ece", "accuracy"], by="split")
    study.compare("ece", against="full")
    study.draw("figures")

Names are resolved when first used, so that importing calprune costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calprune.analyze.study import Study
    from calprune.analyze.study import open_study as open
    from calprune.collect.inspection.overlap import compare_selections
    from calprune.collect.run import collect, prepare
    from calprune.data.condition import Budget, Condition
    from calprune.errors import CalpruneError

__version__ = "0.1.0"
__all__ = [
    "Budget",
    "CalpruneError",
    "Condition",
    "Study",
    "collect",
    "compare_selections",
    "open",
    "prepare",
]

_HOMES = {
    "open": ("calprune.analyze.study", "open_study"),
    "Study": ("calprune.analyze.study", "Study"),
    "collect": ("calprune.collect.run", "collect"),
    "compare_selections": ("calprune.collect.inspection.overlap", "compare_selections"),
    "prepare": ("calprune.collect.run", "prepare"),
    "Budget": ("calprune.data.condition", "Budget"),
    "Condition": ("calprune.data.condition", "Condition"),
    "CalpruneError": ("calprune.errors", "CalpruneError"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'calprune' has no attribute {name!r}")
    from calprune.extras import needed

    module, attribute = _HOMES[name]
    with needed(f"calprune.{name}"):
        found = getattr(import_module(module), attribute)
    # importing a subpackage binds its name here, which must not depend on the order of use
    return import_module("calprune.collect") if name == "collect" else found


def __dir__() -> list[str]:
    return sorted(__all__)
