"""Fills the cache: plan, then encode, choose and ask, three rooms that meet in sealed files.

``calprune.collect`` names this package and, called, runs ``calprune.collect.run.collect``, or
``calprune.collect.studies.collect_study`` where a study is named: importing any part of the package
binds the name to it, so it has to answer a call.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calprune.collect.run import Outcome


class _Callable(ModuleType):
    def __call__(self, bench: str = "", study: str = "", **options: Any) -> Outcome | list[Outcome]:
        """Collect a benchmark, or each of a study's; see ``calprune.collect.run.collect``."""
        from calprune.collect.run import collect
        from calprune.collect.studies import collect_study

        if study:
            return collect_study(study, bench, **options)
        return collect(bench or "shapes", **options)


sys.modules[__name__].__class__ = _Callable
