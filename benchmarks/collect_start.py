"""What ``collect`` takes where there is nothing to collect: all sealed already, or a mistake.

    python -m benchmarks.collect_start [runs]

Whole processes, medians of CPU seconds. Everything is sealed beforehand, in a small store: three
conditions of three images, by the command itself, whose plan is then remembered in a cache folder
of this script's own. ``CALPRUNE_STORE`` may name a store with the whole study instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.process import charged
from benchmarks.ratio import Ratio, show

SMALL = ("--bench", "shapes", "--images", "3", "--select", "scope:alpha=0,0.5,1", "--keep", "64")
STUDY = ("--study", "calibration", "--bench", "shapes")
WRONG = {
    "a wrong selector": ("--select", "scoop:alpha=1"),
    "a wrong model": ("--model", "/no/such/folder"),
    "a wrong budget": ("--keep", "6000"),
}


def measured(quick: bool = False, runs: int = 0) -> Iterable[Ratio]:
    """CPU seconds of a collection with nothing to do, and of refusals."""
    runs = runs or (3 if quick else 7)
    with TemporaryDirectory() as folder:
        store = os.environ.get("CALPRUNE_STORE", "")
        asked = STUDY if store else SMALL
        words = ["-m", "calprune", "collect", *asked, "--store", store or str(Path(folder) / "s")]
        env = {"XDG_CACHE_HOME": str(Path(folder) / "cache")}
        charged(words, env)
        seen = [charged(words, env).cpu for _ in range(runs)]
        yield Ratio("collect, nothing to do", median(seen), "CPU s", 2.5)
        for what, mistake in WRONG.items():
            words = ["-m", "calprune", "collect", *mistake, "--store", str(Path(folder) / "none")]
            seen = [charged(words, env, code=2).cpu for _ in range(runs)]
            yield Ratio(f"collect, {what}", median(seen), "CPU s", 1.5)


if __name__ == "__main__":
    show(measured(runs=int(sys.argv[1]) if sys.argv[1:] else 0))
