"""Formulas: forwards, tokens and FLOPs of one condition, packed or asked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune.collect.adapter import Shape
from calprune.collect.packed.routes import route
from calprune.collect.pruning_stages import Stage


@dataclass(frozen=True)
class Workload:
    """What is asked, on average over the images.

    ``row_tokens``: tokens after the image summed over all rows; ``trie_tokens``: the same over
    distinct questions with common beginnings merged; ``crops``: of all images together;
    ``reply_tokens``: that replies to distinct open questions may have together.
    """

    images: int
    rows: int
    questions: int
    prefix: int
    row_tokens: int
    trie_tokens: int
    crops: int
    reply_tokens: int = 0

    @property
    def suffix(self) -> float:
        """Tokens of a question."""
        return self.row_tokens / self.rows


@dataclass(frozen=True)
class Drop:
    """A point inside the language model: from layer ``before`` on, ``visual`` tokens are left.

    ``again``: from the first layer on, in a second pass.
    """

    before: int
    visual: float
    again: bool = False


@dataclass(frozen=True)
class Asking:
    """How one condition asks about an image, on average.

    Attributes:
        visual: visual tokens that enter the language model, separators included.
        guided: each question has an image of its own.
        drops: where tokens leave inside the language model.
    """

    visual: float
    guided: bool = False
    drops: tuple[Drop, ...] = ()


def drops(stages: Sequence[Sequence[Stage]], separator: Sequence[int]) -> tuple[Drop, ...]:
    """Of several images, with so many separators each; stages differ only in what they keep."""
    found = []
    for at in zip(*stages, strict=True):
        left = [s.keep + s.merged + g for s, g in zip(at, separator, strict=True)]
        found.append(Drop(at[0].before, sum(left) / len(left), at[0].again))
    return tuple(found)


@dataclass(frozen=True)
class Cost:
    """Forwards (or packs, several of which share one), tokens and FLOPs of one way of asking.

    ``tokens`` are means over the layers of the decoder.
    """

    forwards: int
    tokens: int
    flops: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forwards + other.forwards, self.tokens + other.tokens, self.flops + other.flops
        )


def layer_flops(shape: Shape, tokens: float, pairs: float) -> float:
    """FLOPs of ``tokens`` through one of a decoder's layers.

    ``pairs`` of query and key count although masked, as kernels and torch's FlopCounterMode have
    it.
    """
    d, q, kv = shape.hidden, *(n * shape.head_width for n in (shape.heads, shape.kv_heads))
    weights = 2 * d * q + 2 * d * kv + 3 * d * shape.intermediate
    return 2.0 * weights * tokens + 4.0 * q * pairs


def decoder_flops(shape: Shape, tokens: float, pairs: float, heads: float) -> float:
    """FLOPs of ``tokens`` through a decoder's layers and ``heads`` rows through its head."""
    return shape.layers * layer_flops(shape, tokens, pairs) + head_flops(shape, heads)


def head_flops(shape: Shape, rows: float) -> float:
    """FLOPs of rows through the head over the vocabulary."""
    return 2.0 * shape.hidden * shape.vocabulary * rows


def tower_flops(shape: Shape) -> float:
    """FLOPs of one crop through the tower's layers, and through no projector."""
    d, n = shape.tower_hidden, shape.tower_tokens
    weights = 4 * d * d + 2 * d * shape.tower_intermediate
    return shape.tower_layers * (2.0 * weights * n + 4.0 * d * n * n)


def projector_flops(shape: Shape, rows: float) -> float:
    """FLOPs of visual rows through the two layers of the projector."""
    return 2.0 * rows * (shape.tower_hidden * shape.hidden + shape.hidden**2)


def packed_cost(shape: Shape, work: Workload, asking: Asking) -> Cost:
    """One condition as it is run; the prefix's keys and values are computed once for all."""
    if asking.drops:
        return _in_model_cost(shape, work, asking)
    packs, asked = work.images, work.trie_tokens / work.images
    if asking.guided:
        packs, asked = work.questions, work.suffix
    before, kept = work.prefix, asking.visual
    n = kept + asked
    pairs = n * (before + n)
    if route(int(kept)) == "prefix":  # which computes the prefix again, with the image
        pairs = (before + kept) ** 2 + asked * (before + n)
        n += before
    flops = decoder_flops(shape, n, pairs, work.questions / packs)
    flops += projector_flops(shape, kept)
    return Cost(packs, round(n * packs), flops * packs) + _replies_cost(shape, work, kept)


def _in_model_cost(shape: Shape, work: Workload, asking: Asking) -> Cost:
    """Layers before the first drop once an image, then each question in a sequence of its own."""
    shared = asking.drops[0].before
    n = asking.visual + work.trie_tokens / work.images
    image = shared * layer_flops(shape, n, n * (work.prefix + n)) + _ranking_flops(shape, n)
    image += projector_flops(shape, asking.visual)
    tokens, question = _alone(shape, asking, 0, work.suffix, work.prefix)
    question += head_flops(shape, 1)
    tokens = work.images * n * shared + work.questions * tokens
    return Cost(
        work.images + work.questions,
        round(tokens / shape.layers),
        work.images * image + work.questions * question,
    )


def _alone(
    shape: Shape, asking: Asking, own: float, suffix: float, before: float
) -> tuple[float, float]:
    """One question from the first drop on: tokens times layers, and FLOPs.

    ``own`` tokens of the prefix that go along, or ``before`` it only as keys.
    """
    ends = [*(d.before for d in asking.drops[1:]), shape.layers]
    tokens = flops = 0.0
    for number, (drop, end) in enumerate(zip(asking.drops, ends, strict=True), 1):
        n, layers = own + drop.visual + suffix, end - (0 if drop.again else drop.before)
        tokens += layers * n
        flops += layers * layer_flops(shape, n, n * (before + n))
        flops += _ranking_flops(shape, n) if number < len(asking.drops) else 0.0
    return tokens, flops


def _ranking_flops(shape: Shape, tokens: float) -> float:
    """Keys once more, for the few rows of attention that rank."""
    return 2.0 * shape.hidden * shape.kv_heads * shape.head_width * tokens


def _replies_cost(shape: Shape, work: Workload, kept: float) -> Cost:
    """Replies as long as they may be; their tokens go through the decoder a few at a time."""
    n = work.reply_tokens
    return Cost(0, n, decoder_flops(shape, n, n * (work.prefix + kept + work.suffix), n))


def naive_cost(shape: Shape, work: Workload, asking: Asking) -> Cost:
    """One condition asked row by row, from pixels, as evaluation loops do."""
    n = work.prefix + asking.visual + work.suffix
    vision = projector_flops(shape, asking.visual) + tower_flops(shape) * work.crops / work.images
    flops, tokens = vision + decoder_flops(shape, n, n * n, 1), n
    if asking.drops:
        shared = asking.drops[0].before
        tokens, flops = _alone(shape, asking, work.prefix, work.suffix, 0)
        flops += vision + shared * layer_flops(shape, n, n * n) + head_flops(shape, 1)
        tokens = (shared * n + tokens) / shape.layers
    asked = Cost(work.rows, round(tokens * work.rows), flops * work.rows)
    again = round(work.reply_tokens * work.rows / work.questions)
    return asked + _replies_cost(shape, replace(work, reply_tokens=again), asking.visual)
