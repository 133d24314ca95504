"""Which images can be shown to a model at all; ``data check`` and ``collect`` ask the same."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from calprune.data.benchmark import Picture
from calprune.data.pictures import problem
from calprune.data.questions import Questions

_AT_ONCE = 64  # encoded images in memory

Tick = Callable[[int, int], None]


def unusable(questions: Questions, tick: Tick | None = None) -> dict[str, str]:
    """Images that cannot be shown to a model, and what is wrong with each; all are looked at.

    Without Pillow they are only read. ``tick`` is told, now and then, how many of how many were.
    """
    images, bad = questions.images, dict[str, str]()
    if isinstance(questions.picture(images[0]), np.ndarray):
        return bad  # generated
    look = problem if find_spec("PIL") is not None else _unread
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # the decoder's, about odd files that it can read
        for first in range(0, len(images), _AT_ONCE):
            few = images[first : first + _AT_ONCE]
            # read in order, as tables are streamed; decoded side by side
            found = pool.map(look, [questions.picture(image) for image in few])
            bad |= {image: why for image, why in zip(few, found, strict=True) if why}
            if tick:
                tick(first + len(few), len(images))
    return bad


def _unread(picture: Picture) -> str:
    try:
        if isinstance(picture, Path):
            picture.read_bytes()
    except OSError as error:
        return f"cannot read image {picture}: {error.strerror or error}"
    return ""
