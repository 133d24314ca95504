"""Selectors: which visual tokens to keep. One file each; this module holds what they share.

A plug-in file exports one frozen dataclass. Its fields are its parameters (``--select
scope:alpha=0,0.5``); a field called ``seed`` is a draw, not a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from calprune.collect.similarity import canonical_similarity
from calprune.data.condition import Budget

RELATIVE_TIE = 1e-9


@dataclass(frozen=True)
class VisualTokens:
    """The visual tokens of one image.

    Attributes:
        image: SHA-256 of the image, which names its draws.
        view: float (v, d), what similarity is measured on (LLaVA: penultimate patches, before
            the projector).
        saliency: float64 (v,), head-sum of the CLS attention of the same layer; NaN on glue.
        glue: bool (v,), separator rows that are no patch; they are always kept, never ranked.
    """

    image: str
    view: NDArray[np.floating]
    saliency: NDArray[np.float64]
    glue: NDArray[np.bool_]

    @cached_property
    def similarity(self) -> NDArray[np.float32]:
        """Canonical cosine similarities (v, v), shared by all selectors that ask for them."""
        return canonical_similarity(self.view)


@dataclass(frozen=True)
class Ranking:
    """Tokens in the order in which they are taken.

    ``order`` int32 (v,), −1 once no candidate is left; ``score`` float64 (v,) at which each was
    taken; ``margin`` float64 (v,) its relative lead; ``tied`` bool (v,) decided by index alone.
    """

    order: NDArray[np.int32]
    score: NDArray[np.float64]
    margin: NDArray[np.float64]
    tied: NDArray[np.bool_]


class Selector(Protocol):
    """What a selector plug-in offers.

    Attributes:
        title: one line for ``calprune ls``.
        needs: which of ``view`` and ``saliency`` it reads.
        revision: raised by hand whenever its picks change; part of the condition.
        nested: the first k of its order are its choice of k, so one ranking serves all budgets.
        budget: the only budget it makes sense with, or None.
    """

    title: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    revision: ClassVar[int]
    nested: ClassVar[bool]
    budget: ClassVar[Budget | None]

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Rank all candidates of one image."""
        ...


def by_score(score: NDArray[np.float64], candidates: NDArray[np.bool_]) -> Ranking:
    """Candidates by falling score; within a relative 1e-9 of the best left, the lowest index."""
    left = np.flatnonzero(candidates)
    left = left[np.argsort(-score[left], kind="stable")].tolist()
    order, tied, margin = [], [], []
    while left:
        best = score[left[0]]
        rivals = 1
        while rivals < len(left) and score[left[rivals]] >= best - RELATIVE_TIE * abs(best):
            rivals += 1
        second = score[left[1]] if len(left) > 1 else best
        margin.append((best - second) / best if best > 0.0 else 0.0)
        tied.append(rivals > 1)
        order.append(left.pop(int(np.argmin(left[:rivals]))))
    taken = np.array(order, dtype=np.int32)
    return _padded(taken, score[taken], np.array(margin), np.array(tied, dtype=bool), len(score))


def in_order(order: NDArray[np.integer], v: int) -> Ranking:
    """A ranking that is given, without scores."""
    nothing = np.zeros(len(order))
    return _padded(order, nothing, nothing, np.zeros(len(order), dtype=np.bool_), v)


def _padded(
    order: NDArray[np.integer],
    score: NDArray[np.float64],
    margin: NDArray[np.float64],
    tied: NDArray[np.bool_],
    v: int,
) -> Ranking:
    rest = v - len(order)
    return Ranking(
        np.pad(order.astype(np.int32), (0, rest), constant_values=-1),
        np.pad(score, (0, rest)),
        np.pad(margin, (0, rest)),
        np.pad(tied, (0, rest)),
    )
