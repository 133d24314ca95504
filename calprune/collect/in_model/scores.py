"""From attention rows to a score for each visual token, and from scores to those that stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.visual_tokens import by_score, tie_threshold
from calprune.errors import ModelError


@dataclass(frozen=True)
class Picked:
    """Which of n stay.

    ``index`` int64 (k,) in rising order; ``tied``: how many of them have left out a rival only by
    their lower index; ``margin``: relative lead of the last one taken over the best left out, 0
    where all stay.
    """

    index: NDArray[np.int64]
    tied: int
    margin: float


def pick(score: NDArray[np.float64], k: int) -> Picked:
    """The k largest of n scores; where they tie the lowest index."""
    n = len(score)
    if k >= n:
        return Picked(np.arange(n), 0, 0.0)
    if not np.isfinite(score).all():
        raise ModelError("attention that ranks visual tokens is not finite; try --dtype float32")
    order = np.argsort(-score, kind="stable")
    last, best_left = score[order[k - 1]], score[order[k]]
    margin = float((last - best_left) / last) if last > 0.0 else 0.0
    if best_left < tie_threshold(last):
        return Picked(np.sort(order[:k]).astype(np.int64), 0, margin)
    taken = np.sort(by_score(score, np.ones(n, np.bool_)).order[:k]).astype(np.int64)
    tied = int((tie_threshold(score[taken]) <= best_left).sum())
    return Picked(taken, tied, margin)


def mean_score(rows: Tensor, columns: Tensor) -> Tensor:
    """Attention (R, heads, c) averaged over rows and heads: float64 (n,) of n columns."""
    return rows[:, :, columns].double().mean(dim=(0, 1))


def corrected_score(rows: Tensor, bias: Tensor, columns: Tensor, heads: int) -> Tensor:
    """As ``mean_score`` of attention over rotary bias, of the heads with the largest sum alone.

    ``bias`` (R, c). Fewer heads than asked for are all taken; of equal ones the lower.
    """
    found = rows[:, :, columns].double() / bias[:, None, columns].double()
    mass = found.sum(dim=(0, 2))
    best = torch.sort(mass, descending=True, stable=True).indices[:heads]
    return found[:, best].mean(dim=(0, 1))


def raters(visual: Tensor, text: Tensor) -> NDArray[np.int64]:
    """Tokens of a question (t, D) that rate the visual tokens (v, D), both input embeddings.

    A token rates if visual tokens' softmax over the question's tokens, of raw dot products, gives
    it more than the mean on average (SparseVLM). All rate where none is above the mean.
    """
    weight = (visual.double() @ text.double().T).softmax(dim=1).mean(dim=0).cpu().numpy()
    above = np.flatnonzero(weight > weight.mean())
    return above if len(above) else np.arange(len(weight))
