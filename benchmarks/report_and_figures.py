"""CPU seconds of ``calprune report`` and of ``analyze --plot``, each in a process of its own.

    python -m benchmarks.report_and_figures [--full]

The larger cache is the one at ``CALPRUNE_STORE``, or made up in the shape of that of ``make demo``:
the 20 conditions of the study ``calibration``, 4,500 questions on 250 images in three splits.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.bootstrap import made_up
from benchmarks.cold_analyze import write_table
from benchmarks.process import in_turn
from benchmarks.ratio import Ratio, show
from calprune.data.condition import ALL_TOKENS, Budget, Scalar
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.store import Store

QUESTIONS = 4_500
SPLITS = ("random", "popular", "adversarial")
Asked = tuple[str, Mapping[str, Scalar], int | None, int | None]
CONDITIONS: tuple[Asked, ...] = (
    ("full", {}, None, None),
    *(("random", {}, k, seed) for k in (64, 128) for seed in range(3)),
    *(("saliency", {}, k, None) for k in (64, 128)),
    *(("scope", {"alpha": a, "gap_power": 1.0}, k, None) for a in (0.0, 0.5) for k in (64, 128)),
    *(("scope", {"alpha": a, "gap_power": 1.0}, 192, None) for a in (0.0, 0.5)),
    *(("scope", {"alpha": 1.0, "gap_power": 1.0}, k, None) for k in (32, 64, 128, 192)),
    ("fastv", {"budget_means": "kept", "layer": 2}, 128, None),
)
"""Selector, its parameters, tokens kept and seed."""


def condition(number: int) -> LogitTable:
    """One of them with made-up logits, which are worse where less is kept."""
    selector, parameters, kept, seed = CONDITIONS[number]
    table = made_up(number)
    part = slice(QUESTIONS)
    cut: dict[str, Any] = {
        name: value[part]
        for name, value in vars(table).items()
        if isinstance(value, np.ndarray) and len(value) == len(table)
    }
    told = replace(
        table.condition,
        benchmark="shapes",
        selector=selector,
        parameters=tuple(sorted(parameters.items())),
        budget=ALL_TOKENS if kept is None else Budget("count", kept),
        seed=seed,
        positions="original" if selector == "fastv" else "contiguous",
    )
    sharper = np.float32(0.7 + 0.3 * min(kept or 576, 192) / 192)
    cut["answer_logits"] = cut["answer_logits"] * sharper
    cut["split"] = np.asarray(SPLITS)[np.arange(QUESTIONS) % 3]
    return replace(table, condition=told, **cut)


@contextmanager
def demo_store() -> Iterator[str]:
    """The cache at ``CALPRUNE_STORE``, or one made up for the time being."""
    there = os.environ.get("CALPRUNE_STORE", "")
    if there:
        yield there
        return
    with TemporaryDirectory() as folder:
        for number in range(len(CONDITIONS)):
            write_table(Store(Path(folder)), condition(number))
        yield folder


def measured(quick: bool) -> Iterable[Ratio]:
    """Both reports, and the figures of all conditions."""
    with demo_store() as store, TemporaryDirectory() as out:
        page = ("-m", "calprune", "report", "--out", f"{out}/report.html", "--store")
        asked = {
            "report of the sample": (*page, "sample"),
            "report of 20 conditions": (*page, store),
            "figures of 20 conditions, all formats": (
                *("-m", "calprune", "analyze", "--store", store, "--plot", out),
            ),
        }
        found = in_turn(asked, 1 if quick else 5)
        for name, target in zip(asked, (6.0, 9.0, 5.0), strict=True):
            yield Ratio(name, found[name].cpu, "CPU s", target)


def main() -> None:
    """Print all; with ``--full`` medians of five runs."""
    show(measured(quick="--full" not in sys.argv))


if __name__ == "__main__":
    main()
