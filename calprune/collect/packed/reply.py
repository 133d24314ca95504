"""Asking packs: routes, batches, the prefix's keys and values, and what to do without memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.adapter import Adapter, ImageRequest, Reach, Step
from calprune.collect.packed import masks
from calprune.collect.packed.decode import NOTHING, Begun, Generated, continued
from calprune.collect.packed.masks import Counts, Past, counting
from calprune.collect.packed.memory import in_halves, load, tokens_per_forward
from calprune.collect.packed.packs import Pack, PackedSequence, batches, cut, lay_out, with_prefix
from calprune.collect.packed.routes import Route, route
from calprune.errors import PlanError


@dataclass(frozen=True)
class Reply:
    """What the model says to q questions.

    ``logits`` float32 (q, vocabulary): at the first generated position, from a float32 head;
    ``tokens`` and ``visual`` int32 (q, layers): what each layer really let the question see;
    ``generated``: the greedy reply to each, empty where none was asked for.
    """

    logits: NDArray[np.float32]
    tokens: NDArray[np.int32]
    visual: NDArray[np.int32]
    generated: tuple[Generated, ...]


class Packed:
    """Packed answers of one adapter.

    Args:
        adapter: must share prefixes as a tree.
        tokens: most tokens in one forward; 0 takes what memory allows.
        max_memory: bytes to plan for, weights included, if fewer than the device has.
        route: forces a route, for comparisons.
    """

    watch = staticmethod(counting)

    def __init__(
        self,
        adapter: Adapter,
        tokens: int = 0,
        max_memory: int | None = None,
        route: Route | None = None,
    ) -> None:
        if adapter.prefix_sharing != "tree":
            raise PlanError(
                f"{adapter.name} shares prefixes as {adapter.prefix_sharing!r}; only trees are "
                "packed so far"
            )
        self.adapter, self.forced = adapter, route
        self._asked, self._max_memory = tokens, max_memory

    @cached_property
    def tokens(self) -> int:
        """Most tokens in one forward, decided once the weights are in place."""
        return self._asked or tokens_per_forward(self.adapter, self._max_memory)

    def numerics(self) -> dict[str, Any]:
        """The adapter's, and how batches were formed."""
        routes = self.forced or "tree|prefix"
        packing = {"route": f"trie+{routes}+head-kv", "tokens_per_forward": self.tokens}
        return self.adapter.numerics() | packing

    def reply(self, rows: Sequence[ImageRequest], most: int | Sequence[Sequence[int]] = 0) -> Reply:
        """Answers in order of rows, then of their suffixes; lines of similar length share forwards.

        Args:
            rows: images with their questions.
            most: tokens that replies may have at most: one number for all questions, or for each
                row one a suffix. With 0 a question is asked for its first position only.
        """
        limits = [[most] * len(r.suffixes) for r in rows] if isinstance(most, int) else most
        lines = [lay_out(r, n) for r, n in zip(rows, limits, strict=True)]
        found: dict[int, Reply] = {}
        for group in batches([load(x) for x in lines], self.tokens):
            for i, reply in zip(group, self._group([lines[i] for i in group]), strict=True):
                found[i] = reply
        ordered = [found[i] for i in range(len(rows))]
        return Reply(
            np.concatenate([r.logits for r in ordered]),
            np.concatenate([r.tokens for r in ordered]),
            np.concatenate([r.visual for r in ordered]),
            tuple(g for r in ordered for g in r.generated),
        )

    def _group(self, lines: Sequence[PackedSequence]) -> list[Reply]:
        """One batch; in halves where memory does not suffice, and smaller from then on."""

        def work(part: Sequence[PackedSequence]) -> list[Reply]:
            if len(part) < len(lines):
                self.tokens = min(self.tokens, len(part) * max(load(x) for x in part))
            return self._forward(part)

        asking = (
            f"asking {self.adapter.name} about one image of {max(len(x) for x in lines)} tokens"
        )
        return in_halves(work, lines, self.adapter.device, asking)

    @torch.inference_mode()
    def _forward(self, lines: Sequence[PackedSequence]) -> list[Reply]:
        asked = [len(x.last) for x in lines]
        if not any(x.most.any() for x in lines):
            hidden, counts = self.hidden(lines)  # the cache is freed before the head runs
            return _split(self.adapter.lm_head(hidden), counts, asked, [NOTHING] * sum(asked))
        begun = self._begin(lines)
        logits = self.adapter.lm_head(begun.hidden)
        generated = continued(self.adapter, lines, begun, logits, self.watch)
        return _split(logits, begun.counts, asked, generated)

    @torch.inference_mode()
    def hidden(self, lines: Sequence[PackedSequence]) -> tuple[Tensor, list[Counts]]:
        """Hidden rows (q, D) at the ends of all questions, and what each layer let them see."""
        begun = self._begin(lines)
        return begun.hidden, begun.counts

    def _begin(self, lines: Sequence[PackedSequence]) -> Begun:
        chosen = self.forced or route(max(x.visual for x in lines))
        shift = int(chosen == "prefix")
        past = Past.prefix(len(lines), self.prefix_length)
        if chosen == "prefix":
            cache = self._visual_cache(lines, past)
            past = past.then(cut(lines, "visual"))
        else:
            cache = self.prefix_cache(len(lines))
        pack = cut(lines, "words" if shift else "all")
        last = [(b, c - shift * x.visual) for b, x in enumerate(lines) for c in x.last]
        where = torch.tensor(last, device=self.adapter.device)
        shown = np.concatenate([past.visual, pack.visual], axis=1)
        with self.watch(self.adapter.layers(), shown, where) as counts:
            hidden = self._run(lines, pack, past, cache)
        hidden = hidden[where[:, 0], where[:, 1]]
        return Begun(hidden, counts, pack, past, np.array(last), cache)

    def _visual_cache(self, lines: Sequence[PackedSequence], past: Past) -> Any:
        """A cache that holds the prefix and every line's visual tokens.

        Where all layers are plainly causal the prefix is computed again with them: a forward from
        the first token on needs no mask, and kernels then leave out the half that it would hide.
        """
        from transformers import DynamicCache

        if all(r == Reach() for r in self.adapter.reach.values()):
            cache = DynamicCache()
            pack = with_prefix(self.adapter.prompt("?").prefix, lines)
            causal = torch.ones(pack.ids.shape, dtype=torch.long, device=self.adapter.device)
            self.adapter.forward(self.step(lines, pack, causal, cache))
            return cache
        cache = self.prefix_cache(len(lines))
        pack = cut(lines, "visual")
        if pack.ids.shape[1]:
            self._run(lines, pack, past, cache)
        return cache

    def _run(self, lines: Sequence[PackedSequence], pack: Pack, past: Past, cache: Any) -> Tensor:
        mask = masks.masks_of(pack, past, self.adapter.reach, self.adapter.device)
        return self.adapter.forward(self.step(lines, pack, mask, cache))

    def step(
        self,
        lines: Sequence[PackedSequence],
        pack: Pack,
        mask: Tensor | dict[str, Tensor],
        cache: Any,
    ) -> Step:
        """What the adapter's forward takes, for a piece of lines and a mask."""
        device = self.adapter.device
        rows = lines if pack.visual.any() else ()
        return Step(
            ids=torch.from_numpy(pack.ids).to(device),
            place=torch.from_numpy(pack.visual).to(device),
            visual=np.concatenate([x.row.visual for x in rows]) if rows else _NOTHING,
            separator=np.concatenate([x.row.separator for x in rows])
            if rows
            else _NOTHING[:, 0] > 0,
            positions=torch.from_numpy(pack.positions).to(device),
            mask=mask,
            past=cache,
        )

    @property
    def prefix_length(self) -> int:
        """Tokens before every image."""
        return len(self.adapter.prompt("?").prefix)

    @property
    def prefix(self) -> list[tuple[Tensor, Tensor]]:
        """The prefix's keys and values, per layer (1, heads, n, d); empty without a prefix."""
        return self._prefix if self.prefix_length else []

    @cached_property
    def _prefix(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of everything before the image, per layer (1, heads, n, d)."""
        from transformers import DynamicCache

        prefix = self.adapter.prompt("?").prefix
        nowhere = np.zeros((self.adapter.axes, 0), dtype=np.int64)
        row = ImageRequest(_NOTHING, _NOTHING[:, 0] > 0, nowhere, 0, (prefix,))
        cache = DynamicCache()
        line = lay_out(row)
        self._run([line], cut([line], "all"), Past.prefix(1, 0), cache)
        layers: list[Any] = list(cache.layers)
        return [(layer.keys, layer.values) for layer in layers]

    def prefix_cache(self, b: int) -> Any:
        """A fresh cache that holds the prefix's keys and values for b lines."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self._prefix if self.prefix_length else ()):
            cache.update(keys.expand(b, -1, -1, -1), values.expand(b, -1, -1, -1), layer)
        return cache


_NOTHING = np.zeros((0, 1), dtype=np.float32)


def _split(
    logits: NDArray[np.float32],
    counts: Sequence[Counts],
    asked: list[int],
    generated: Sequence[Generated],
) -> list[Reply]:
    tokens, visual = (np.stack([c[i] for c in counts], axis=1) for i in (0, 1))
    cuts, each = np.cumsum(asked)[:-1], iter(generated)
    replies = [tuple(islice(each, n)) for n in asked]
    parts = (np.split(x, cuts) for x in (logits, tokens, visual))
    return [Reply(*part) for part in zip(*parts, replies, strict=True)]
