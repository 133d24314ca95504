"""The benchmark that is asked: without the images that cannot be used, unless they are many."""

from __future__ import annotations

import math

from calprune.data.questions import Questions
from calprune.data.usable_images import unusable
from calprune.errors import BenchmarkError, PlanError

MOST_LEFT_OUT = 0.01


def most_left_out(given: float | None, strict: bool = False) -> float:
    """The share of images that may be left out; PlanError if none can be meant."""
    if strict and given is not None:
        raise PlanError("--strict leaves no image out: leave --max-left-out out, or --strict")
    share = MOST_LEFT_OUT if given is None else given
    if not 0.0 <= share <= 1.0:
        raise PlanError(f"--max-left-out {share:g}: a share lies between 0 and 1, or 0% and 100%")
    return share


def check_images(
    questions: Questions, strict: bool = False, most: float = MOST_LEFT_OUT
) -> tuple[Questions, tuple[str, ...]]:
    """The benchmark less images that cannot be decoded or used, and what is wrong with each.

    Images that could not even be read come first. What is left out is part of the benchmark's
    digest, so that its results cannot be taken for the whole one's. Raises BenchmarkError for the
    first bad image if ``strict``, and if a larger share than ``most`` is left out.
    """
    bad = unusable(questions)
    left_out = (*questions.left_out, *bad.values())
    if strict and bad:
        raise BenchmarkError(left_out[0])
    rest = questions.without(bad) if bad else questions
    n, total = len(left_out), len(questions.images) + len(questions.left_out)
    if n > most * total:
        raise BenchmarkError(
            f"{questions.name}: {n:,} of {total:,} images cannot be used, and at most "
            f"{100 * most:g} % may be left out: {left_out[0]}; 'calprune data check' names them "
            f"all: mend them, or go on without them by --max-left-out {math.ceil(100 * n / total)}%"
        )
    return rest, left_out
