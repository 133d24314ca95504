"""New tokens from dropped ones, by density peaks, as SparseVLM 1.5 does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calprune.data.random_draws import Draws

_NOISE = 1e-6
_COUNT = 1e-6  # in the published denominator


def noise(seed: int, image: str, suffix: Sequence[int], stage: int, n: int) -> NDArray[np.float64]:
    """Uniform draws (n,) on [0, 1) that seed, image, question and stage decide alone.

    ``image``: its SHA-256; ``suffix``: the question's token ids.
    """
    named = hashlib.sha256(",".join(map(str, suffix)).encode()).hexdigest()
    return Draws(seed, int(image[:16], 16), int(named[:16], 16), stage).uniforms(n)


def cluster_means(
    tokens: NDArray[np.floating], clusters: int, drawn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Means (clusters, D) of n tokens (n, D), the centres' by falling density times distance.

    A token's density is exp(-mean squared distance to its ``clusters`` nearest, itself included)
    plus a trace of noise; centres are those with the largest product of density and distance to
    the nearest denser token. Distances are divided by sqrt(D). Each mean is divided by its count
    plus 1e-6, as published.
    """
    x = tokens.astype(np.float64)
    square = np.einsum("nd,nd->n", x, x)
    gap = np.maximum(square[:, None] + square[None] - 2 * x @ x.T, 0.0)
    np.fill_diagonal(gap, 0.0)
    gap = np.sqrt(gap) / x.shape[1] ** 0.5
    nearest = np.sort(gap, axis=1)[:, :clusters]
    density = np.exp(-(nearest**2).mean(axis=1)) + _NOISE * drawn
    denser = density[None] > density[:, None]
    apart = np.where(denser, gap, gap.max()).min(axis=1)
    centres = np.argsort(-density * apart, kind="stable")[:clusters]
    member = gap[:, centres].argmin(axis=1)
    member[centres] = np.arange(clusters)
    belongs = member[None] == np.arange(clusters)[:, None]
    means: NDArray[np.float64] = (belongs @ x) / (belongs.sum(axis=1, keepdims=True) + _COUNT)
    return means
