"""Room two: rank the visual tokens of each image, on the CPU, from sealed features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calprune.collect.encode import read_features
from calprune.collect.grid import Chosen
from calprune.collect.models import Seen
from calprune.collect.plan import Cell, Plan
from calprune.collect.selectors import Ranking, VisualTokens
from calprune.data.condition import canonical_json, selector_label, sha256_of
from calprune.data.container import Arrays, Sealed, as_text, unpack
from calprune.data.provenance import software
from calprune.data.store import Store
from calprune.errors import CalpruneError, Mismatch, PlanError


def ranking_folder(plan: Plan, chosen: Chosen) -> Path:
    """Where the ranking blocks of a selector lie."""
    key = sha256_of(plan.ranking_manifest(chosen))
    label = selector_label(chosen.name, chosen.parameters, chosen.seed)
    return plan.store.ranking(plan.adapter.name, plan.questions.name, label, key)


def choose(plan: Plan, cells: Sequence[Cell]) -> Iterator[int]:
    """Rank the missing blocks of this share for all selectors at once; yields sealed blocks."""
    wanted = {canonical_json(plan.ranking_manifest(c.chosen)): c.chosen for c in cells}
    for block in plan.mine:
        missing = [
            (Store.block(ranking_folder(plan, c), block), c)
            for c in wanted.values()
            if not Store.block(ranking_folder(plan, c), block).exists()
        ]
        if missing:
            rankings = _rank_block(plan, block, [c for _, c in missing])
            for (path, c), ranked in zip(missing, rankings, strict=True):
                plan.store.seal(path, _sealed(plan, block, c, ranked))
        yield block


def _rank_block(plan: Plan, block: int, chosen: list[Chosen]) -> list[list[Ranking]]:
    """Per selector its rankings of the block's images; images outermost: similarity is shared."""
    found: list[list[Ranking]] = [[] for _ in chosen]
    digests = [plan.questions.digests[i] for i in plan.images(block)]
    for digest, seen in zip(digests, read_features(plan, block).seen, strict=True):
        pools = [
            (
                places,
                VisualTokens(
                    image=digest if crop is None else sha256_of([digest, crop]),
                    view=seen.view[plan.adapter.view][places],
                    saliency=seen.saliency[plan.adapter.signal][places].astype(np.float64),
                    glue=seen.frame.glue[places],
                ),
            )
            for crop, places in _pools(plan, seen)
        ]
        for rankings, c in zip(found, chosen, strict=True):
            ranked = [(at, _valid(c, tokens, _rank(c, tokens))) for at, tokens in pools]
            rankings.append(_joined(ranked))
    return found


def _pools(plan: Plan, seen: Seen) -> list[tuple[int | None, NDArray[np.int64]]]:
    """Places of the tokens that compete: all, or those of each crop."""
    if plan.adapter.scope == "global":
        return [(None, np.arange(len(seen.frame)))]
    crop = seen.frame.cell[:, 0]
    return [(int(c), np.flatnonzero(crop == c)) for c in np.unique(crop)]


def _joined(ranked: list[tuple[NDArray[np.int64], Ranking]]) -> Ranking:
    """One crop's order after another's, in places of the whole image."""
    parts = [
        (at[r.order[there := r.order >= 0]], r.score[there], r.margin[there], r.tied[there])
        for at, r in ranked
    ]
    order, score, margin, tied = (np.concatenate(x) for x in zip(*parts, strict=True))
    v = sum(len(at) for at, _ in ranked)
    return Ranking(
        _wide(order, v, -1).astype(np.int32), *(_wide(x, v, 0) for x in (score, margin, tied))
    )


def _rank(chosen: Chosen, tokens: VisualTokens) -> Ranking:
    """A plug-in may fail in any way; its user should read which one did, and on what."""
    try:
        return chosen.selector.rank(tokens)
    except CalpruneError:
        raise
    except Exception as error:
        raise PlanError(
            f"selector {chosen.name!r} failed on image {tokens.image[:12]}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _valid(chosen: Chosen, tokens: VisualTokens, ranking: Ranking) -> Ranking:
    """Refuse what no later step could notice: tokens taken twice, glue taken, odd indices."""
    order = ranking.order[ranking.order >= 0]
    inside = len(order) == 0 or int(order.max()) < len(tokens.glue)
    if not inside or len(np.unique(order)) != len(order) or tokens.glue[order].any():
        raise PlanError(
            f"selector {chosen.name!r} ranked image {tokens.image[:12]} wrongly: each candidate at "
            "most once, and no glue"
        )
    return ranking


def _sealed(plan: Plan, block: int, chosen: Chosen, rankings: list[Ranking]) -> Sealed:
    at = list(plan.images(block))
    v = max(len(r.order) for r in rankings)
    arrays: Arrays = {
        "image/id": as_text([plan.questions.images[i] for i in at]),
        "image/digest": as_text([plan.questions.digests[i] for i in at]),
        "rank/order": np.stack([_wide(r.order, v, -1) for r in rankings]).astype(np.int32),
        "rank/gain": np.stack([_wide(r.score, v, 0) for r in rankings]),
        "rank/margin": np.stack([_wide(r.margin, v, 0) for r in rankings]),
        "rank/tied": np.stack([_wide(r.tied, v, 0) for r in rankings]),
    }
    manifest = plan.ranking_manifest(chosen)
    provenance = {"software": software()}
    return Sealed("calprune.rankings", sha256_of(manifest), manifest, provenance, arrays)


def _wide(values: np.ndarray, v: int, fill: int) -> np.ndarray:
    return np.pad(values, (0, v - len(values)), constant_values=fill)


def read_ranking(plan: Plan, chosen: Chosen, block: int) -> Arrays:
    """``rank/*`` of a block; Mismatch if it is not this plan's."""
    path = Store.block(ranking_folder(plan, chosen), block)
    sealed = unpack(path, "calprune.rankings")
    names = [plan.questions.images[i] for i in plan.images(block)]
    if (
        sealed.manifest != plan.ranking_manifest(chosen)
        or [x.decode() for x in sealed.arrays["image/id"]] != names
    ):
        raise Mismatch(f"{path}: ranking of other images or another selector; delete its folder")
    return sealed.arrays
