"""Visual tokens with all signals, and what merges make of them, for tests of selectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selectors import CLS, Merged, VisualTokens

KINDS = ("random", "clustered", "copies", "constant", "some zero rows")
SALIENCIES = ("peaked", "tied", "zero")


def features(rng: np.random.Generator, kind: str, v: int, d: int) -> NDArray[np.float32]:
    if kind == "constant":
        return np.tile(rng.normal(size=d), (v, 1)).astype(np.float32)
    x = rng.normal(size=(v, d))
    if kind == "clustered":
        x = rng.normal(size=(4, d))[rng.integers(4, size=v)] + 0.2 * x
    if kind == "copies":
        x = x[rng.integers(max(1, v // 2), size=v)]
    if kind == "some zero rows":
        x[rng.random(v) < 0.3] = 0.0
    return x.astype(np.float32)


def saliencies(rng: np.random.Generator, kind: str, v: int) -> NDArray[np.float64]:
    if kind == "zero":
        return np.zeros(v)
    if kind == "tied":
        return rng.choice([0.0, 0.25, 1.0], size=v)
    return rng.dirichlet(np.full(v, 0.3))


def signalled(
    seed: int = 0,
    shape: tuple[int, int] = (5, 6),
    kind: str = "random",
    saliency: str = "peaked",
    d: int = 64,
    segments: int = 1,
    words: int = 5,
) -> VisualTokens:
    """A crop of these rows and columns, with everything that a selector can ask for."""
    rng, v = np.random.default_rng(seed), shape[0] * shape[1]
    return VisualTokens(
        image=f"{seed + 1:064x}"[::-1],
        features=features(rng, kind, v, d),
        saliency=saliencies(rng, saliency, v),
        separator=np.zeros(v, np.bool_),
        cell=np.stack(np.divmod(np.arange(v, dtype=np.int32), shape[1]), axis=1),
        signals={
            "keys": features(rng, kind, v, 16),
            "projected": features(rng, kind, v, 2 * d),
            "joint": features(rng, kind, v, 24),
            "cls-token": features(rng, "random", 1, d),
            "text-clip": features(rng, "random", segments, 24),
            "text-words": features(rng, "random", words, 2 * d),
        },
    )


def weights(merged: Merged, v: int) -> NDArray[np.float64]:
    """(m, v + 1) of every old token, and of CLS last, in every new one."""
    found = np.zeros((len(merged), v + 1))
    new = np.repeat(np.arange(len(merged)), np.diff(merged.offset))
    np.add.at(found, (new, np.where(merged.token == CLS, v, merged.token)), merged.weight)
    return found


def falling(values: NDArray[np.float64]) -> list[int]:
    """Indices by falling value, of equals the lowest first."""
    return sorted(range(len(values)), key=lambda u: (-values[u], u))
