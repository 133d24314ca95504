"""Is one condition really better than another? Paired differences, tests, and their family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.cells import Cell, Setting, settings
from calprune.analyze.confidence import Floats, Predictions, Reading, predictions
from calprune.analyze.estimate import (
    bounds,
    clusters_of,
    grouped,
    prepared,
    resampled,
    sign,
)
from calprune.analyze.metrics import Additive, Better, Form, Metric, Ranked, resolve
from calprune.analyze.resample import Sampler, products, swaps
from calprune.data.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch, PlanError

Correction = Literal["holm", "bh"]
CORRECTIONS = ("holm", "bh")


@dataclass(frozen=True)
class Difference:
    """A condition minus the reference, on the same questions.

    Attributes:
        model, benchmark, condition, reference, seed, by, group, metric, title, form, better: what
            was compared.
        value, reference_value: the metric of both; ``delta`` is the first minus the second.
        low, high: 95 % interval of delta from resampled images.
        p: two-sided p of swapping the two conditions on whole images, at least 1/(swaps + 1).
        p_adjusted: the same after correction over the family.
        correction, family: which, and over how many comparisons.
        n, clusters, draws, swaps: rows, images, resamples behind the interval and behind p.
        replies, left_out: rows read from replies, and rows of the file that no group has.
        signature: the choices behind the numbers.
    """

    model: str
    benchmark: str
    condition: str
    reference: str
    seed: str
    by: str
    group: str
    metric: str
    title: str
    form: Form
    better: Better
    value: float
    reference_value: float
    delta: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float
    correction: str
    family: int
    n: int
    clusters: int
    draws: int
    swaps: int
    replies: int
    left_out: int
    signature: str


@dataclass(frozen=True)
class _How:
    by: str
    draws: int
    swaps: int
    seed: int
    correction: str


def compare(
    tables: Sequence[LogitTable],
    metrics: Sequence[str | Metric],
    *,
    reference: str = "full",
    by: str | None = None,
    draws: int = 1000,
    permutations: int = 10_000,
    seed: int = 0,
    each_seed: bool = False,
    correction: Correction = "holm",
    mixed_numerics: bool = False,
    **reading: Unpack[Reading],
) -> list[Difference]:
    """Every other condition against the reference, paired by question and image.

    The family that ``correction`` covers is all conditions of one model and benchmark, for one
    metric and one group. Seeds of a random selector are averaged inside each resample. Where
    several models, benchmarks or ways of asking are given, those without the reference are left
    out.

    ``mixed_numerics`` pairs conditions even if devices, kernels, batch sizes or versions of torch
    and transformers differ between them; such differences move logits by rounding. ``reading`` is
    options, confidence and target as in ``predictions``. A difference of values that are undefined
    or infinite is NaN, with p = 1.

    Raises:
        Mismatch: conditions that do not hold the same questions, labels and images, or that were
            computed with other numerics.
        PlanError: an unknown reference, metric, grouping or correction.
    """
    if correction not in CORRECTIONS:
        raise PlanError(registry.unknown("correction", correction, CORRECTIONS))
    if draws < 0 or seed < 0 or permutations < 1:
        raise PlanError("resamples and seeds are counted from 0 and permutations from 1")
    chosen, how = resolve(metrics), _How(by or "", draws, permutations, seed, correction)
    rows = []
    for setting, base in _referenced(settings(tables, each_seed), reference):
        if not mixed_numerics:
            _same_numerics(setting, base.tables[0])
        seen = _aligned(setting, base, reading)
        for group, part in grouped(setting, seen, by).items():
            rows += _group(setting, base, group, part, chosen, how)
    if not rows:
        raise IncompleteError(f"nothing to compare with {reference!r}: it is the only condition")
    return rows


def _referenced(found: Sequence[Setting], reference: str) -> list[tuple[Setting, Cell]]:
    """Settings with their reference; those that lack it are left out, unless all do."""
    referenced, missing = [], None
    for setting in found:
        try:
            referenced.append((setting, setting.find(reference)))
        except PlanError as error:
            if setting.named(reference):
                raise
            missing = error
    if missing is not None and not referenced:
        raise missing
    return referenced


def without(tables: Sequence[LogitTable], reference: str) -> list[str]:
    """Models and benchmarks that hold no condition of that name."""
    return [f"{s.model} on {s.benchmark}" for s in settings(tables) if not s.named(reference)]


def _aligned(setting: Setting, base: Cell, reading: Reading) -> dict[str, list[Predictions]]:
    """Predictions of all cells with rows in the order of the reference's."""
    first = predictions(base.tables[0], **reading)
    found = {}
    for cell in setting.cells:
        parts = []
        for table in cell.tables:
            seen = predictions(table, **reading)
            if not np.array_equal(seen.id, first.id) and len(seen) == len(first):
                seen = seen.take(np.argsort(seen.id)[np.argsort(np.argsort(first.id))])
            _same_questions(seen, first, table, base.tables[0])
            parts.append(seen)
        found[cell.name] = parts
    return found


def _same_numerics(setting: Setting, base: LogitTable) -> None:
    for table in (t for cell in setting.cells for t in cell.tables):
        mine, theirs = numerics(table), numerics(base)
        moved = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
        if moved:
            raise Mismatch(
                f"{table.path} ({table.condition.label}) and {base.path} ({base.condition.label}) "
                f"were computed differently ({', '.join(moved)}); --mixed-numerics (in Python: "
                "mixed_numerics=True) pairs them all the same"
            )


def numerics(table: LogitTable) -> dict[str, object]:
    """What may move the last digits of a logit."""
    numerics, software = (table.provenance.get(x) for x in ("numerics", "software"))
    found = dict(numerics) if isinstance(numerics, dict) else {}
    found.pop("tokens_per_forward", None)  # may shrink within one run where memory is short
    if isinstance(software, dict):
        found |= {k: software.get(k) for k in ("torch", "transformers")}
    return found


def _same_questions(
    seen: Predictions, first: Predictions, table: LogitTable, base: LogitTable
) -> None:
    mine, theirs = _asked(seen), _asked(first)
    for column in (name for name in mine if name in theirs):
        if not np.array_equal(mine[column], theirs[column]):
            raise Mismatch(
                f"{table.path} ({table.condition.label}) and {base.path} "
                f"({base.condition.label}) differ in {column}, so they cannot be paired; "
                "collect both on the same questions"
            )


def _asked(seen: Predictions) -> dict[str, NDArray[Any]]:
    """What belongs to the questions and not to the answers; older files lack groups and tags."""
    found = {"id": seen.id, "label": seen.gold, "cluster": seen.cluster, "split": seen.split}
    found |= {"category": seen.category, "options": seen.n_options, "replies": seen.replied}
    found |= {"offered": seen.offered} | ({} if seen.group is None else {"group": seen.group})
    return found | {f"tag {name}": column for name, column in seen.tags.items()}


def _group(
    setting: Setting,
    base: Cell,
    group: str,
    part: dict[str, list[Predictions]],
    metrics: Sequence[Metric],
    how: _How,
) -> list[Difference]:
    others = [cell for cell in setting.cells if cell is not base and cell.name in part]
    clusters = clusters_of(part[base.name][0])
    samplers = {name: prepared(metrics, joined) for name, joined in part.items()}
    values = _values(samplers, how)
    p = {
        c.name: swap_test(samplers[c.name], samplers[base.name], how.swaps, how.seed)
        for c in others
    }
    rows = []
    for j, metric in enumerate(samplers[base.name][0].metrics):
        adjusted = adjust([p[cell.name][j] for cell in others], how.correction)
        for cell, p_adjusted in zip(others, adjusted, strict=True):
            ours, theirs = values[cell.name][j], values[base.name][j]
            with np.errstate(invalid="ignore"):
                delta = ours - theirs
            low, high = bounds(delta)
            method = "paired-percentile95" if low is not None else "none"
            signed = sign(metric, part[base.name][0], clusters, method, how.draws, how.seed)
            rows.append(
                Difference(
                    model=setting.model,
                    benchmark=setting.benchmark,
                    condition=cell.name,
                    reference=base.name,
                    seed=cell.seed,
                    by=how.by,
                    group=group,
                    metric=metric.name,
                    title=metric.title,
                    form=metric.form,
                    better=metric.better,
                    value=float(ours[0]),
                    reference_value=float(theirs[0]),
                    delta=float(delta[0]),
                    low=low,
                    high=high,
                    p=float(p[cell.name][j]),
                    p_adjusted=float(p_adjusted),
                    correction=how.correction,
                    family=len(others),
                    n=len(part[base.name][0]),
                    clusters=len(clusters),
                    draws=how.draws,
                    swaps=how.swaps,
                    replies=int(part[base.name][0].replied.sum()),
                    left_out=part[base.name][0].left_out,
                    signature=f"{signed}|p:image-swap{how.swaps}|adjust:{how.correction}{len(others)}",
                )
            )
    return rows


def _values(samplers: dict[str, list[Sampler]], how: _How) -> dict[str, Floats]:
    """Mean over seeds of each cell, (metrics, 1 + draws)."""
    flat = resampled([s for joined in samplers.values() for s in joined], how.draws, how.seed)
    found, at = {}, 0
    for name, joined in samplers.items():
        found[name] = np.mean(flat[at : at + len(joined)], axis=0)
        at += len(joined)
    return found


def swap_test(
    ours: Sequence[Sampler], theirs: Sequence[Sampler], permutations: int, seed: int
) -> Floats:
    """Two-sided p per metric for equal conditions, by swapping them on whole images.

    p = (1 + how many swapped differences are at least as large) / (permutations + 1). With
    several seeds on a side, differences of all pairs are averaged under one set of coins.
    """
    clusters = ours[0].clusters
    pairs = [(a, b) for a in ours for b in theirs]
    nothing = np.zeros((1, len(clusters)))
    observed = np.abs(np.mean([_swapped(a, b, nothing) for a, b in pairs], axis=0))
    at_least = np.zeros(len(observed))
    for coins in swaps(len(clusters), permutations, seed):
        moved = np.abs(np.mean([_swapped(a, b, coins) for a, b in pairs], axis=0))
        at_least += (~(moved < observed - 1e-12)).sum(axis=1)  # what is undefined counts as large
    return (1 + at_least) / (permutations + 1)


def _swapped(a: Sampler, b: Sampler, coins: Floats) -> Floats:
    """Metric of a minus metric of b (metrics, swaps) after exchanging clusters with coin 1."""
    exchange = iter(products(coins, [y - x for x, y in zip(a.sums, b.sums, strict=True) if x.size]))
    found = []
    for metric, x, y in zip(a.metrics, a.sums, b.sums, strict=True):
        if isinstance(metric, Additive):
            moved = next(exchange)
            with np.errstate(invalid="ignore"):  # infinity less infinity
                found.append(metric.value(x.sum(0) + moved) - metric.value(y.sum(0) - moved))
        else:
            found.append(_ranked(metric, a, b, coins))
    return np.stack(found)


def _ranked(metric: Ranked, a: Sampler, b: Sampler, coins: Floats) -> Floats:
    """The same for a ranked metric: both conditions stacked, each row counted 0 or 1 times."""
    count = len(a.clusters)
    both = stacked(a.seen, b.seen)
    cluster = np.concatenate([a.clusters.code, b.clusters.code + count])
    mine = metric.weighted(both, np.concatenate([1 - coins, coins], axis=1), cluster)
    return mine - metric.weighted(both, np.concatenate([coins, 1 - coins], axis=1), cluster)


def stacked(a: Predictions, b: Predictions) -> Predictions:
    """Rows of a, then rows of b, without tags; both must have the same answers."""
    ours, theirs = a.columns(), b.columns()
    joined: dict[str, Any] = {
        name: np.concatenate([ours[name], theirs[name]]) if name in theirs else None
        for name in ours
    }
    return replace(a, **joined, tags={})


def adjust(p: Iterable[float], correction: str) -> Floats:
    """Holm's step-down or Benjamini and Hochberg's step-up p-values, in the given order."""
    raw = np.asarray(list(p), dtype=np.float64)
    order, m = np.argsort(raw, kind="stable"), len(raw)
    rank = np.arange(m)
    if correction == "holm":
        steps = np.maximum.accumulate(raw[order] * (m - rank))
    else:
        steps = np.minimum.accumulate((raw[order] * m / (rank + 1))[::-1])[::-1]
    found = np.empty(m)
    found[order] = np.minimum(steps, 1.0)
    return found
