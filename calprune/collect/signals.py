"""The auxiliary features, signals for short, that selectors may need beside features and saliency.

The contract between selectors and model families: a family gives those it can, and says of what
they are made (``Adapter.measures``); ``hf/clip_signals`` does so for towers of CLIP's kind. Other
names are a matter between a plug-in's selector and its model; that of a question's signal begins
with ``text``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Signals = dict[str, NDArray[np.floating]]

BASE = {"features": "view", "saliency": "saliency"}
"""What is measured for every image, by the name that selectors know, and its name in files."""


@dataclass(frozen=True)
class Signal:
    """What a signal is in every family: float (rows, width), zero on separator tokens.

    Attributes:
        rows: one for each visual token, one for each crop, or as many as a question has.
        width: 1, or that of a ``head`` of the tower, of the ``tower``, of the language ``model``,
            of the ``joint`` space of CLIP's images and texts.
        meaning: in words; blocks are the tower's, −2 the penultimate one.
    """

    rows: Literal["tokens", "crops", "question"]
    width: Literal["1", "head", "tower", "model", "joint"]
    meaning: str


SIGNALS = {
    "keys": Signal("tokens", "head", "key projections of block -2, unscaled, averaged over heads"),
    "cls-last3": Signal(
        "tokens", "1", "CLS attention, averaged over heads, summed over blocks -4 to -2"
    ),
    "received": Signal(
        "tokens",
        "1",
        "attention from all queries, CLS's too, averaged over them and over heads, in block -2",
    ),
    "received-early": Signal("tokens", "1", "the same, in the block after a third of them"),
    "projected": Signal("tokens", "model", "what the projector makes of the patches"),
    "cls-token": Signal("crops", "tower", "what block -2 puts out for CLS, before the projector"),
    "joint": Signal(
        "tokens", "joint", "patches in the space that CLIP's images and texts share; with `--clip`"
    ),
    "text-words": Signal(
        "question", "model", "the language model's embeddings of the question's own tokens"
    ),
    "text-clip": Signal(
        "question", "joint", "CLIP's embedding of every 77 tokens of the question; with `--clip`"
    ),
}


def of_question(name: str) -> bool:
    """Whether a signal, also one that is not listed here, is measured on questions."""
    return name.startswith("text")
