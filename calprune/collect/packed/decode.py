"""Greedy replies, token by token, on the very cache that the pack has filled.

A line of the cache is [prefix | visual tokens | trie of questions]. At every step each reply that
is still open appends one column: the token that it has just said. That token sees the prefix, the
visual tokens, its own question's path through the trie and its own reply, nothing else, and stands
where it would stand after its question alone. Replies that are finished take no part in later
steps, and lines without an open reply leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.adapter import Adapter, Step
from calprune.collect.packed import masks
from calprune.collect.packed.masks import Counts, Past
from calprune.collect.packed.packs import Pack, PackedSequence
from calprune.errors import ModelError

Watch = Callable[[Sequence[Any], NDArray[np.bool_], Tensor], AbstractContextManager[list[Counts]]]
Said = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_ROWS = 256  # of logits that are held in float64 at a time


@dataclass(frozen=True)
class Generated:
    """The greedy reply to one question, t tokens.

    Attributes:
        ids: int32 (t,), with the token that ended it if one did.
        logprob: float32 (t,) log-probability of each over the whole vocabulary.
        entropy: float32 (t,) of the distribution that each was taken from, in nats.
        top2_gap: float32 (t,) by how much each one's logit led the next best.
        ended: an end token came within the limit.
    """

    ids: NDArray[np.int32]
    logprob: NDArray[np.float32]
    entropy: NDArray[np.float32]
    top2_gap: NDArray[np.float32]
    ended: bool


_NONE = np.zeros(0, np.float32)
NOTHING = Generated(_NONE.astype(np.int32), _NONE, _NONE, _NONE, ended=False)


@dataclass(frozen=True)
class Begun:
    """A batch whose questions have been read.

    Attributes:
        hidden: (q, D) at the questions' ends.
        counts: what each layer let these see, as ``masks.counting`` gives it.
        pack: the piece that held the questions, b lines of s columns.
        past: the c columns before it.
        last: int64 (q, 2) line and column in the pack at which each question ends.
        cache: keys and values of all c + s columns; replies append to it.
    """

    hidden: Tensor
    counts: list[Counts]
    pack: Pack
    past: Past
    last: NDArray[np.int64]
    cache: Any


@dataclass(frozen=True)
class _Open:
    """The n replies that go on, in order of lines.

    Attributes:
        question: int64 (n,) number of each in the batch.
        line: int64 (n,) its line in the cache.
        seen: bool (n, c) columns of the cache that its next token sees, were its reach unlimited.
        depth: int64 (n,) tokens before the next one, without the prefix.
        position: int64 (p, n) of the next token.
    """

    question: NDArray[np.int64]
    line: NDArray[np.int64]
    seen: NDArray[np.bool_]
    depth: NDArray[np.int64]
    position: NDArray[np.int64]

    def only(self, these: NDArray[np.bool_]) -> _Open:
        return _Open(
            self.question[these],
            self.line[these],
            self.seen[these],
            self.depth[these],
            self.position[:, these],
        )


@torch.inference_mode()
def continued(
    adapter: Adapter,
    lines: Sequence[PackedSequence],
    begun: Begun,
    logits: NDArray[np.float32],
    watch: Watch,
) -> list[Generated]:
    """The reply to each of q questions, as long as its line allows.

    Raises ModelError if a layer was not given the mask, or a logit after the first is not finite.

    Args:
        adapter: whose ``ends`` finish a reply.
        lines: the batch.
        begun: its questions, read; the cache is used up.
        logits: float32 (q, vocabulary) at the first position of the replies.
        watch: tells what layers let tokens see.
    """
    ends = np.array(sorted(adapter.ends), dtype=np.int64)
    most = np.concatenate([x.most for x in lines])
    record = _Record.of(len(most), int(most.max()))
    open_, past = _opened(lines, begun), begun.past.then(begun.pack)
    open_, logits, t = open_.only(most > 0), logits[most > 0], 0
    while True:
        said = greedy(logits)
        ended = np.isin(said[0], ends)
        record.write(open_.question, t, said, ended)
        t += 1
        on = ~ended & (most[open_.question] > t)
        if not on.any():
            return record.replies()
        open_ = open_.only(on)
        open_, past = _without_finished_lines(adapter, open_, past, begun.cache)
        hidden, open_, past = _appended(adapter, open_, said[0][on], past, begun.cache, watch)
        logits = adapter.lm_head(hidden)
        if not np.isfinite(logits).all():
            raise ModelError(
                f"{adapter.name}: token {t + 1} of a reply has a logit that is not finite; try "
                "--dtype float32 or check the weights"
            )


@dataclass(frozen=True)
class _Record:
    """What q replies have said: ids int32 (q, t), numbers float32 (3, q, t), lengths, ends (q,)."""

    ids: NDArray[np.int32]
    numbers: NDArray[np.float32]
    length: NDArray[np.int64]
    ended: NDArray[np.bool_]

    @classmethod
    def of(cls, q: int, t: int) -> _Record:
        return cls(
            np.zeros((q, t), np.int32),
            np.zeros((3, q, t), np.float32),
            np.zeros(q, np.int64),
            np.zeros(q, np.bool_),
        )

    def write(self, question: NDArray[np.int64], t: int, said: Said, ended: Any) -> None:
        ids, *numbers = said
        self.ids[question, t] = ids
        self.numbers[:, question, t] = numbers
        self.length[question] = t + 1
        self.ended[question] = ended

    def replies(self) -> list[Generated]:
        found = []
        for i, n in enumerate(self.length):
            logprob, entropy, gap = self.numbers[:, i, :n]
            found.append(Generated(self.ids[i, :n], logprob, entropy, gap, bool(self.ended[i])))
        return found


def greedy(logits: NDArray[np.float32]) -> Said:
    """First of the largest logits of each row, and its log-probability, entropy and lead.

    Args:
        logits: float32 (n, vocabulary).

    Returns:
        int64 ids and float64 numbers, (n,) each, of the softmax over the whole vocabulary.
    """
    parts = [_greedy(logits[i : i + _ROWS]) for i in range(0, len(logits), _ROWS)]
    ids, logprob, entropy, gap = (np.concatenate(x) for x in zip(*parts, strict=True))
    return ids, logprob, entropy, gap


def _greedy(logits: NDArray[np.float32]) -> Said:
    rows, ids = np.arange(len(logits)), logits.argmax(axis=1)  # torch's need not be the first
    values = torch.from_numpy(logits.astype(np.float64))
    log_z = values.logsumexp(1)
    entropy = log_z - ((values - log_z[:, None]).exp() * values).sum(1)
    best = values[rows, ids].clone()
    values[rows, ids] = -torch.inf
    gap = best - values.amax(1)
    logprob = (best - log_z).clamp(max=0)
    return ids, logprob.numpy(), entropy.clamp(min=0).numpy(), gap.numpy()


def _opened(lines: Sequence[PackedSequence], begun: Begun) -> _Open:
    """All questions of a batch before their first token."""
    line, column = begun.last.T
    starts = [x.row.start + len(suffix) for x in lines for suffix in x.row.suffixes]
    return _Open(
        question=np.arange(len(line)),
        line=line,
        seen=begun.past.seen_from(begun.pack, line, column),
        depth=begun.pack.depth[line, column] + 1,
        position=np.tile(np.array(starts, dtype=np.int64), (len(begun.pack.positions), 1)),
    )


def _without_finished_lines(
    adapter: Adapter, open_: _Open, past: Past, cache: Any
) -> tuple[_Open, Past]:
    """Lines without an open reply leave the cache."""
    live = np.unique(open_.line)
    if len(live) == len(past.seen):
        return open_, past
    cache.batch_select_indices(torch.from_numpy(live).to(adapter.device))
    return replace(open_, line=np.searchsorted(live, open_.line)), past.only(live)


def _appended(
    adapter: Adapter,
    open_: _Open,
    ids: NDArray[np.int64],
    past: Past,
    cache: Any,
    watch: Watch,
) -> tuple[Tensor, _Open, Past]:
    """One forward over the tokens just said: hidden rows (n, D), and the replies after it."""
    slot = np.arange(len(ids)) - np.searchsorted(open_.line, open_.line)
    pack = _pack(open_, ids, slot, len(past.seen))
    b, s = pack.ids.shape
    seen = np.zeros((b, s, open_.seen.shape[1]), np.bool_)
    seen[open_.line, slot] = open_.seen
    mask = masks.masks_of(pack, replace(past, seen=seen), adapter.reach, adapter.device)
    where = torch.from_numpy(np.stack([open_.line, slot], axis=1)).to(adapter.device)
    after = past.then(pack)
    with watch(adapter.layers(), after.visual, where) as counts:
        hidden = adapter.forward(_step(pack, mask, cache, adapter.device))
    _check(adapter, open_, counts, int((past.depth[0] < 0).sum()))
    now = np.arange(s) == slot[:, None]
    grown = replace(
        open_,
        seen=np.concatenate([open_.seen, now], axis=1),
        depth=open_.depth + 1,
        position=open_.position + 1,
    )
    return hidden[where[:, 0], where[:, 1]], grown, after


def _pack(open_: _Open, ids: NDArray[np.int64], slot: NDArray[np.int64], b: int) -> Pack:
    """One new token of each open reply, side by side, each seen by itself alone."""
    at, s = (open_.line, slot), int(slot.max()) + 1
    tokens, depth = np.zeros((b, s), np.int64), np.zeros((b, s), np.int64)
    positions = np.zeros((len(open_.position), b, s), np.int64)
    tokens[at], depth[at] = ids, open_.depth
    positions[:, open_.line, slot] = open_.position
    return Pack(
        ids=tokens,
        end=np.tile(np.arange(1, s + 1), (b, 1)),
        depth=depth,
        positions=positions,
        visual=np.zeros((b, s), np.bool_),
        length=np.bincount(open_.line, minlength=b),
    )


def _step(pack: Pack, mask: Tensor | dict[str, Tensor], cache: Any, device: str) -> Step:
    return Step(
        ids=torch.from_numpy(pack.ids).to(device),
        place=torch.from_numpy(pack.visual).to(device),
        visual=np.zeros((0, 1), np.float32),
        separator=np.zeros(0, np.bool_),
        positions=torch.from_numpy(pack.positions).to(device),
        mask=mask,
        past=cache,
    )


def _check(adapter: Adapter, open_: _Open, counts: list[Counts], prefix: int) -> None:
    """Every layer must have let each token see as much as one kind of layer does."""
    whole = prefix + open_.depth + 1
    kinds = [
        whole if r.window is None else np.minimum(whole, r.window) for r in adapter.reach.values()
    ]
    for seen, _ in counts:
        if not any((seen == kind).all() for kind in kinds):
            raise ModelError(
                f"{adapter.name}: a layer let replies see {sorted({*seen.tolist()})} tokens, "
                f"{sorted({int(x) for kind in kinds for x in kind})} promised"
            )
