"""Models: one adapter file a family. This module holds what they all share.

An adapter knows one model family: it turns images into visual tokens, questions into token ids,
and a pack into logits. Everything between (packing, masks, positions of packs) is shared code.
A plug-in file exports one class with the methods of ``Adapter``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.data.benchmarks import Answer
from calprune.errors import ModelError, PlanError

EMBEDDED = "shapes-llava"
_EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"


@dataclass(frozen=True)
class Seen:
    """One encoded image.

    ``view[name]`` float (v, d); ``saliency[name]`` float32 (v,), NaN on glue; ``cell`` int32
    (v, 3): crop, row, column; ``glue`` bool (v,); ``size`` height and width as processed.
    """

    view: dict[str, NDArray[np.floating]]
    saliency: dict[str, NDArray[np.float32]]
    cell: NDArray[np.int32]
    glue: NDArray[np.bool_]
    size: tuple[int, int]


@dataclass(frozen=True)
class Prompt:
    """Token ids around the visual tokens: ``before`` them, and the question's ``tail`` after."""

    before: tuple[int, ...]
    tail: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One image under one condition with all its distinct questions.

    ``visual`` float (k, d): kept rows of the view that the language model reads; ``positions``
    int64 (k,) position ids of the kept tokens; ``start``: position id of every tail's first token.
    """

    visual: NDArray[np.floating]
    positions: NDArray[np.int64]
    start: int
    tails: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Reply:
    """What the model says at the first generated position of q questions.

    ``logits`` float32 (q, vocabulary) from a float32 head; ``tokens`` and ``visual`` int32
    (q, layers): what each layer really let the question see.
    """

    logits: NDArray[np.float32]
    tokens: NDArray[np.int32]
    visual: NDArray[np.int32]


class Adapter(Protocol):
    """What a model plug-in offers. Opening one reads configuration and tokenizer, not weights.

    Attributes:
        title: one line for ``calprune ls``.
        name: the model's name in labels and folders.
        digest: SHA-256 over weights, configuration, tokenizer and image processor.
        share: how questions share a prefix: ``tree``, ``branch`` or ``none``.
        feed: the view that the language model reads.
        signal: the saliency that selectors read.
        measures: what ``view`` and ``saliency`` are, e.g. ``patches@-2`` and ``cls@-2:sum``.
        pixels: the class that turns images into pixels.
        candidates: visual tokens an image has (the most, where images differ).
        width: of the features, for the bill.
        dtype: in which tower and language model compute.
    """

    title: str
    name: str
    digest: str
    share: Literal["tree", "branch", "none"]
    feed: str
    signal: str
    measures: dict[str, str]
    pixels: str
    candidates: int
    width: int
    dtype: str

    def encode(self, images: Sequence[NDArray[np.uint8] | Path]) -> list[Seen]:
        """Run the vision tower once over a few images."""
        ...

    def template(self) -> str:
        """The rendered prompt with ``{question}`` and the image mark, as the tokenizer gets it."""
        ...

    def prompt(self, question: str) -> Prompt:
        """Token ids before and after the image."""
        ...

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        """Per answer the ids with which its spellings begin, found after the template."""
        ...

    def reply(self, rows: Sequence[Row]) -> Reply:
        """One packed forward; questions in order of rows, then of tails."""
        ...

    def generate(
        self,
        image: NDArray[np.uint8] | Path,
        question: str,
        kept: NDArray[np.integer],
        positions: str,
    ) -> NDArray[np.float32]:
        """Logits (vocabulary,) from transformers' own ``generate``, from pixels and text alone."""
        ...

    def numerics(self) -> dict[str, Any]:
        """What may move a logit by rounding only: device, attention kernel, batch size."""
        ...


def model_folder(name: str) -> tuple[str, Path]:
    """Name and folder of a model: the embedded one, or a local directory.

    Raises PlanError with what can be named instead.
    """
    if name == EMBEDDED:
        return name, _EMBEDDED_FOLDER / EMBEDDED
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return path.resolve().name, path
    raise PlanError(
        f"unknown model {name!r}: give a local folder in Hugging Face format, or {EMBEDDED!r}, "
        "which is part of calprune"
    )


def open_adapter(
    name: str = EMBEDDED,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    tokens_per_forward: int = 0,
) -> Adapter:
    """The adapter for a model folder, chosen by the ``model_type`` in its config.json.

    Raises PlanError for an unknown model or family, ModelError for an unreadable folder.
    """
    short, folder = model_folder(name)
    try:
        family = json.loads((folder / "config.json").read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder}: no readable config.json with a model_type ({error})"
        ) from error
    plugin = str(family).replace("_", "-")
    if plugin not in registry.names("models"):
        raise PlanError(registry.unknown("model family", plugin, registry.names("models")))
    adapter: Adapter = registry.load("models", plugin)(
        short, folder, device=device, dtype=dtype, tokens_per_forward=tokens_per_forward
    )
    return adapter
