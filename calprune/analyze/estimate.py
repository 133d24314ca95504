"""Every metric of every condition, in every group, with its interval and its signature."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.cells import Cell, Setting, groups, settings
from calprune.analyze.confidence import Floats, Predictions, Reading, predictions
from calprune.analyze.metrics import Better, Form, Measure, Metric, resolve
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.resample import Clusters, Sampler, design_effect, multiplicities, redraws
from calprune.data.logits import LogitTable
from calprune.errors import PlanError

Interval = Literal["percentile", "basic"]
FLOOR_DRAWS = 100


@dataclass(frozen=True)
class Estimate:
    """One number with everything needed to read it.

    Attributes:
        model, benchmark, condition, selector, parameters, budget, seed: what was asked.
        kept: visual tokens that the last layer saw, mean over questions.
        by, group: grouping and its value; ``all`` for all rows.
        metric, title, form, better: which metric and how to show it.
        value, low, high: the metric and its 95 % interval; None without an interval.
        method: how the interval was made.
        n, clusters: rows and images.
        design_effect: variance of mean (correct - confidence) over that of independent rows.
        replies: rows whose confidence is that of a generated reply.
        left_out: rows of the whole file that no group has: nothing is offered in them.
        ties: rows whose largest probability is shared.
        floor: for ECE, what a perfectly calibrated model would score here; else None, also with
            soft targets, whose spread no confidence tells.
        seeds, seed_sd: seeds averaged, and the standard deviation over them.
        signature: the choices behind the number.
    """

    model: str
    benchmark: str
    condition: str
    selector: str
    parameters: str
    budget: str
    seed: str
    kept: float
    by: str
    group: str
    metric: str
    title: str
    form: Form
    better: Better
    value: float
    low: float | None
    high: float | None
    method: str
    n: int
    clusters: int
    design_effect: float
    replies: int
    left_out: int
    ties: int
    floor: float | None
    seeds: int
    seed_sd: float | None
    signature: str


def estimate(
    tables: Sequence[LogitTable],
    metrics: Sequence[str | Metric],
    *,
    by: str | None = None,
    draws: int = 1000,
    seed: int = 0,
    each_seed: bool = False,
    interval: Interval = "percentile",
    **reading: Unpack[Reading],
) -> list[Estimate]:
    """Estimates of metrics for each condition and group, in table order.

    Args:
        tables: sealed logits, of any number of models and benchmarks.
        metrics: names or instances.
        by: ``split``, ``category``, ``kind``, ``n_options``, a tag of the files, or None; ``all``
            rows always come first.
        draws: bootstrap resamples of images; 0 for no intervals.
        seed: of the resampling.
        each_seed: show seeds of a random selector one by one; otherwise their mean, taken
            inside each resample.
        interval: ``percentile``, or ``basic``, which reflects the bias of ECE back.
        reading: options, confidence and target, as in ``predictions``.
    """
    if draws < 0 or seed < 0:
        raise PlanError(f"resamples and seeds are counted from 0: not {draws} and {seed}")
    chosen = resolve(metrics)
    rows = []
    for setting in settings(tables, each_seed):
        seen = {
            cell.name: [predictions(t, **reading) for t in cell.tables] for cell in setting.cells
        }
        for group, part in grouped(setting, seen, by).items():
            rows += _group(setting, group, part, chosen, (by or "", draws, seed, interval))
    return rows


def grouped(
    setting: Setting, seen: dict[str, list[Predictions]], by: str | None
) -> dict[str, dict[str, list[Predictions]]]:
    """Predictions by group and cell; groups in the order of the first cell that has them."""
    found: dict[str, dict[str, list[Predictions]]] = defaultdict(dict)
    where = f"questions of {setting.benchmark}"
    for cell in setting.cells:
        for name, mask in groups(seen[cell.name][0], by, where):
            parts = []
            for one in seen[cell.name]:
                own = mask if mask is None else dict(groups(one, by, where)).get(name)
                if mask is None:
                    parts.append(one)
                elif own is not None and own.any():
                    parts.append(one.take(own))
            found[name][cell.name] = parts
    return found


def _group(
    setting: Setting,
    group: str,
    part: dict[str, list[Predictions]],
    metrics: Sequence[Metric],
    how: tuple[str, int, int, Interval],
) -> list[Estimate]:
    by, draws, seed, interval = how
    cells = [cell for cell in setting.cells if cell.name in part]
    samplers = [prepared(metrics, part[cell.name]) for cell in cells]
    values = resampled([s for joined in samplers for s in joined], draws, seed)
    rows, at = [], 0
    for cell, joined in zip(cells, samplers, strict=True):
        own, at = values[at : at + len(joined)], at + len(joined)
        rows += _cell(setting, cell, joined, np.stack(own), (by, group, draws, seed, interval))
    return rows


def prepared(metrics: Sequence[Metric], joined: Sequence[Predictions]) -> list[Sampler]:
    """A sampler for each seed of a cell."""
    return [Sampler.of(metrics, seen, clusters_of(seen)) for seen in joined]


_last: list[tuple[NDArray[np.str_], Clusters]] = []


def clusters_of(seen: Predictions) -> Clusters:
    """``Clusters.of``, remembering the last few: conditions of a benchmark share their images."""
    for column, clusters in _last:
        if column is seen.cluster or np.array_equal(column, seen.cluster):
            return clusters
    _last.insert(0, (seen.cluster, Clusters.of(seen)))
    del _last[16:]
    return _last[0][1]


def resampled(samplers: Sequence[Sampler], draws: int, seed: int) -> list[Floats]:
    """For each sampler (metrics, 1 + draws): the value of the rows as they are, then resamples."""
    found: list[list[Floats]] = [[] for _ in samplers]
    for count in sorted({len(s.clusters) for s in samplers}):
        for weights in _blocks(count, draws, seed):
            for values, sampler in zip(found, samplers, strict=True):
                if len(sampler.clusters) == count:
                    values.append(sampler(weights))
    return [np.concatenate(values, axis=1) for values in found]


def _blocks(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Ones, then multiplicities; a single cluster is never resampled."""
    first = np.ones((1, clusters))
    for weights in multiplicities(clusters, draws if clusters > 1 else 0, seed):
        yield np.concatenate([first, weights])
        first = first[:0]
    if len(first):
        yield first


def bounds(values: Floats, interval: Interval = "percentile") -> tuple[float | None, float | None]:
    """95 % interval from (1 + draws,) values, the first being the point.

    None without draws, or if a value is undefined or infinite.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return None, None
    low, high = (float(q) for q in np.quantile(values[1:], [0.025, 0.975]))
    if interval == "basic":
        low, high = 2 * float(values[0]) - high, 2 * float(values[0]) - low
    return low, high


def _cell(
    setting: Setting,
    cell: Cell,
    samplers: Sequence[Sampler],
    values: Floats,
    how: tuple[str, str, int, int, Interval],
) -> list[Estimate]:
    """Rows of one cell in one group from values (seeds, metrics, 1 + draws)."""
    by, group, draws, seed, interval = how
    seen, clusters = samplers[0].seen, samplers[0].clusters
    spread = float(np.mean([design_effect(s.seen, s.clusters) for s in samplers]))
    mean = values.mean(axis=0)
    rows = []
    for j, metric in enumerate(samplers[0].metrics):
        low, high = bounds(mean[j], interval)
        if interval == "basic" and metric.better == "lower" and low is not None:
            low = max(low, 0.0)
        method = f"{interval}95" if low is not None else "none"
        rows.append(
            Estimate(
                model=setting.model,
                benchmark=setting.benchmark,
                condition=cell.name,
                selector=cell.selector,
                parameters=cell.parameters,
                budget=cell.budget,
                seed=cell.seed,
                kept=cell.kept,
                by=by,
                group=group,
                metric=metric.name,
                title=metric.title,
                form=metric.form,
                better=metric.better,
                value=float(mean[j, 0]),
                low=low,
                high=high,
                method=method,
                n=len(seen),
                clusters=len(clusters),
                design_effect=spread,
                replies=int(seen.replied.sum()),
                left_out=seen.left_out,
                ties=max(s.seen.ties for s in samplers),
                floor=noise_floor(metric, samplers, spread, seed),
                seeds=len(samplers),
                seed_sd=_spread(values[:, j, 0]),
                signature=sign(metric, seen, clusters, method, draws, seed),
            )
        )
    return rows


def _spread(values: Floats) -> float | None:
    """Standard deviation over seeds; None for one, or if a value is undefined or infinite."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(values.std(ddof=1))


def noise_floor(
    metric: Measure, samplers: Sequence[Sampler], spread: float, seed: int
) -> float | None:
    """Mean ECE if confidences were exactly right, widened by the root of the design effect.

    A mean over seeds has the same floor as one of them: each seed's ECE is at its own floor.
    """
    seen = samplers[0].seen
    if not isinstance(metric, Ece) or seen.soft:
        return None
    slot = metric.slot(seen.confidence)
    right = redraws(seen, slot, metric.bins, FLOOR_DRAWS, seed)
    confidence = np.bincount(slot, seen.confidence, metric.bins)
    return float(np.abs(right - confidence).sum(axis=1).mean() / len(seen) * math.sqrt(spread))


def sign(
    metric: Measure, seen: Predictions, clusters: Clusters, method: str, draws: int, seed: int
) -> str:
    """The signature: metric, confidence, rows, images, interval, resamples, seed, version.

    Where there are replies it names the scorer that judged them.
    """
    parts = [metric.signature(seen), f"conf:{seen.convention}"]
    parts += [f"right:{seen.scorer}"] * bool(seen.replied.any()) + [f"n:{len(seen)}"]
    parts += [f"clusters:{len(clusters)}(image)", f"ci:{method}"]
    parts += [f"boot:{draws}", f"seed:{seed}", f"v:{_version()}"]
    return "|".join(parts)


@cache
def _version() -> str:
    try:
        return ".".join(version("calprune").split(".")[:2])
    except PackageNotFoundError:
        return "0.1"
