"""Stage two, select: which visual tokens of each image, on the CPU, from sealed features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.collect.adapter import EncodedImage
from calprune.collect.plugin_source import recorded, unchanged
from calprune.collect.selector import Merges, Picks, Ranks, guided
from calprune.collect.stages.encode import read_features
from calprune.collect.stages.features import Signal, read_signals
from calprune.collect.stages.plan import Plan, PlannedCondition, Unit
from calprune.collect.visual_tokens import CLS, Merged, Ranking, VisualTokens, as_ranking, in_order
from calprune.data.condition import ALL_TOKENS, Budget, sha256_of
from calprune.data.padding import pad_rows
from calprune.data.provenance import software
from calprune.data.storage.container import Arrays, as_text
from calprune.errors import CalpruneError, PlanError


@dataclass(frozen=True)
class Pool:
    """Tokens that compete with one another: those of an image, or of one of its crops.

    ``name`` of the image; ``places`` int64 (v,): where each stands in the layout of the whole.
    """

    name: str
    places: NDArray[np.int64]
    tokens: VisualTokens


def select(plan: Plan, conditions: Sequence[PlannedCondition]) -> Iterator[int]:
    """Choose in the missing blocks of this shard for all selectors at once; yields the blocks."""
    wanted = {
        blocks.key: (blocks, c)
        for blocks, c in ((plan.selection(c), c) for c in conditions if ranked(c.selector))
    }
    for block in plan.mine:
        for blocks, c in wanted.values():
            unchanged(blocks, block, selector=c.selector)
        missing = [(blocks, c) for blocks, c in wanted.values() if not blocks.has(block)]
        if missing:
            found = _select_block(plan, block, [c for _, c in missing])
            for (blocks, c), choices in zip(missing, found, strict=True):
                made = {"software": software(), **recorded(selector=c.selector)}
                blocks.seal(block, _columns(plan, block, c, choices), made)
        yield block


def ranked(selector: object) -> bool:
    """Whether a selector chooses before the language model runs."""
    return isinstance(selector, Ranks | Picks | Merges)


def _select_block(
    plan: Plan, block: int, conditions: Sequence[PlannedCondition]
) -> list[list[Ranking] | list[Merged]]:
    """Per selector its choices in a block; images outermost: similarity is shared."""
    found: list[list[Ranking | Merged]] = [[] for _ in conditions]
    signals = read_signals(plan, block, plan.signals(conditions))
    for i, encoded in zip(plan.images(block), read_features(plan, block).images, strict=True):
        pools = _pools(plan, encoded, i, signals.get(Unit(i), {}))
        for choices, planned in zip(found, conditions, strict=True):
            if not guided(planned.selector):
                choices.append(_choice(planned, pools))
                continue
            for q in range(len(plan.distinct[i])):
                asked = [replace(p, tokens=p.tokens.asked(signals[Unit(i, q)])) for p in pools]
                choices.append(_choice(planned, asked))
    return found  # type: ignore[return-value]


def _pools(plan: Plan, encoded: EncodedImage, image: int, signals: dict[str, Signal]) -> list[Pool]:
    """The whole image of this index, or its crops."""
    v, digest = len(encoded.layout), plan.questions.digests[image]
    return [
        Pool(
            plan.questions.images[image],
            places,
            VisualTokens(
                image=digest if c is None else sha256_of([digest, c]),
                features=encoded.features[plan.adapter.selector_features][places],
                saliency=encoded.saliency[plan.adapter.saliency][places].astype(np.float64),
                separator=encoded.layout.separator[places],
                cell=encoded.layout.cell[places, 1:],
                signals={
                    name: values[places] if len(values) == v else values[[c or 0]]
                    for name, values in signals.items()
                },
            ),
        )
        for c, places in encoded.layout.pools(plan.adapter.scope)
    ]


def _choice(planned: PlannedCondition, pools: Sequence[Pool]) -> Ranking | Merged:
    selector = planned.selector
    if planned.compat:
        pools = [replace(p, tokens=replace(p.tokens, compat=True)) for p in pools]
    counts = [len(p.tokens.candidates) for p in pools]
    shares = _shares(planned.condition.budget, counts)
    if isinstance(selector, Ranks):
        rank = selector.rank
        every = counts if selector.budget is None else shares
        ranked = [
            (p, _valid(planned, p, _guard(planned, p, rank, p.tokens), k))
            for p, k in zip(pools, every, strict=True)
        ]
        return _joined(ranked)
    if isinstance(selector, Picks):
        pick = selector.pick
        picked = [
            (p, _valid(planned, p, _exactly(planned, p, pick, k), k))
            for p, k in zip(pools, shares, strict=True)
        ]
        return _joined(picked)
    merged = [_merged(planned, p, k) for p, k in zip(pools, shares, strict=True)]
    return _stacked(pools, merged)


def _shares(budget: Budget, counts: list[int]) -> list[int]:
    """How many of each pool; all and none are so of every one, whatever a budget is a part of."""
    if budget == ALL_TOKENS or budget.value == 0:
        return counts if budget.value else [0] * len(counts)
    return budget.shares(counts)


def _guard(
    planned: PlannedCondition, pool: Pool, work: Callable[..., object], *given: object
) -> object:
    """A plug-in may fail in any way; its user should read which one did, and on what."""
    try:
        return work(*given)
    except CalpruneError:
        raise
    except Exception as error:
        raise PlanError(
            f"selector {planned.name!r} failed on image {pool.name}: {registry.reason(error)}"
        ) from error


def _exactly(planned: PlannedCondition, pool: Pool, pick: Callable[..., Ranking], k: int) -> object:
    """A pick of k; nothing and everything need no choice."""
    candidates, v = pool.tokens.candidates, len(pool.tokens.separator)
    if k in (0, len(candidates)):
        return in_order(candidates[:k], v)
    return _guard(planned, pool, pick, pool.tokens, k)


def _valid(planned: PlannedCondition, pool: Pool, ranking: object, k: int) -> Ranking:
    """A ranking of exactly k tokens; PlanError for what no later step could notice."""
    flaw = _flaw(ranking, pool.tokens.separator, k)
    if isinstance(ranking, Ranking) and not flaw:
        return ranking
    raise PlanError(f"selector {planned.name!r} ranked image {pool.name} wrongly: {flaw}")


def _flaw(ranking: object, separator: NDArray[np.bool_], k: int) -> str:
    """What is wrong with a ranking of k tokens; empty if nothing is."""
    if not isinstance(ranking, Ranking):
        return f"{type(ranking).__name__} returned, not a Ranking"
    for name, kinds in (("order", "iu"), ("score", "fiu"), ("margin", "fiu"), ("tied", "b")):
        column = getattr(ranking, name)
        if not isinstance(column, np.ndarray) or column.shape != separator.shape:
            return f"its {name} has shape {np.shape(column)}, not {separator.shape}"
        if column.dtype.kind not in kinds or not np.isfinite(column).all():
            return f"its {name} is {column.dtype}" + " and not finite" * (column.dtype.kind in "f")
    order, rest = ranking.order[:k], ranking.order[k:]
    if (n := int((ranking.order >= 0).sum())) != k:
        return f"{n} tokens, not exactly {k}"
    if (order < 0).any() or (rest != -1).any():
        return "its order is not of tokens first, and then of -1"
    if (order >= len(separator)).any():
        return f"token {int(order.max())} of {len(separator)}"
    if len(np.unique(order)) < k:
        return "a token is taken twice"
    return "a separator token is taken" if separator[order].any() else ""


def _merged(planned: PlannedCondition, pool: Pool, k: int) -> Merged:
    """A merge into k; nothing and everything need none."""
    tokens = pool.tokens
    if tokens.separator.any():
        raise PlanError(
            f"selector {planned.name!r} makes new tokens and has no rule for row ends; name a "
            "--picture without them, such as split"
        )
    if k in (0, len(tokens.candidates)):
        return Merged.rows(tokens.candidates[:k])
    selector = planned.selector
    assert isinstance(selector, Merges)
    found = _guard(planned, pool, selector.merge, tokens, k)
    if (
        not isinstance(found, Merged)
        or not all(isinstance(x, np.ndarray) for x in vars(found).values())
        or any(x.dtype.kind not in "iu" for x in (found.offset, found.token))
        or found.weight.dtype.kind not in "iuf"
        or len(found) != k
        or found.offset[0] != 0
        or not found.offset[-1] == len(found.token) == len(found.weight)
        or (np.diff(found.offset) <= 0).any()
        or not np.isfinite(found.weight).all()
        or ((found.token < CLS) | (found.token >= len(tokens.separator))).any()
    ):
        raise PlanError(
            f"selector {planned.name!r} merged image {pool.name} wrongly: exactly {k} "
            "tokens, each of some old ones with finite weights"
        )
    return found


def _stacked(pools: Sequence[Pool], merged: Sequence[Merged]) -> Merged:
    """One crop's new tokens after another's, in places of the whole image."""
    ends = np.cumsum([0, *(m.offset[-1] for m in merged)])
    tokens = [
        np.where(m.token < 0, m.token - i, p.places[np.maximum(m.token, 0)])
        for i, (p, m) in enumerate(zip(pools, merged, strict=True))
    ]
    offsets = [m.offset[1:] + end for m, end in zip(merged, ends, strict=False)]
    return Merged(
        np.concatenate([[0], *offsets]).astype(np.int64),
        np.concatenate(tokens).astype(np.int32),
        np.concatenate([m.weight for m in merged]),
    )


def _joined(ranked: Sequence[tuple[Pool, Ranking]]) -> Ranking:
    """One crop's order after another's, in places of the whole image."""
    parts = [
        (p.places[r.order[there := r.order >= 0]], r.score[there], r.margin[there], r.tied[there])
        for p, r in ranked
    ]
    order, score, margin, tied = (np.concatenate(x) for x in zip(*parts, strict=True))
    v = sum(len(p.places) for p, _ in ranked)
    return as_ranking(v, order, score, margin, tied)


def _columns(
    plan: Plan, block: int, planned: PlannedCondition, choices: Sequence[Ranking] | Sequence[Merged]
) -> Arrays:
    units = plan.units(block, planned.selector)
    arrays: Arrays = {
        "image/id": as_text(plan.names(units)),
        "image/digest": as_text(plan.digests(units)),
    }
    if guided(planned.selector):
        arrays["image/question"] = np.array([u.question for u in units], dtype=np.int32)
    merges = [c for c in choices if isinstance(c, Merged)]
    rankings = [c for c in choices if isinstance(c, Ranking)]
    if merges:
        entries = np.cumsum([0, *(m.offset[-1] for m in merges)])
        offsets = [m.offset[1:] + e for m, e in zip(merges, entries, strict=False)]
        arrays |= {
            "image/offset": np.cumsum([0, *(len(m) for m in merges)]).astype(np.int64),
            "token/offset": np.concatenate([[0], *offsets]).astype(np.int64),
            "entry/token": np.concatenate([m.token for m in merges]),
            "entry/weight": np.concatenate([m.weight for m in merges]),
        }
    else:
        arrays |= {
            "rank/order": pad_rows([r.order for r in rankings]).astype(np.int32),
            "rank/gain": pad_rows([r.score for r in rankings], fill=0),
            "rank/margin": pad_rows([r.margin for r in rankings], fill=0),
            "rank/tied": pad_rows([r.tied for r in rankings], fill=0),
        }
    return arrays


def read_ranking(plan: Plan, planned: PlannedCondition, block: int) -> Arrays:
    """``rank/*`` of a block; Mismatch if it is not this plan's."""
    return _read(plan, planned, block)


def read_merges(plan: Plan, planned: PlannedCondition, block: int) -> list[Merged]:
    """The new tokens of each image, or of each question; Mismatch if they are not this plan's."""
    a = _read(plan, planned, block)
    found = []
    for lo, hi in zip(a["image/offset"], a["image/offset"][1:], strict=False):
        offset = a["token/offset"][lo : hi + 1]
        part = slice(offset[0], offset[-1])
        found.append(Merged(offset - offset[0], a["entry/token"][part], a["entry/weight"][part]))
    return found


def _read(plan: Plan, planned: PlannedCondition, block: int) -> Arrays:
    images = plan.names(plan.units(block, planned.selector))
    return plan.selection(planned).read(block, images).arrays
