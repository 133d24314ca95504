"""Every target of speed and memory beside what this machine reaches, in one run.

    make bench                                          # the quick form, some minutes
    make bench BENCH_ARGS='--full --out build/bench.md'

Ratios are of sides that alternate in the same run. The quick form runs fewer times and takes fewer
conditions or resamples where more take minutes, as its rows say. On a machine with a GPU, the
real-size model is measured as well. The exit status is 0, met or not: no timing decides anything.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks.ratio import Ratio

SCRIPTS = (
    "startup",
    "cold_analyze",
    "bootstrap",
    "many_clusters",
    "swap_tests",
    "report_and_figures",
    "collect_start",
    "selection",
    "every_selector",
    "features_to_disk",
)
PACKAGES = ("numpy", "h5py", "numba", "torch", "transformers")


def where() -> str:
    """Machine and versions, in one line."""
    known = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} {platform.machine()} cores, "
        f"{platform.system()}, Python {platform.python_version()}, {known}"
    )


def scripts(only: str) -> Iterator[str]:
    """What to run: all, or those named; the real-size model where there is a GPU."""
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    unknown = sorted(set(chosen) - {*SCRIPTS, "real_size"})
    if unknown:
        raise SystemExit(f"no script {', '.join(unknown)}; there are {', '.join(SCRIPTS)}")
    yield from (name for name in SCRIPTS if not chosen or name in chosen)
    if "real_size" in chosen or (not chosen and _gpu()):
        yield "real_size"


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def row(ratio: Ratio) -> str:
    """A row of the table in ``docs/performance.md``."""
    bound = "≤" if ratio.better == "lower" else "≥"
    verdict = "yes" if ratio.met else "**no**"
    shown = f"{ratio.value:.3g}" if ratio.value < 1000 else f"{ratio.value:,.0f}"
    return f"| {ratio.name} | {bound} {ratio.target:g} {ratio.unit} | {shown} | {verdict} |"


def table(ratios: Iterable[Ratio]) -> str:
    """All rows under a heading, as Markdown."""
    return "\n".join(["| what | target | measured | met |", "|---|---|---|---|", *map(row, ratios)])


def main() -> None:
    """Run, print each figure as soon as it is there, and write the table if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--full", action="store_true", help="more runs, and what takes minutes")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(SCRIPTS)}")
    parser.add_argument("--out", type=Path, help="write the table there, as Markdown")
    asked = parser.parse_args()
    chosen, began, found = list(scripts(asked.only)), time.perf_counter(), []
    print(where())
    for name in chosen:
        start = time.perf_counter()
        print(f"== {name}", flush=True)
        for ratio in import_module(f"benchmarks.{name}").measured(quick=not asked.full):
            print(ratio, flush=True)
            found.append(ratio)
        print(f"   {time.perf_counter() - start:.0f} s", flush=True)
    missed = [ratio for ratio in found if not ratio.met]
    print(f"{len(found) - len(missed)} of {len(found)} met, in {time.perf_counter() - began:.0f} s")
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(f"{where()}\n\n{table(found)}\n", encoding="utf-8")
        print(f"table: {asked.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
