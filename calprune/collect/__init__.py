"""Fills the cache: plan, then encode, choose and ask, three rooms that meet in sealed files.

``calprune.collect`` names this package and, called, runs ``calprune.collect.run.collect``:
importing any part of the package binds the name to it, so it has to answer a call.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calprune.collect.run import Outcome


class _Callable(ModuleType):
    def __call__(self, bench: str = "shapes", **options: Any) -> Outcome:
        """Collect a benchmark; see ``calprune.collect.run.collect``."""
        from calprune.collect.run import collect

        return collect(bench, **options)


sys.modules[__name__].__class__ = _Callable
