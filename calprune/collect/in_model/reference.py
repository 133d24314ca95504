"""Two slow routes that share nothing with the fast one, one question and one sequence at a time.

``hidden_away`` runs the model's own forward over the whole sequence with an attention function of
ours, registered with transformers: it ranks in the ranking layers and hides the dropped keys from
the layers after. That equals dropping at original positions. ``spelled_out`` drops, merges and
counts positions anew in a plain loop over layers; it ranks by the same function's probabilities.
Neither saves anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.adapter import Adapter
from calprune.collect.in_model.decoder import layerwise
from calprune.collect.in_model.token_merging import noise
from calprune.collect.pruning_stages import Stage
from calprune.data.benchmark import Picture
from calprune.errors import ModelError

NAME = "calprune_in_model"


@dataclass
class _Watched:
    """What the attention function does and has seen, for one sequence of n tokens.

    ``alive`` bool (n,): keys that may be seen from here on; ``rows``: probabilities (heads, n, n)
    of the layer that ran last; ``ranks``: by layer, what to do with them.
    """

    alive: Tensor
    window: int | None
    ranks: dict[int, Any] = field(default_factory=dict)
    rows: Tensor = field(default_factory=lambda: torch.zeros(0))


_now: list[_Watched] = []


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """Explicit softmax attention over keys that are alive; masks of the caller play no part."""
    watched = _now[-1]
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    n = query.shape[2]
    at = torch.arange(n, device=query.device)
    place = watched.alive.long().cumsum(0)  # in the shortened sequence
    seen = (at[:, None] >= at) & watched.alive
    if watched.window is not None:
        seen &= place[:, None] - place < watched.window
    seen |= at[:, None] == at  # what is dropped goes on by itself, unseen
    scores = torch.einsum("bhqd,bhkd->bhqk", query.float(), key.float()) * scaling
    rows = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    watched.rows = rows[0]
    out = torch.einsum("bhqk,bhkd->bqhd", rows, value.float()).to(query.dtype).contiguous()
    if module.layer_idx in watched.ranks:
        watched.ranks[module.layer_idx]()
    return out, None


@contextmanager
def _attending(text: Any, watched: _Watched) -> Iterator[None]:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)
    before = text.config._attn_implementation
    text.config._attn_implementation = NAME
    _now.append(watched)
    try:
        yield
    finally:
        _now.pop()
        text.config._attn_implementation = before


@dataclass(frozen=True)
class Question:
    """One question about one image: ``embeds`` (n, D) of prefix, v visual tokens and suffix.

    ``separator`` bool (v,); ``image`` and ``suffix`` name the noise of merging, with ``seed``.
    """

    embeds: Tensor
    prefix: int
    separator: NDArray[np.bool_]
    image: str = "0" * 16
    suffix: tuple[int, ...] = ()
    seed: int = 0

    @property
    def visual(self) -> range:
        """Places of the visual tokens."""
        return range(self.prefix, self.prefix + len(self.separator))


Answer = tuple[NDArray[np.float32], NDArray[np.int64]]


@torch.inference_mode()
def from_pixels(adapter: Adapter, image: Picture, question: str) -> Tensor:
    """Embeddings (n, D) of the whole prompt, the image's by transformers' own functions."""
    model, prompt = layerwise(adapter), adapter.prompt(question)
    words = model.decoder.embed_tokens
    before, after = (
        words(torch.tensor(ids, dtype=torch.long, device=adapter.device))
        for ids in (prompt.prefix, prompt.suffix)
    )
    return torch.cat([before, model.whole(image).to(before.dtype), after])


def answer(adapter: Adapter, asked: Question, stages: Sequence[Stage], contiguous: bool) -> Answer:
    """By the model's own forward where hiding equals dropping, else spelled out."""
    if contiguous or any(s.merged or s.by != s.before - 1 for s in stages):
        return spelled_out(adapter, asked, stages, contiguous)
    return hidden_away(adapter, asked, stages)


@torch.inference_mode()
def hidden_away(adapter: Adapter, asked: Question, stages: Sequence[Stage]) -> Answer:
    """Logits (vocabulary,) and tokens kept (k,), original positions, nothing merged.

    The stages must rank by layers that have run. A second pass is a second forward.
    """
    if any(s.merged or s.by != s.before - 1 for s in stages):
        raise ModelError("keys can be hidden only by what has run, and nothing merges in hiding")
    text: Any = layerwise(adapter).decoder
    n = len(asked.embeds)
    rating = _rating(asked, stages)
    watched = _Watched(torch.ones(n, dtype=torch.bool), next(iter(adapter.reach.values())).window)
    watched.alive = watched.alive.to(asked.embeds.device)

    def ranking(stage: Stage) -> Any:
        def rank() -> None:
            left = [
                i
                for i in asked.visual
                if watched.alive[i] and not asked.separator[i - asked.prefix]
            ]
            weight = _weight(text, watched.rows, rating, left, stage, torch.arange(n))
            order = sorted(range(len(left)), key=lambda i: (-weight[i], i))
            for i in order[stage.keep :]:
                watched.alive[left[i]] = False

        return rank

    watched.ranks = {s.by: ranking(s) for s in stages}
    with _attending(text, watched):
        hidden = _forward(text, asked.embeds)
        if stages[-1].again:
            watched.ranks = {}
            hidden = _forward(text, asked.embeds)
    kept = [i - asked.prefix for i in asked.visual if watched.alive[i]]
    return adapter.lm_head(hidden[-1:])[0], np.array(kept, dtype=np.int64)


def _forward(text: Any, embeds: Tensor) -> Tensor:
    places = torch.arange(len(embeds), device=embeds.device)[None]
    whole = torch.ones_like(places)
    out: Tensor = text(
        inputs_embeds=embeds[None], attention_mask=whole, position_ids=places, use_cache=False
    ).last_hidden_state[0]
    return out


@torch.inference_mode()
def spelled_out(
    adapter: Adapter, asked: Question, stages: Sequence[Stage], contiguous: bool = True
) -> Answer:
    """Logits (vocabulary,) and tokens kept (k,), -1 for merged ones."""
    text: Any = layerwise(adapter).decoder
    window = next(iter(adapter.reach.values())).window
    x, device = asked.embeds, asked.embeds.device
    name = [None] * asked.prefix + list(range(len(asked.separator)))
    name += [None] * (len(x) - len(name))
    rating = _rating(asked, stages)
    places = torch.arange(len(x))
    by_layer = {s.before: (number, s) for number, s in enumerate(stages)}
    rows, dropped = torch.zeros(0), 0
    for index in range(len(text.layers)):
        if index in by_layer:
            number, stage = by_layer[index]
            if stage.by == index:
                rows = _layer(text, index, x, places, window)[1]
            visual = [i for i, t in enumerate(name) if t is not None]
            free = [i for i in visual if name[i] == -1 or not asked.separator[name[i]]]
            weight = _weight(text, rows, [r - dropped for r in rating], free, stage, places)
            order = sorted(range(len(free)), key=lambda i: (-weight[i], i))
            gone = [free[i] for i in order[stage.keep :]]
            stay = [i for i in range(len(x)) if i not in set(gone)]
            end = stay.index(visual[-1] + 1) if stay else 0
            new = _clusters(asked, x, gone[: stage.merge_from], stage.merged, number)
            kept = torch.tensor(stay, device=device)
            x = torch.cat([x[kept][:end], new.to(x), x[kept][end:]])
            x = asked.embeds[kept] if stage.again else x
            names = [name[i] for i in stay]
            name = names[:end] + [-1] * len(new) + names[end:]
            dropped += len(gone) - len(new)
            places = torch.arange(len(x)) if contiguous else places[kept.cpu()]
            for earlier in range(index if stage.again else 0):
                x = _layer(text, earlier, x, places, window)[0]
        x, rows = _layer(text, index, x, places, window)
    left = [t for t in name if t is not None]
    return adapter.lm_head(text.norm(x[-1:]))[0], np.array(left, dtype=np.int64)


def _layer(
    text: Any, index: int, x: Tensor, places: Tensor, window: int | None
) -> tuple[Tensor, Tensor]:
    """A layer over one sequence (n, D), and its probabilities (heads, n, n)."""
    watched = _Watched(torch.ones(len(x), dtype=torch.bool, device=x.device), window)
    at = places[None].to(x.device)
    with _attending(text, watched):
        found = text.layers[index](
            x[None],
            attention_mask=None,
            position_ids=at,
            position_embeddings=text.rotary_emb(x[None], at),
            past_key_values=None,
            use_cache=False,
        )
    return (found[0] if isinstance(found, tuple) else found)[0], watched.rows


def _rating(asked: Question, stages: Sequence[Stage]) -> list[int]:
    """Places of the queries: the last one, or the rating tokens of the question."""
    n, first = len(asked.embeds), asked.visual.stop
    if stages[0].rows == "last":
        return [n - 1]
    x = asked.embeds.double()
    chance = torch.zeros(n - first, dtype=torch.float64, device=x.device)
    for i in asked.visual:
        chance += torch.softmax(x[first:] @ x[i], dim=0) / len(asked.separator)
    mean = chance.mean()
    return [first + i for i, c in enumerate(chance) if c > mean] or list(range(first, n))


def _weight(
    text: Any,
    rows: Tensor,
    queries: Sequence[int],
    columns: Sequence[int],
    stage: Stage,
    places: Tensor,
) -> list[float]:
    """Attention of some columns, averaged over queries and heads."""
    found = rows.double()[:, list(queries)][:, :, list(columns)]  # heads, queries, columns
    if stage.heads:
        at = places.to(rows.device)
        rope = text.rotary_emb(torch.zeros(1, device=rows.device), at[None])
        cos, sin = (t[0].double() for t in rope)
        half = cos.shape[1] // 2
        sign = torch.cat([-torch.ones(half), torch.ones(half)]).to(cos)
        ones = cos + sign * sin  # of a vector of ones, turned
        bias = (ones[list(queries)] @ ones[list(columns)].T) / cos.shape[1] ** 0.5
        found = found / bias
        mass = found.sum((1, 2)).tolist()
        best = sorted(range(len(mass)), key=lambda h: (-mass[h], h))[: stage.heads]
        found = found[best]
    weight: list[float] = found.mean((0, 1)).tolist()
    return weight


def _clusters(asked: Question, x: Tensor, places: list[int], clusters: int, stage: int) -> Tensor:
    """Density peaks, token by token."""
    if not clusters:
        return x[:0]
    tokens = x[places].double()
    n, width = tokens.shape
    apart = (tokens[:, None] - tokens[None]).norm(dim=2) / width**0.5
    drawn = noise(asked.seed, asked.image, asked.suffix, stage, n)
    dense = [
        float(torch.exp(-(row.sort().values[:clusters] ** 2).mean())) + 1e-6 * u
        for row, u in zip(apart, drawn, strict=True)
    ]
    peak = []
    for i in range(n):
        higher = [float(apart[i, j]) for j in range(n) if dense[j] > dense[i]]
        peak.append(dense[i] * min(higher, default=float(apart.max())))
    centres = sorted(range(n), key=lambda i: (-peak[i], i))[:clusters]
    member = {
        i: centres.index(i) if i in centres else int(apart[i, centres].argmin()) for i in range(n)
    }
    parts = [[i for i in range(n) if member[i] == c] for c in range(clusters)]
    return torch.stack([tokens[part].sum(0) / (len(part) + 1e-6) for part in parts])
