"""What evaluation loops do, and how ours is compared with them: shared by the benchmarks."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch

from calprune.collect.similarity import canonical_similarity
from calprune.data.storage.store import Store


def full_recompute(
    patches: torch.Tensor, saliency: torch.Tensor, alpha: float, k: int
) -> torch.Tensor:
    """SCOPE's greedy with every gain computed anew at every step, on the canonical similarity."""
    similarity = torch.from_numpy(canonical_similarity(patches.numpy())).double()
    weight = saliency.double() ** alpha
    cover, free = torch.zeros(len(weight)).double(), torch.ones(len(weight), dtype=torch.bool)
    for _ in range(k):
        score = (similarity - cover[:, None]).clamp(min=0).sum(0) * weight
        score[~free] = -1.0
        best = score.max()
        pick = int((score >= best * (1 - 1e-9)).nonzero()[0])
        free[pick] = False
        cover = torch.maximum(cover, similarity[:, pick])
    return (~free).nonzero()[:, 0]


class Clock:
    """A progress callback that adds up the seconds of each stage."""

    def __init__(self, now: Callable[[], float] = time.process_time) -> None:
        self.now, self.last = now, now()
        self.spent: dict[str, float] = defaultdict(float)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = self.now()
        self.spent[stage] += now - self.last
        self.last = now


def largest_difference(store: Store, answers: dict[tuple[str, int], np.ndarray]) -> float:
    worst = 0.0
    for table in store.tables():
        for i in range(len(table)):
            logits = answers[table.condition.key, i]
            for ids, cached in zip(table.answer_tokens, table.answer_logits[i], strict=True):
                for token, value in zip(ids, cached, strict=True):
                    if token >= 0:
                        worst = max(worst, abs(float(logits[token]) - float(value)))
    return worst


Said = TypeVar("Said")


def alternately(
    sides: Mapping[str, Callable[[], Said]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, Said]]:
    """Process CPU seconds of each side, in turn, the first round left out; and what each said."""
    spent, said = defaultdict(list), {}
    for _ in range(repeats + 1):
        for name, run in sides.items():
            began = time.process_time()
            said[name] = run()
            spent[name].append(time.process_time() - began)
    return {name: seconds[1:] for name, seconds in spent.items()}, said


def ratio(slow: list[float], fast: list[float]) -> float:
    return statistics.median(slow) / statistics.median(fast)
