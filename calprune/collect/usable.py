"""Which images can be shown to a model at all, found out before anything is spent."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from calprune.collect.hf.pictures import open_picture
from calprune.data.benchmarks import Picture
from calprune.data.questions import Questions
from calprune.errors import BenchmarkError

_AT_ONCE = 64  # encoded images in memory


def usable(questions: Questions, strict: bool = False) -> tuple[Questions, tuple[str, ...]]:
    """The benchmark less images that cannot be decoded or used, and what is wrong with each.

    Images that could not even be read come first. What is left out is part of the benchmark's
    digest, so that its results cannot be taken for the whole one's. Raises BenchmarkError for the
    first bad image if ``strict``.
    """
    if isinstance(questions.picture(questions.images[0]), np.ndarray):
        return questions, questions.left_out  # generated, not decoded
    bad: dict[str, str] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for first in range(0, len(questions.images), _AT_ONCE):
            few = questions.images[first : first + _AT_ONCE]
            # read in order, as tables are streamed; decoded side by side
            found = pool.map(_problem, [questions.picture(image) for image in few])
            bad |= {image: why for image, why in zip(few, found, strict=True) if why}
    if not bad:
        return questions, questions.left_out
    if strict:
        raise BenchmarkError(next(iter(bad.values())))
    return questions.without(bad), (*questions.left_out, *bad.values())


def _problem(picture: Picture) -> str:
    try:
        open_picture(picture)
    except BenchmarkError as error:
        return str(error)
    return ""
