"""Which images can be shown to a model at all, found out before anything is spent."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from calprune.collect.hf.pictures import open_picture
from calprune.data.benchmarks import Questions
from calprune.errors import BenchmarkError


def usable(questions: Questions, strict: bool = False) -> tuple[Questions, tuple[str, ...]]:
    """The benchmark less images that cannot be decoded or used, and what is wrong with each.

    What is left out is part of the benchmark's digest, so that its results cannot be taken for
    the whole one's. Raises BenchmarkError for the first bad image if ``strict``.
    """
    if not isinstance(questions.picture(questions.images[0]), Path):
        return questions, ()  # generated, not decoded

    def problem(image: str) -> str:
        try:
            open_picture(questions.picture(image))
        except BenchmarkError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(problem, questions.images))
    bad = {i: p for i, p in zip(questions.images, found, strict=True) if p}
    if not bad:
        return questions, ()
    if strict:
        raise BenchmarkError(next(iter(bad.values())))
    return questions.without(bad), tuple(bad.values())
