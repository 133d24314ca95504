"""Texts of questions: logit files hold them for replies only, so benchmarks at hand are asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calprune.analyze.results.rows import Asked
from calprune.data.questions import find_benchmark
from calprune.data.storage.logits import LogitTable
from calprune.errors import BenchmarkError, CalpruneError, PlanError


def texts_at_hand(
    tables: Sequence[LogitTable], data: Path | None = None
) -> tuple[dict[str, dict[str, Asked]], list[str]]:
    """Questions by benchmark and id, and sentences about those that are not at hand.

    No image is read. A question is shown only where id, right answer, split and category are those
    that were asked; the same id may be another question in another release.

    Args:
        tables: sealed logits.
        data: folder with the files of their only benchmark; None for what is embedded or fetched.

    Raises:
        PlanError: a folder for several benchmarks, or for one that reads no files.
        BenchmarkError: the folder does not hold the benchmark.
    """
    first = {table.condition.benchmark: table for table in reversed(tables)}
    if data is not None and len(first) > 1:
        raise PlanError(f"--data {data} is of one benchmark: choose it with --bench")
    found, missing = {}, []
    for name, table in first.items():
        try:
            found[name] = _texts(name, table, data)
        except CalpruneError as error:
            if data is not None:
                raise
            missing.append(f"no texts of questions of {name}, which caches do not hold: {error}")
    return found, missing


def _texts(name: str, table: LogitTable, data: Path | None) -> dict[str, Asked]:
    benchmark = find_benchmark(name)
    if data is not None and not getattr(benchmark, "reads_files", True):
        raise PlanError(f"--data is not read by {name}, which is generated: leave it out")
    asked = {
        row: values
        for row, *values in zip(
            table.id.tolist(),
            table.label.tolist(),
            table.split.tolist(),
            table.category.tolist(),
            strict=True,
        )
    }
    found = {
        e.id: Asked(e.prompt, e.image)
        for e in benchmark.open(data).examples
        if asked.get(e.id) == [e.label, e.split, e.category]
    }
    if not found:
        raise BenchmarkError("the files at hand hold none of the questions that were asked")
    return found
