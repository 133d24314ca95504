"""``prunesid``: the best of every principal component's tokens, PruneSID (arXiv 2603.09480)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.merging import require_cls
from calprune.collect.visual_tokens import CLS, Merged, VisualTokens, by_score, tie_threshold
from calprune.data.condition import Budget
from calprune.data.random_draws import Draws
from calprune.errors import PlanError

__all__ = ["PruneSID"]

_NOTHING = 1e-6  # of the largest singular value, or of 1: no component


@dataclass(frozen=True)
class PruneSID:
    """CLS and K - 1 patches, in groups by principal component, thinned out in each group.

    A patch belongs to the component, of the first floor(K / 4), on which it weighs most; they are
    those of the sigmoid of the states, centred over channels. In every group the patch with most
    CLS attention is accepted and drops all with a cosine above K / 32 times the mean cosine of all
    pairs, again and again. Each group that is not empty gives one patch; the others are shared out
    in proportion to accepted ones, between bounds. A group gives accepted patches first, then
    dropped ones, both by falling attention. The language model reads CLS, then group by group.

    Components come of a random sketch with two power iterations (Halko, Martinsson and Tropp,
    SIAM Review 2011): other seeds choose other tokens. The sketch is drawn from (seed, image) and
    is not that of torch's generator, so that a reference's choice is not met token by token.

    Certainty: exact given the groups. Ours: float64, but quotas in float32 with halves rounded to
    even, as torch computes them; pairs are those of two different patches; ties, of quotas too, go
    to the lowest index; at least one group; components beyond the rank of the states hold no
    patch; of several crops one follows another (the reference restores the mosaic's order of
    places but not of tokens).

    Attributes:
        seed: of the sketch.
    """

    seed: int = 0

    title: ClassVar[str] = "CLS attention within groups by principal component (PruneSID)"
    needs: ClassVar[frozenset[str]] = frozenset({"features", "saliency", "cls-token"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise PlanError(f"prunesid: seed must be >= 0, not {self.seed}")

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        """CLS, then the patches of one group after another."""
        require_cls("prunesid", tokens)
        if k == 1:
            return Merged.rows([CLS])
        alike = tokens.similarity  # mergers never meet separators: all tokens are candidates
        states, products, order = tokens.once("prunesid", lambda: _of_image(tokens))
        draws = Draws(self.seed, int(tokens.image[:16], 16))
        group = _groups(states, products, max(1, k // 4), draws)
        accepted = _accepted(alike, group, order, _threshold(alike, k))
        quotas = _quotas(
            np.bincount(group[accepted], minlength=group.max() + 1), np.bincount(group), k
        )
        picks = [CLS]
        for g, quota in enumerate(quotas.tolist()):
            own = order[group[order] == g]
            first = np.concatenate([own[accepted[own]], own[~accepted[own]]])
            picks += first[:quota].tolist()
        return Merged.rows(picks)


def _of_image(
    tokens: VisualTokens,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    """States, their products, and tokens by attention: the same for every budget and seed."""
    states = _states(tokens.features)
    order = by_score(tokens.saliency, ~tokens.separator).order
    return states, states @ states.T, order


def _states(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sigmoids of states (v, d), centred over channels, up to a factor."""
    # sigmoid(x) = 1/2 + tanh(x / 2) / 2, whose constants change no component
    states = np.tanh(0.5 * features.astype(np.float64))
    states -= states.mean(axis=1, keepdims=True)
    return states


def _groups(
    states: NDArray[np.float64], products: NDArray[np.float64], count: int, draws: Draws
) -> NDArray[np.int64]:
    """The component (v,) on which each token (v, d) weighs most, in absolute value."""
    weight = np.abs(_components(states, products, min(count, *states.shape), draws))
    if weight.shape[1] == 0:
        return np.zeros(len(states), np.int64)
    largest = weight.max(axis=1, keepdims=True)
    found: NDArray[np.int64] = (weight >= tie_threshold(largest, 1e-12)).argmax(axis=1)
    return found


def _components(
    states: NDArray[np.float64], products: NDArray[np.float64], count: int, draws: Draws
) -> NDArray[np.float64]:
    """The first left singular vectors (v, <= count) of states (v, d), from a random sketch.

    ``products`` (v, v) of the states with each other take the place of two products an iteration.
    """
    basis = np.linalg.qr(states @ draws.normals(states.shape[1], count)).Q
    for _ in range(2):
        basis = np.linalg.qr(products @ basis).Q
    _, size, turn = np.linalg.svd(states.T @ basis, full_matrices=False)
    found: NDArray[np.float64] = basis @ turn[size > _NOTHING * max(1.0, size[0])].T
    return found


def _threshold(alike: NDArray[np.float32], k: int) -> float:
    """K / 32 of the mean over pairs; a sum of multiples of 2**-22 is exact."""
    v = len(alike)
    pairs = float(alike.sum(dtype=np.float64)) - float(np.trace(alike, dtype=np.float64))
    return k / 32 * pairs / max(v * (v - 1), 1)


def _accepted(
    alike: NDArray[np.float32],
    group: NDArray[np.int64],
    order: NDArray[np.int32],
    threshold: float,
) -> NDArray[np.bool_]:
    """Tokens that none before them in the same group is more alike to than the threshold."""
    found = np.ones(len(group), np.bool_)
    rivals = (alike > threshold) & (group[:, None] == group)
    np.fill_diagonal(rivals, False)
    for token in order[rivals[order].any(axis=1)].tolist():
        if found[token]:
            found &= ~rivals[token]
    return found


def _quotas(accepted: NDArray[np.int64], size: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """How many tokens each group gives, K - 1 in all."""
    low = np.minimum(size, 1)
    high = np.minimum(np.minimum(size, accepted), 5 * -(-k // 64))
    while high.sum() < k:
        high = np.minimum(high + 1, size)
    share = accepted.astype(np.float32) / np.float32(accepted.sum())
    # torch adds up in double precision, and keeps single
    edge = np.cumsum(share, dtype=np.float64).astype(np.float32)
    edge = np.rint(edge * np.float32(max(0, k - 1 - low.sum())))
    quota: NDArray[np.int64] = low + np.diff(edge, prepend=np.float32(0)).astype(np.int64)
    quota = np.minimum(quota, high)
    for g in np.argsort(-accepted, kind="stable").tolist():
        quota[g] += min(k - 1 - int(quota.sum()), int(high[g] - quota[g]))
    return quota
