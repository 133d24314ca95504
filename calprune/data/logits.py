"""One sealed logit file in memory: the only thing that analysis ever reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.data.condition import Condition


@dataclass(frozen=True)
class LogitTable:
    """Raw answers to ``n`` questions under one condition (``a`` answers, ``s`` spellings each).

    Attributes:
        path: where it was read from.
        condition: what was asked.
        provenance: versions, device, numerics; never part of the key.
        id, split, category, cluster: text (n,). ``cluster`` is the image, the unit of resampling;
            ``category`` is a subtask or subject, empty where a benchmark has none.
        duplicate_of: int32 (n,), first row with the same (image, prompt); own index if none.
        label: int16 (n,), index of the right answer.
        offered: bool (n, a), the answers that this question allows.
        answers: names of the answers, length a.
        answer_tokens: int32 (a, s), vocabulary ids, −1 where there is no such spelling.
        answer_logits: float32 (n, a, s), raw, at the first generated position; −inf if absent.
        log_z: float32 (n,), log-sum-exp over the whole vocabulary.
        entropy: float32 (n,), entropy in nats of the softmax over the whole vocabulary.
        mean_logit: float32 (n,), mean logit over the whole vocabulary.
        top_token, top_logit: int32, float32 (n, t), the t largest logits in falling order.
        tokens: int32 (n, layers), all tokens that each layer saw for this question.
        visual: int32 (n, layers), the visual ones among them.
    """

    path: Path
    condition: Condition
    provenance: dict[str, Any]
    id: NDArray[np.str_]
    split: NDArray[np.str_]
    category: NDArray[np.str_]
    cluster: NDArray[np.str_]
    duplicate_of: NDArray[np.int32]
    label: NDArray[np.int16]
    offered: NDArray[np.bool_]
    answers: tuple[str, ...]
    answer_tokens: NDArray[np.int32]
    answer_logits: NDArray[np.float32]
    log_z: NDArray[np.float32]
    entropy: NDArray[np.float32]
    mean_logit: NDArray[np.float32]
    top_token: NDArray[np.int32]
    top_logit: NDArray[np.float32]
    tokens: NDArray[np.int32]
    visual: NDArray[np.int32]

    @property
    def template(self) -> str:
        """Name of the prompt's template, or the beginning of its digest if it is not recorded."""
        named = str(self.provenance.get("template", "")).split(":")[0]
        return named or self.condition.template[:8]

    def __len__(self) -> int:
        return len(self.id)
