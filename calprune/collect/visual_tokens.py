"""What selectors read and give: the visual tokens of an image, rankings and merged tokens.

The tie rule stands here, for numpy; ``selection/tie_break`` is the same for compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.similarity import canonical_similarity
from calprune.errors import ModelError

RELATIVE_TIE = 1e-9
Known = TypeVar("Known")


@dataclass(frozen=True)
class VisualTokens:
    """The visual tokens of one image.

    Attributes:
        image: SHA-256 of the image, which names its draws.
        features: float (v, d), what similarity is measured on (LLaVA: penultimate patches, before
            the projector).
        saliency: float64 (v,), head-sum of the CLS attention of the same layer; NaN on separators.
        separator: bool (v,), separator rows that are no patch; they are always kept, never ranked.
        cell: int32 (v, 2), row and column of each in its crop or image; −1 on separators.
        signals: auxiliary features that ``needs`` names, float (rows, width) each; see
            ``collect/signals``.
        compat: choose as reference code in float16 does; only of selectors that say they can.
    """

    image: str
    features: NDArray[np.floating]
    saliency: NDArray[np.float64]
    separator: NDArray[np.bool_]
    cell: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    signals: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    compat: bool = False
    _known: dict[str, Any] = field(default_factory=dict, compare=False)

    def asked(self, signals: Mapping[str, NDArray[np.floating]]) -> VisualTokens:
        """The same tokens with signals of a question; similarities are not computed again."""
        return replace(self, signals={**self.signals, **signals})

    @property
    def candidates(self) -> NDArray[np.int64]:
        """Indices of the tokens that compete, in raster order."""
        return np.flatnonzero(~self.separator)

    @property
    def similarity(self) -> NDArray[np.float32]:
        """Canonical cosine similarities (v, v), shared by all selectors that ask for them."""
        return self.alike("features")

    def alike(self, name: str) -> NDArray[np.float32]:
        """Canonical cosine similarities (v, v) of features or a signal, computed once an image."""
        if name != "features" and name not in self.signals:
            raise KeyError(f"{name}, which the selector's needs do not name")
        rows = self.features if name == "features" else self.signals[name]
        return self.once(name, lambda: self._similarity(name, rows))

    def once(self, name: str, work: Callable[[], Known]) -> Known:
        """What ``work`` makes of this image alone, made once for all selectors that name it so."""
        if name not in self._known:
            self._known[name] = work()
        found: Known = self._known[name]
        return found

    def _similarity(self, name: str, rows: NDArray[np.floating]) -> NDArray[np.float32]:
        if not np.isfinite(rows).all():
            raise ModelError(f"image {self.image[:12]}: its {name!r} is not finite")
        return canonical_similarity(rows)


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


CLS = -1


@dataclass(frozen=True)
class Merged:
    """New tokens as weighted sums of old ones, in the order in which the model reads them.

    ``offset`` int64 (m + 1,): token i is made of entries ``offset[i]:offset[i + 1]``; ``token``
    int32 (e,): a visual token, or ``CLS`` for the tower's CLS token (``CLS - i``: that of crop i);
    ``weight`` float64 (e,).
    Sums are taken of what goes into the projector, as the published mergers do.
    """

    offset: NDArray[np.int64]
    token: NDArray[np.int32]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offset) - 1

    @classmethod
    def of(cls, parts: Sequence[Mapping[int, float]]) -> Merged:
        """From one mapping of token to weight for each new token."""
        ends = np.cumsum([0, *(len(p) for p in parts)], dtype=np.int64)
        named = [t for p in parts for t in p]
        for t in named:
            if not isinstance(t, int | np.integer) or isinstance(t, bool):
                raise TypeError(f"Merged.of takes indices of tokens, whole numbers, not {t!r}")
        tokens = np.array(named, dtype=np.int32)
        return cls(ends, tokens, np.array([w for p in parts for w in p.values()], dtype=np.float64))

    @classmethod
    def rows(cls, tokens: Sequence[int] | NDArray[np.integer]) -> Merged:
        """Old tokens as they are, in an order of the selector's own; TypeError for a mask."""
        return cls.of([{int(t): 1.0} for t in _indices("Merged.rows", tokens)])


def tie_threshold(best: Any, drift: float = 0.0) -> Any:
    """Where ties with the score ``best`` begin: a relative 1e-9 below it, and ``drift`` more.

    Of scores at it or above, the lowest index is taken. Numbers or arrays; compiled loops compile
    it.
    """
    return best - (RELATIVE_TIE * abs(best) + drift)


def by_score(score: NDArray[np.float64], candidates: NDArray[np.bool_]) -> Ranking:
    """Candidates by falling score; of those that tie with the best left, the lowest index.

    Args:
        score: (v,), one for each token, whether it competes or not; whole numbers are taken as
            float64, and those that compete must be finite.
        candidates: bool (v,), which of them do; indices are refused with a TypeError.

    Raises:
        TypeError, ValueError: what is no such array.
    """
    score = checked_scores(score, candidates)
    left = np.flatnonzero(candidates)
    left = left[np.argsort(-score[left], kind="stable")].tolist()
    order, tied, margin = [], [], []
    while left:
        best = score[left[0]]
        rivals = 1
        while rivals < len(left) and score[left[rivals]] >= tie_threshold(best):
            rivals += 1
        second = score[left[1]] if len(left) > 1 else best
        margin.append((best - second) / best if best > 0.0 else 0.0)
        tied.append(rivals > 1)
        order.append(left.pop(int(np.argmin(left[:rivals]))))
    taken = np.array(order, dtype=np.int32)
    return as_ranking(
        len(score), taken, score[taken], np.array(margin), np.array(tied, dtype=np.bool_)
    )


def checked_scores(score: NDArray[np.floating], candidates: NDArray[np.bool_]) -> NDArray[Any]:
    """The scores, as floats; TypeError or ValueError unless each token has one, and a yes or no.

    Indices would be read as a mask, unsigned integers have no falling order by their negatives, and
    NaN has no place in any: all would rank other tokens than were meant.
    """
    if np.asarray(candidates).dtype != np.bool_:
        raise TypeError(
            "by_score takes candidates as a mask, bool (v,) such as ~tokens.separator, not "
            f"{np.asarray(candidates).dtype}"
        )
    if np.ndim(score) != 1 or np.shape(score) != np.shape(candidates):
        raise ValueError(
            f"by_score takes one score for each token: scores {np.shape(score)}, candidates "
            f"{np.shape(candidates)}"
        )
    found = np.asarray(score)
    if found.dtype.kind not in "iuf":
        raise TypeError(f"by_score takes scores that are numbers, float64 (v,), not {found.dtype}")
    for token in np.flatnonzero(~np.isfinite(found) & candidates)[:1]:
        raise ValueError(f"by_score takes finite scores: that of token {token} is {found[token]}")
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def in_order(order: Sequence[int] | NDArray[np.integer], v: int) -> Ranking:
    """A ranking that is given, without scores.

    Args:
        order: (n,), indices of tokens, the first taken first; a mask is refused with a TypeError.
        v: how many tokens there are, n <= v.

    Raises:
        TypeError, ValueError: what is no such array or number.
    """
    if not isinstance(v, int | np.integer):
        raise TypeError(f"in_order takes the number of tokens, not {type(v).__name__}")
    taken = _indices("in_order", order)
    for token in taken[(taken < 0) | (taken >= v)][:1]:
        raise ValueError(f"in_order takes tokens 0 to {v - 1}, not {token}")
    if len(taken) > v:
        raise ValueError(f"in_order takes each token once: {len(taken)} of {v}")
    nothing = np.zeros(len(taken))
    return as_ranking(v, taken, nothing, nothing, np.zeros(len(taken), dtype=np.bool_))


def _indices(who: str, given: Sequence[int] | NDArray[np.integer]) -> NDArray[np.integer]:
    """Indices of tokens (n,); an empty array is of any type."""
    found = np.asarray(given)
    if found.ndim != 1:
        raise ValueError(f"{who} takes indices of tokens, (n,), not shape {found.shape}")
    if not found.size:
        return found.astype(np.int32)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{who} takes indices of tokens, not {found.dtype}")
    return found


def as_ranking(
    v: int,
    order: NDArray[np.integer],
    score: NDArray[np.float64],
    margin: NDArray[np.float64],
    tied: NDArray[np.bool_],
) -> Ranking:
    """A ranking of v tokens from what was found for those that are taken, in their order.

    Args:
        v: how many tokens there are, n <= v.
        order: (n,), indices of tokens.
        score: float (n,), at which each was taken.
        margin: float (n,), its relative lead.
        tied: bool (n,), decided by index alone.

    Raises:
        ValueError: columns of different lengths, or more than v.
    """
    shapes = {np.shape(column) for column in (order, score, margin, tied)}
    if len(shapes) > 1 or len(order) > v:
        raise ValueError(
            f"as_ranking takes columns of one length, at most {v}: order {np.shape(order)}, score "
            f"{np.shape(score)}, margin {np.shape(margin)}, tied {np.shape(tied)}"
        )
    rest = (0, v - len(order))
    return Ranking(
        np.pad(order.astype(np.int32), rest, constant_values=-1),
        np.pad(score, rest),
        np.pad(margin, rest),
        np.pad(tied, rest),
    )
