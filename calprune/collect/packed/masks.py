"""Attention masks of packs for every kind of layer, and proof that they reached every layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.adapter import Reach
from calprune.collect.packed.packs import Pack
from calprune.errors import ModelError

Counts = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True)
class Past:
    """Columns that are already in the cache of b lines.

    ``seen`` bool (b, c): there and no padding, or (b, s, c) what each of s tokens may see of it
    where they differ; ``visual`` bool (b, c): visual tokens among them; ``depth`` int64 (b, c):
    tokens before each, negative in the prefix of the prompt.
    """

    seen: NDArray[np.bool_]
    visual: NDArray[np.bool_]
    depth: NDArray[np.int64]

    @classmethod
    def prefix(cls, b: int, n: int) -> Past:
        """The n tokens of the prompt's prefix before each of b lines."""
        depth = np.tile(np.arange(-n, 0), (b, 1))
        return cls(np.ones((b, n), np.bool_), np.zeros((b, n), np.bool_), depth)

    def then(self, pack: Pack) -> Past:
        """These columns and a pack's after them."""
        there = np.arange(pack.ids.shape[1]) < pack.length[:, None]
        return Past(
            np.concatenate([self.seen, there], axis=1),
            np.concatenate([self.visual, pack.visual & there], axis=1),
            np.concatenate([self.depth, pack.depth], axis=1),
        )

    def only(self, lines: NDArray[np.integer]) -> Past:
        """The columns of some of the lines."""
        return Past(self.seen[lines], self.visual[lines], self.depth[lines])

    def seen_from(
        self, pack: Pack, line: NDArray[np.integer], column: NDArray[np.integer]
    ) -> NDArray[np.bool_]:
        """Columns (n, c + s), these and the pack's, that some of its tokens see without a window.

        ``line`` and ``column`` (n,) say which tokens; what follows a token sees the same.
        """
        at = np.arange(pack.ids.shape[1])
        own = (at <= column[:, None]) & (column[:, None] < pack.end[line])
        return np.concatenate([self.seen[line], own], axis=1)


def tree_mask(pack: Pack, past: Past, reach: Reach, device: str = "cpu") -> Tensor:
    """Boolean (b, 1, s, c + s); True may be seen. Padding sees itself and never nothing."""
    end, depth, visual, seen, before = (
        torch.from_numpy(x).to(device)
        for x in (pack.end, pack.depth, pack.visual, past.seen, past.depth)
    )
    s = end.shape[1]
    column = torch.arange(s, device=device)
    own = (column[:, None] >= column[None, :]) & (column[None, :, None] < end[:, None, :])
    if reach.both == "image":
        own |= visual[:, :, None] & visual[:, None, :]
    older = seen if seen.ndim == 3 else seen[:, None, :].expand(-1, s, -1)
    if reach.window is not None:
        own &= (depth[:, :, None] - depth[:, None, :]) < reach.window
        older = older & ((depth[:, :, None] - before[:, None, :]) < reach.window)
    return torch.cat([older, own], dim=2)[:, None]


def masks_of(
    pack: Pack, past: Past, reach: Mapping[str, Reach], device: str
) -> Tensor | dict[str, Tensor]:
    """The mask of every kind of layer; the plain tensor if there is one kind only."""
    built = {kind: tree_mask(pack, past, r, device) for kind, r in reach.items()}
    return built if len(built) > 1 else next(iter(built.values()))


@contextmanager
def counting(
    layers: Sequence[Any], shown: NDArray[np.bool_], last: Tensor
) -> Iterator[list[Counts]]:
    """Per layer, how many tokens and visual tokens each question's last position may see.

    Read from the mask that really reaches the layer, so that a pruner that silently did nothing
    shows. ``shown`` bool (b, c + s): visual columns; ``last`` int64 (q, 2): line and column.
    """
    counts: list[Counts] = []
    known: dict[int, Counts] = {}
    visual = torch.from_numpy(shown)

    def count(_module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        mask = named.get("attention_mask")
        width = inputs[0].shape[1]
        if mask is None or mask.shape[-1] != shown.shape[1] or mask.shape[-2] != width:
            raise ModelError("a layer was not given the pack's mask; its logits would be wrong")
        if id(mask) not in known:
            seen = mask[last[:, 0], 0, last[:, 1]]
            seen = seen if seen.dtype == torch.bool else seen == 0
            among = seen & visual.to(seen.device)[last[:, 0]]
            known[id(mask)] = tuple(x.sum(1).to(torch.int32).cpu().numpy() for x in (seen, among))
        counts.append(known[id(mask)])

    hooks = [layer.register_forward_pre_hook(count, with_kwargs=True) for layer in layers]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()
