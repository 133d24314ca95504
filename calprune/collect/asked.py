"""What a request asks: its benchmark, opened and checked. Needs no model and imports no torch."""

from __future__ import annotations

from typing import NamedTuple

from calprune.collect.request import CollectRequest
from calprune.collect.stages.image_check import check_images, most_left_out
from calprune.data.benchmark_check import differences
from calprune.data.questions import Questions, find_benchmark, open_questions
from calprune.errors import BenchmarkError


class Asked(NamedTuple):
    """Questions, what is wrong with images that are left out, and notes for readers."""

    questions: Questions
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def generated(request: CollectRequest) -> bool:
    """Whether the benchmark's images are made by its own code, which takes long and no file."""
    return str(getattr(find_benchmark(request.bench), "origin", "")).startswith("generated")


def open_asked(request: CollectRequest) -> Asked:
    """The benchmark of a request.

    Raises:
        BenchmarkError: its files are missing or cannot be used, or, where the request is strict,
            are not what was published.
    """
    bench, strict = request.bench, request.strict
    opened = open_questions(bench, request.data_folder, request.images, strict)
    if request.reply_tokens:
        opened = opened.replying(request.reply_tokens)
    questions, left_out = check_images(opened, strict, most_left_out(request.max_left_out, strict))
    notes = list(questions.notes)
    if request.images is None:
        published = getattr(find_benchmark(bench), "published", None)
        if foreign := differences(questions, published):
            more = f"; and {len(foreign) - 3} more" if len(foreign) > 3 else ""
            note = (
                f"not as published ({'; '.join(foreign[:3])}{more}), so that results are not "
                f"comparable with published ones; 'calprune data check {bench}' says all"
            )
            if strict:
                raise BenchmarkError(f"{bench}: {note}")
            notes.append(note)
    return Asked(questions, left_out, tuple(notes))
