"""Where tokens stand: questions in packs, then each in a sequence of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.packed.masks import Past
from calprune.collect.packed.packs import Pack, PackedSequence


@dataclass(frozen=True)
class Layout:
    """b lines of s columns after a prefix of h tokens, and where their q questions stand.

    Attributes:
        positions: int64 (b, s) position ids.
        mask: bool (b, 1, s, h + s).
        shown: bool (b, h + s) where visual tokens stand.
        line: int64 (q,) line of each question.
        visual: for each question, columns (n,) of its visual tokens.
        token: for each question, which visual tokens of the image these are (n,), -1 for merged.
        suffix: for each question, columns of its own tokens in order.
    """

    positions: Tensor
    mask: Tensor
    shown: NDArray[np.bool_]
    line: NDArray[np.int64]
    visual: tuple[NDArray[np.int64], ...]
    token: tuple[NDArray[np.int64], ...]
    suffix: tuple[NDArray[np.int64], ...]

    @property
    def last(self) -> Tensor:
        """int64 (q, 2), line and column at which each question ends."""
        ends = [suffix[-1] for suffix in self.suffix]
        return torch.from_numpy(np.stack([self.line, ends], axis=1)).to(self.positions.device)

    @classmethod
    def packed(
        cls, lines: Sequence[PackedSequence], pack: Pack, past: Past, mask: Tensor
    ) -> Layout:
        """All questions of an image on one line, as ``packs`` lays them out."""
        at = [(b, x, last) for b, x in enumerate(lines) for last in x.last]
        every = [np.arange(x.visual) for _, x, _ in at]
        return cls(
            positions=torch.from_numpy(pack.positions[0]).to(mask.device),
            mask=mask,
            shown=np.concatenate([past.visual, pack.visual], axis=1),
            line=np.array([b for b, _, _ in at], dtype=np.int64),
            visual=tuple(every),
            token=tuple(every),
            suffix=tuple(_path(x, int(last)) for _, x, last in at),
        )


def _path(line: PackedSequence, last: int) -> NDArray[np.int64]:
    """Columns of a question's own tokens, from the image to its end."""
    at = np.arange(len(line))
    seen = np.flatnonzero((at <= last) & (line.end > last))
    return seen[line.visual :]


@dataclass(frozen=True)
class StageKept:
    """What is left of one question's visual tokens, as columns (k,) of its line, in order.

    ``token`` (k,) which tokens these are; ``merged`` float (m, D) what is put after them.
    """

    column: NDArray[np.int64]
    token: NDArray[np.int64]
    merged: Tensor | None = None

    def __len__(self) -> int:
        return len(self.column) + (0 if self.merged is None else len(self.merged))


def spread(
    layout: Layout,
    hidden: Tensor,
    questions: Sequence[int],
    kept: Sequence[StageKept],
    prefix: int,
    window: int | None,
    contiguous: bool,
) -> tuple[Layout, Tensor]:
    """Sequences [kept visual tokens | merged ones | suffix], one a question, padded on the right.

    Returns:
        Their layout, and what was ``hidden`` (b, s, D) for them.
    """
    device = hidden.device
    sizes = [(len(k), len(layout.suffix[q])) for q, k in zip(questions, kept, strict=True)]
    width = max(k + t for k, t in sizes)
    columns = np.zeros((len(kept), width), dtype=np.int64)
    for i, (q, found) in enumerate(zip(questions, kept, strict=True)):
        k, n, suffix = len(found), len(found.column), layout.suffix[q]
        columns[i, :n], columns[i, k : k + len(suffix)] = found.column, suffix
    line = torch.from_numpy(layout.line[list(questions)]).to(device)[:, None]
    at = torch.from_numpy(columns).to(device)
    gathered = hidden[line, at]
    for i, found in enumerate(kept):
        if found.merged is not None:
            n = len(found.column)
            gathered[i, n : len(found)] = found.merged.to(gathered.dtype)
    anew = prefix + torch.arange(width, device=device).expand(len(kept), -1)
    shown = np.zeros((len(kept), prefix + width), np.bool_)
    for i, (k, _) in enumerate(sizes):
        shown[i, prefix : prefix + k] = True
    merged = [len(found) - len(found.column) for found in kept]
    return Layout(
        positions=anew if contiguous else layout.positions[line, at],
        mask=_causal(len(kept), width, prefix, window, device),
        shown=shown,
        line=np.arange(len(kept)),
        visual=tuple(np.arange(k) for k, _ in sizes),
        token=tuple(
            np.concatenate([found.token, np.full(m, -1)])
            for found, m in zip(kept, merged, strict=True)
        ),
        suffix=tuple(np.arange(k, k + t) for k, t in sizes),
    ), gathered


def _causal(b: int, s: int, prefix: int, window: int | None, device: torch.device) -> Tensor:
    """Everything before, in the shortened sequence; padding stands on the right, seen by nobody."""
    back = torch.arange(prefix, prefix + s, device=device)[:, None]
    back = back - torch.arange(prefix + s, device=device)
    mask = back >= 0
    if window is not None:
        mask &= back < window
    return mask[None, None].expand(b, -1, -1, -1)
