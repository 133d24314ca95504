"""Choices as reference code in half precision makes them, for ``--numerics compat``.

Published selectors run in float16, where sums of hundreds of similarities are multiples of 1/8 or
more and many scores are equal. Here every value is rounded to float16 where the reference code
rounds, sums are taken in float32 and rounded once, and of equal scores the lowest index wins. No
GPU adds up in the same order as another, so that single picks may still differ from theirs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from calprune.collect.visual_tokens import Ranking, as_ranking, checked_scores
from calprune.errors import PlanError

_INFINITY = 0x7C00  # bits of float16; non-negative numbers are below


def half_similarity(features: NDArray[np.floating]) -> torch.Tensor:
    """Cosines float16 (v, v) of rows (v, d), which are rounded before and after being normalised.

    A zero row is similar to nothing.
    """
    x = torch.from_numpy(features.astype(np.float32)).half()
    norm = x.float().norm(dim=1, keepdim=True).half()
    x = torch.where(norm > 0, x / norm, torch.zeros_like(x))
    return (x.float() @ x.float().T).half()


@torch.inference_mode()
def half_greedy_coverage(
    features: NDArray[np.floating],
    saliency: NDArray[np.float64],
    alpha: float,
    power: float,
    separator: NDArray[np.bool_],
) -> Ranking:
    """SCOPE's order in float16: by the largest sum of gaps**power, times saliency**alpha.

    Args:
        features: float (v, d), features.
        saliency: float64 (v,).
        alpha: exponent of saliency.
        power: exponent of the gaps.
        separator: bool (v,), tokens that are neither taken nor to be covered.

    Returns:
        All candidates; ``tied`` where another score was exactly as large.
    """
    from calprune.collect.selection.coverage_half import greedy_coverage_half

    patches = np.flatnonzero(~separator)
    similarity = half_similarity(features[patches])
    weight = torch.from_numpy(saliency[patches]).half() ** alpha
    if not weight.isfinite().all():
        raise PlanError(
            f"scope: saliency**{alpha:g} overflows in float16, up to {saliency[patches].max():g}; "
            "lower alpha, or leave --numerics canonical"
        )
    every = torch.arange(_INFINITY, dtype=torch.int16).view(torch.float16)
    powers = every[:0] if power == 1.0 else every**power
    order, score, margin, tied = greedy_coverage_half(
        *(x.float().numpy() for x in (similarity, weight, powers))
    )
    return as_ranking(len(separator), patches[order], score, margin, tied)


def by_half_score(score: NDArray[np.float64], candidates: NDArray[np.bool_]) -> Ranking:
    """Candidates by falling score (v,) rounded to float16; of equal ones the lowest index first."""
    given = checked_scores(score, candidates)
    left = np.flatnonzero(candidates)
    value = given[left].astype(np.float16).astype(np.float64)
    order = np.argsort(-value, kind="stable")
    falling = value[order].tolist()
    following = [*falling[1:], None]
    margins = [_lead(a, b) for a, b in zip(falling, following, strict=False)]
    ties = [a == b for a, b in zip(falling, following, strict=False)]
    return as_ranking(
        len(given), left[order], value[order], np.array(margins), np.array(ties, np.bool_)
    )


def _lead(best: float, second: float | None) -> float:
    return 0.0 if second is None or best <= 0.0 else (best - second) / best
