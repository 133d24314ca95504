"""Every metric of every condition, in every group, with its interval and its signature."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Unpack

import numpy as np

from calprune.analyze.cells import Cell, Setting, groups, settings
from calprune.analyze.confidence import Floats, Predictions, Reading, predictions
from calprune.analyze.metrics import (
    Better,
    Form,
    Measure,
    Metric,
    heading_of,
    never_negative,
    resolve,
    spec,
)
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.resample import Clusters, Sampler, design_effect, multiplicities, redraws
from calprune.analyze.statistics.debiased import debiased
from calprune.analyze.statistics.dependence import (
    Resample,
    check_resample,
    clusters_of,
    has_images,
    intra_image,
)
from calprune.analyze.statistics.intervals import NAMES, Interval, bounds, check_interval
from calprune.analyze.statistics.pairing import only_common, with_common_questions
from calprune.analyze.statistics.strata import within_parts
from calprune.data.logits import LogitTable
from calprune.errors import PlanError

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
        resampled: ``images`` or ``rows``.
        icc: correlation of correctness between different questions of one image; None if it cannot
            be told.
        design_effect: variance of mean (correct - confidence) over that of independent rows.
        replies: rows whose confidence is that of a generated reply.
        left_out: rows of the whole file that no group has: nothing is offered in them.
        ties: rows whose largest probability is shared.
        floor: for ECE, what a perfectly calibrated model would score here; else None, also with
            soft targets, whose spread no confidence tells.
        debiased: for ECE, less the bias of its bins, rows counted by the design effect.
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
    resampled: str
    icc: float | None
    design_effect: float
    replies: int
    left_out: int
    ties: int
    floor: float | None
    debiased: float | None
    seeds: int
    seed_sd: float | None
    signature: str


@dataclass(frozen=True)
class _How:
    by: str
    draws: int
    seed: int
    interval: Interval
    resample: Resample


def estimate(
    tables: Sequence[LogitTable],
    metrics: Sequence[str | Metric],
    *,
    by: str | None = None,
    draws: int = 1000,
    seed: int = 0,
    each_seed: bool = False,
    interval: Interval = "percentile",
    resample: Resample = "images",
    common: bool = False,
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
        interval: ``percentile``; ``basic`` and ``bias``, which take the bias of ECE back.
        resample: ``images`` with all their questions, or ``rows`` one by one.
        common: where conditions cover different questions, read those that all of them hold.
        reading: options, confidence and target, as in ``predictions``.
    """
    if draws < 0 or seed < 0:
        raise PlanError(f"resamples and seeds are counted from 0: not {draws} and {seed}")
    check_interval(interval)
    check_resample(resample)
    chosen, how = resolve(metrics), _How(by or "", draws, seed, interval, resample)
    rows, found = [], settings(tables, each_seed)
    for setting in with_common_questions(found) if common else found:
        seen = {
            cell.name: [predictions(t, **reading) for t in cell.tables] for cell in setting.cells
        }
        seen = only_common(seen) if common else seen
        for group, part in grouped(setting, seen, by).items():
            rows += _group(setting, group, part, chosen, how)
    return rows


def grouped(
    setting: Setting, seen: dict[str, list[Predictions]], by: str | None
) -> dict[str, dict[str, list[Predictions]]]:
    """Predictions by group and cell; groups in the order of the first cell that has them."""
    found: dict[str, dict[str, list[Predictions]]] = defaultdict(dict)
    where = f"questions of {setting.benchmark}"
    for cell in setting.cells:
        masks = [dict(groups(one, by, where)) for one in seen[cell.name]]
        for name in masks[0]:
            parts = []
            for one, own in zip(seen[cell.name], masks, strict=True):
                mask = own.get(name)
                if mask is not None:
                    parts.append(one.take(np.flatnonzero(mask)))
                elif name in own:
                    parts.append(one)
            found[name][cell.name] = parts
    return found


def _group(
    setting: Setting,
    group: str,
    part: dict[str, list[Predictions]],
    metrics: Sequence[Metric],
    how: _How,
) -> list[Estimate]:
    cells = [cell for cell in setting.cells if cell.name in part]
    samplers = [prepared(metrics, part[cell.name], how.resample) for cell in cells]
    values = resampled([s for joined in samplers for s in joined], how.draws, how.seed)
    rows, at = [], 0
    for cell, joined in zip(cells, samplers, strict=True):
        own, at = values[at : at + len(joined)], at + len(joined)
        rows += _cell(setting, cell, joined, np.stack(own), group, how)
    return rows


def prepared(
    metrics: Sequence[Metric], joined: Sequence[Predictions], resample: Resample = "images"
) -> list[Sampler]:
    """A sampler for each seed of a cell."""
    return [Sampler.of(metrics, seen, clusters_of(seen, resample)) for seen in joined]


def resampled(samplers: Sequence[Sampler], draws: int, seed: int) -> list[Floats]:
    """For each sampler (metrics, 1 + draws): the value of the rows as they are, then resamples."""
    found: list[list[Floats]] = [[] for _ in samplers]
    for count in sorted({len(s.clusters) for s in samplers}):
        for weights in _blocks(count, draws, seed):
            for values, sampler in zip(found, samplers, strict=True):
                if len(sampler.clusters) == count:
                    values.append(sampler(weights))
    joined = [np.concatenate(values, axis=1) for values in found]
    within_parts(samplers, joined, seed)
    return joined


def _blocks(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Ones, then multiplicities; a single cluster is never resampled."""
    first = np.ones((1, clusters))
    for weights in multiplicities(clusters, draws if clusters > 1 else 0, seed):
        yield np.concatenate([first, weights])
        first = first[:0]
    if len(first):
        yield first


def _cell(
    setting: Setting,
    cell: Cell,
    samplers: Sequence[Sampler],
    values: Floats,
    group: str,
    how: _How,
) -> list[Estimate]:
    """Rows of one cell in one group from values (seeds, metrics, 1 + draws)."""
    seen, images = samplers[0].seen, clusters_of(samplers[0].seen)
    spread = float(np.mean([design_effect(s.seen, images) for s in samplers]))
    alike = [x for s in samplers if (x := intra_image(s.seen, images)) is not None]
    mean = values.mean(axis=0)
    rows = []
    for j, metric in enumerate(samplers[0].metrics):
        low, high = bounds(mean[j], how.interval, never_negative(metric))
        method = f"{NAMES[how.interval]}95" if low is not None else "none"
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
                by=how.by,
                group=group,
                metric=spec(metric),
                title=heading_of(metric),
                form=metric.form,
                better=metric.better,
                value=float(mean[j, 0]),
                low=low,
                high=high,
                method=method,
                n=len(seen),
                clusters=len(images),
                resampled=unit(seen, how.resample),
                icc=float(np.mean(alike)) if alike else None,
                design_effect=spread,
                replies=int(seen.replied.sum()),
                left_out=seen.left_out,
                ties=max(s.seen.ties for s in samplers),
                floor=noise_floor(metric, samplers, spread, how.seed),
                debiased=debiased(metric, samplers, spread),
                seeds=len(samplers),
                seed_sd=_spread(values[:, j, 0]),
                signature=sign(
                    metric, seen, samplers[0].clusters, method, how.draws, how.seed, how.resample
                ),
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


def unit(seen: Predictions, resample: Resample) -> str:
    """``images`` or ``rows``, which are all there is where no image is known."""
    return resample if has_images(seen) else "rows"


def sign(
    metric: Measure,
    seen: Predictions,
    clusters: Clusters,
    method: str,
    draws: int,
    seed: int,
    resample: Resample = "images",
) -> str:
    """The signature: metric, confidence, rows, images, interval, resamples, seed, version.

    Where there are replies it names the scorer that judged them.
    """
    parts = [metric.signature(seen), f"conf:{seen.convention}"]
    parts += [f"right:{seen.scorer}"] * bool(seen.replied.any()) + [f"n:{len(seen)}"]
    parts += [f"clusters:{len(clusters)}({unit(seen, resample)[:-1]})", f"ci:{method}"]
    parts += [f"boot:{draws}", f"seed:{seed}", f"v:{_version()}"]
    return "|".join(parts)


@cache
def _version() -> str:
    try:
        return ".".join(version("calprune").split(".")[:2])
    except PackageNotFoundError:
        return "0.1"
