"""The fast route: early layers once an image, then every question in a sequence of its own.

Up to the first stage visual tokens are the same for all questions, since they see no text, so a
pack runs these layers once. From there on each question has its own visual tokens; questions of all
images in the batch go on side by side, after the prefix's keys and values, which never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.adapter import ImageRequest, Reach
from calprune.collect.in_model.decoder import Decoder, layerwise
from calprune.collect.in_model.layout import Layout, StageKept, spread
from calprune.collect.in_model.scores import Picked, corrected_score, mean_score, pick, raters
from calprune.collect.in_model.token_merging import cluster_means, noise
from calprune.collect.packed import masks
from calprune.collect.packed.decode import NOTHING
from calprune.collect.packed.masks import Past
from calprune.collect.packed.memory import in_halves, load
from calprune.collect.packed.packs import PackedSequence, batches, cut, lay_out
from calprune.collect.packed.reply import Packed, Reply
from calprune.collect.pruning_stages import InModelSelector, Stage, left, planned, promised
from calprune.errors import ModelError


@dataclass(frozen=True)
class InModelReply(Reply):
    """What the model says to q questions, and what was left of each one's visual tokens.

    Attributes:
        kept: for each question the visual tokens int64 (k,) of the image that its last layer works
            on as themselves, separators included, in raster order.
        until: for each question int32 (v,), the first layer that does not see each visual token of
            the image, or the number of layers.
        merged: int32 (q, layers) tokens made of others that each layer works on.
        tied: int32 (q,) kept tokens that only their index decided, over all stages.
        margin: float64 (q,) smallest relative lead of the last one kept over the best one left out,
            over all stages; 0 where none was left out.
    """

    kept: tuple[NDArray[np.int64], ...]
    until: tuple[NDArray[np.int32], ...]
    merged: NDArray[np.int32]
    tied: NDArray[np.int32]
    margin: NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """One question: its image's SHA-256 and separators (v,), its own token ids, its stages."""

    image: str
    separator: NDArray[np.bool_]
    suffix: tuple[int, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class _Cut:
    """What a stage left of one question: tokens (k,), -1 for merged ones, and how it picked."""

    token: NDArray[np.int64]
    picked: Picked


@dataclass(frozen=True)
class _State:
    """Some questions before a layer: ``hidden`` (b, s, D) laid out, and what happened so far.

    ``counts`` int32 (q, 2, layers so far): tokens and visual tokens seen; ``rating``: which of each
    question's tokens rate the visual ones.
    """

    asked: tuple[Asked, ...]
    layout: Layout
    hidden: Tensor
    counts: NDArray[np.int32]
    rating: tuple[NDArray[np.int64], ...]
    cuts: tuple[tuple[_Cut, ...], ...]

    def rivals(self, q: int) -> NDArray[np.int64]:
        """Which of a question's visual tokens compete: all but separators, merged ones too."""
        token = self.layout.token[q]
        return np.flatnonzero((token < 0) | ~self.asked[q].separator[token])

    def only(self, these: Sequence[int], layout: Layout, hidden: Tensor) -> _State:
        return _State(
            tuple(self.asked[i] for i in these),
            layout,
            hidden,
            self.counts[list(these)],
            tuple(self.rating[i] for i in these),
            tuple(self.cuts[i] for i in these),
        )


@dataclass(frozen=True)
class _Said:
    """The reply to one question: logits (vocabulary,), counts (2, layers), what stages left."""

    asked: Asked
    logits: NDArray[np.float32]
    counts: NDArray[np.int32]
    cuts: tuple[_Cut, ...]


def reply(
    packed: Packed,
    rows: Sequence[ImageRequest],
    name: str,
    selector: InModelSelector,
    budgets: Sequence[int],
    images: Sequence[str],
) -> InModelReply:
    """Answers in order of rows, then of their suffixes.

    Raises PlanError for impossible stages or a decoder that is not known, ModelError if a layer
    let a question see another number of tokens than promised or attention is not finite.

    Args:
        packed: the model, and how large batches are.
        rows: images with their questions; each holds all its visual tokens at original positions.
        name: of the selector, for messages.
        selector: that prunes inside; a field ``seed`` draws the noise of merging.
        budgets: for each row, candidates that its budget asks for.
        images: for each row, the image's SHA-256.
    """
    depth = packed.adapter.shape.layers
    asked = []
    for row, budget, image in zip(rows, budgets, images, strict=True):
        _check_whole(row, packed.prefix_length)
        candidates = int((~row.separator).sum())
        stages = planned(name, selector, min(budget, candidates), candidates, depth)
        asked.append([Asked(image, row.separator, suffix, stages) for suffix in row.suffixes])
    seed = int(getattr(selector, "seed", None) or 0)
    run = Run(packed, name, selector.positions == "contiguous", seed)
    return run.reply(rows, asked)


def _check_whole(row: ImageRequest, prefix: int) -> None:
    v = len(row.separator)
    if not np.array_equal(row.positions, prefix + np.arange(v)[None]) or row.start != prefix + v:
        raise ValueError("a row for pruning inside holds all visual tokens at original positions")


class Run:
    """Answers of one adapter under stages.

    Args:
        packed: the model, and how large batches are.
        name: of the selector, for messages.
        contiguous: positions are counted anew after each stage.
        seed: of the noise of merging.
    """

    def __init__(self, packed: Packed, name: str, contiguous: bool, seed: int = 0) -> None:
        self.packed, self.name, self.contiguous, self.seed = packed, name, contiguous, seed
        self.adapter = layerwise(packed.adapter)
        self.decoder = Decoder(packed.adapter, packed.prefix)
        self.doing = f"asking {packed.adapter.name} with {name}"

    def reply(self, rows: Sequence[ImageRequest], asked: Sequence[Sequence[Asked]]) -> InModelReply:
        """Answers to ``asked[i]``, the questions of row i; stages differ only in what they keep."""
        lines = [lay_out(r) for r in rows]
        found: dict[int, list[_Said]] = {}
        for group in batches([load(x) for x in lines], self.packed.tokens):
            work = [(lines[i], asked[i]) for i in group]
            found |= zip(
                group, in_halves(self._begin, work, self.adapter.device, self.doing), strict=True
            )
        said = [one for i in range(len(rows)) for one in found[i]]
        return _together(said)

    @torch.inference_mode()
    def _begin(self, work: Sequence[tuple[PackedSequence, Sequence[Asked]]]) -> list[list[_Said]]:
        lines = [line for line, _ in work]
        asked = tuple(one for _, some in work for one in some)
        pack, past = cut(lines, "all"), Past.prefix(len(lines), self.decoder.before)
        mask = masks.tree_mask(pack, past, Reach(self.decoder.window), self.adapter.device)
        layout = Layout.packed(lines, pack, past, mask)
        step = self.packed.step(lines, pack, mask, None)
        embeds = self.adapter.embedded(step)
        state = _State(
            asked,
            layout,
            embeds,
            np.zeros((len(asked), 2, 0), np.int32),
            self._raters(asked[0].stages, layout, embeds),
            ((),) * len(asked),
        )
        said = iter(self._descend(state, 0, 0))
        return [[next(said) for _ in some] for _, some in work]

    def _raters(
        self, stages: Iterable[Stage], layout: Layout, embeds: Tensor
    ) -> tuple[NDArray[np.int64], ...]:
        """Ordinals of the rating tokens of each question; the last one where none are needed."""
        if all(s.rows == "last" for s in stages):
            return tuple(np.array([len(suffix) - 1]) for suffix in layout.suffix)
        at = zip(layout.line, layout.visual, layout.suffix, strict=True)
        return tuple(raters(embeds[b, visual], embeds[b, suffix]) for b, visual, suffix in at)

    def _descend(self, state: _State, stage: int, layer: int) -> list[_Said]:
        """From a layer to the logits, through the stages that are left."""
        if stage == len(state.asked[0].stages):
            return self._end(self._through(state, layer, len(self.decoder.layers))[0])
        here = state.asked[0].stages[stage]
        first, entered = state.hidden, state.hidden
        state, entered = self._through(state, layer, here.before)
        scores = self._scores(state, here, state.hidden if here.by == here.before else entered)
        kept, cuts = self._kept(state, stage, scores)
        state = replace(state, cuts=tuple((*a, b) for a, b in zip(state.cuts, cuts, strict=True)))
        if here.again:
            empty = np.zeros((len(state.asked), 2, 0), np.int32)
            state = replace(state, hidden=first, counts=empty)
        start = 0 if here.again else here.before

        def onward(part: Sequence[int]) -> list[_Said]:
            layout, hidden = spread(
                state.layout,
                state.hidden,
                part,
                [kept[i] for i in part],
                self.decoder.before,
                self.decoder.window,
                self.contiguous,
            )
            return self._descend(state.only(part, layout, hidden), stage + 1, start)

        found: dict[int, _Said] = {}
        sizes = [len(k) + len(suffix) for k, suffix in zip(kept, state.layout.suffix, strict=True)]
        for group in batches(sizes, self.packed.tokens):
            said = in_halves(onward, group, self.adapter.device, self.doing)
            found |= zip(group, said, strict=True)
        return [found[i] for i in range(len(state.asked))]

    def _through(self, state: _State, start: int, stop: int) -> tuple[_State, Tensor]:
        """Layers start to stop; the state after them, and what entered the last of them."""
        layout, hidden, entered = state.layout, state.hidden, state.hidden
        rope = self.decoder.rope(hidden, layout.positions)
        with self.packed.watch(self.adapter.layers(), layout.shown, layout.last) as counts:
            for index in range(start, stop):
                entered = hidden
                hidden = self.decoder.run(index, hidden, layout.mask, layout.positions, rope)
        if len(counts) != stop - start:
            raise ModelError(f"{self.adapter.name}: {len(counts)} of {stop - start} layers ran")
        seen = [np.stack(c, axis=1)[:, :, None] for c in counts]
        after = np.concatenate([state.counts, *seen], axis=2)
        return replace(state, hidden=hidden, counts=after), entered

    def _scores(self, state: _State, stage: Stage, hidden: Tensor) -> list[NDArray[np.float64]]:
        """For each question the attention (n,) that its rivals get in layer ``by``."""
        layout, device = state.layout, hidden.device
        rivals = [layout.visual[q][state.rivals(q)] for q in range(len(state.asked))]
        asking = [
            suffix[which] if stage.rows == "raters" else suffix[-1:]
            for suffix, which in zip(layout.suffix, state.rating, strict=True)
        ]
        slots, queries = _side_by_side(layout.line, asking, len(hidden))
        at = torch.from_numpy(queries).to(device)
        rope = self.decoder.rope(hidden, layout.positions)
        order = np.argsort(layout.line, kind="stable")
        parts: list[Tensor] = []
        for first, rows in self.decoder.attention(stage.by, hidden, layout.mask, rope, at):
            part = slice(first, first + len(rows))
            bias = None
            if stage.heads:
                bias = self.decoder.bias(stage.by, layout.positions[part], at[part])
            for q in order[np.isin(layout.line[order], np.arange(first, first + len(rows)))]:
                b, own = int(layout.line[q]) - first, slots[q]
                columns = torch.from_numpy(self.decoder.before + rivals[q]).to(device)
                if bias is None:
                    parts.append(mean_score(rows[b, own], columns))
                else:
                    parts.append(corrected_score(rows[b, own], bias[b, own], columns, stage.heads))
        flat = torch.cat(parts).cpu().numpy() if parts else np.zeros(0)  # one wait for the device
        cuts = np.cumsum([len(rivals[q]) for q in order])[:-1]
        found = dict(zip(order.tolist(), np.split(flat, cuts), strict=True))
        if not np.isfinite(flat).all():
            raise ModelError(
                f"{self.adapter.name}, {self.name}: attention of layer {stage.by} is not finite; "
                "try --dtype float32 or check the weights"
            )
        return [found[i] for i in range(len(found))]

    def _kept(
        self, state: _State, number: int, scores: Sequence[NDArray[np.float64]]
    ) -> tuple[list[StageKept], list[_Cut]]:
        """What stays of each question's visual tokens, and how it was picked."""
        kept, cuts = [], []
        for q, (asked, score) in enumerate(zip(state.asked, scores, strict=True)):
            stage, token = asked.stages[number], state.layout.token[q]
            rivals = state.rivals(q)
            found = pick(score, stage.keep)
            out = np.setdiff1d(np.arange(len(rivals)), found.index)
            stay = np.setdiff1d(np.arange(len(token)), rivals[out])
            new = None
            if stage.merged:
                best = out[np.argsort(-score[out], kind="stable")[: stage.merge_from]]
                new = self._merged(state, q, number, state.layout.visual[q][rivals[best]])
            kept.append(StageKept(state.layout.visual[q][stay], token[stay], new))
            cuts.append(_Cut(np.append(token[stay], np.full(stage.merged, -1)), found))
        return kept, cuts

    def _merged(self, state: _State, q: int, number: int, columns: NDArray[np.int64]) -> Tensor:
        asked = state.asked[q]
        drawn = noise(self.seed, asked.image, asked.suffix, number, len(columns))
        tokens = state.hidden[int(state.layout.line[q]), columns].float().cpu().numpy()
        means = cluster_means(tokens, asked.stages[number].merged, drawn)
        return torch.from_numpy(means).to(state.hidden.device)

    def _end(self, state: _State) -> list[_Said]:
        """Logits, after a check that every layer saw what was promised."""
        last = state.layout.last
        hidden = self.decoder.norm(state.hidden[last[:, 0], last[:, 1]])
        logits = self.adapter.lm_head(hidden)
        for asked, counts in zip(state.asked, state.counts, strict=True):
            self._check(asked, counts)
        return [
            _Said(asked, logits[q], state.counts[q], state.cuts[q])
            for q, asked in enumerate(state.asked)
        ]

    def _check(self, asked: Asked, counts: NDArray[np.int32]) -> None:
        separator, prefix, own = int(asked.separator.sum()), self.decoder.before, len(asked.suffix)
        visual = promised(
            asked.stages, len(asked.separator) - separator, separator, len(self.decoder.layers)
        )
        window = self.decoder.window or sum((max(visual), prefix, own))
        tokens = [min(window, prefix + v + own) for v in visual]
        visual = [min(v, max(0, window - own)) for v in visual]
        if counts.tolist() != [tokens, visual]:
            raise ModelError(
                f"{self.adapter.name}, {self.name}: layers saw {counts[1].tolist()} visual tokens "
                f"of {counts[0].tolist()}, promised were {visual} of {tokens}"
            )


def _side_by_side(
    line: NDArray[np.int64], asking: Sequence[NDArray[np.int64]], b: int
) -> tuple[list[slice], NDArray[np.int64]]:
    """Queries of all questions of a line in one row: each question's part, and (b, n) padded."""
    used = np.zeros(b, dtype=np.int64)
    slots = []
    for i, columns in zip(line, asking, strict=True):
        slots.append(slice(int(used[i]), int(used[i]) + len(columns)))
        used[i] += len(columns)
    queries = np.zeros((b, int(used.max())), dtype=np.int64)
    for i, own, columns in zip(line, slots, asking, strict=True):
        queries[i, own] = columns
    return slots, queries


def _together(said: Sequence[_Said]) -> InModelReply:
    margins = [min(c.picked.margin for c in s.cuts) for s in said]
    seen = [
        left(s.asked.stages, [c.token for c in s.cuts], len(s.asked.separator), s.counts.shape[1])
        for s in said
    ]
    return InModelReply(
        logits=np.stack([s.logits for s in said]),
        tokens=np.stack([s.counts[0] for s in said]),
        visual=np.stack([s.counts[1] for s in said]),
        generated=(NOTHING,) * len(said),
        kept=tuple(np.flatnonzero(until == len(merged)) for until, merged in seen),
        until=tuple(until for until, _ in seen),
        merged=np.stack([merged for _, merged in seen]),
        tied=np.array([sum(c.picked.tied for c in s.cuts) for s in said], dtype=np.int32),
        margin=np.array(margins),
    )
