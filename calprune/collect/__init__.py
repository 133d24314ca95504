"""Fills the cache: plan, then encode, select and ask, three stages that meet in sealed files.

``calprune.collect`` names this package and, called, runs ``calprune.collect.run.collect``, or
``calprune.collect.studies.collect_study`` where a study is named: importing any part of the package
binds the name to it, so it has to answer a call.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from calprune.collect.request import CollectOptions
    from calprune.collect.run import Outcome, Progress


class _Callable(ModuleType):
    def __call__(
        self,
        bench: str = "",
        *,
        progress: Progress | None = None,
        **options: Unpack[CollectOptions],
    ) -> Outcome | list[Outcome]:
        """Collect a benchmark, or each of a study's; see ``calprune.collect.run.collect``."""
        from calprune.collect.run import collect
        from calprune.collect.studies import collect_study

        if study := options.pop("study", ""):
            return collect_study(study, bench, progress=progress, **options)
        return collect(bench or "shapes", progress=progress, **options)


sys.modules[__name__].__class__ = _Callable
