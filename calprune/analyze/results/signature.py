"""The signature of a number: every choice that went into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

from calprune.analyze.metric import Measure, is_gapped
from calprune.analyze.options import Resample, Resampling
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.resampled_metrics import has_images
from calprune.analyze.results.row import Signature
from calprune.analyze.statistics.clustering import Clusters
from calprune.failures import working_on


def interval_of(method: str, metric: Measure, of: str) -> str:
    """For signatures: how an interval was made and, of ECE and its relatives, of which value."""
    if not of or not is_gapped(metric):
        return method
    return f"{method}({'debiased' if of.endswith('debiased') else 'plug-in'})"


def told_once(signatures: Sequence[Signature]) -> list[str]:
    """Signatures of several metrics; what all of them share is said once, in a line of its own."""
    first = signatures[0]
    shared = [p for p in first.parts if all(p in s.parts for s in signatures)]
    if len(set(signatures)) == 1 or not shared or shared[0] != first.parts[0]:
        return [str(s) for s in signatures]
    heads = [str(s.without(*(name for name, _ in shared))) for s in signatures]
    return ["  ".join(heads), "each with |" + "|".join(f"{k}:{v}" for k, v in shared)]


def drawn_unit(predictions: Predictions, resample: Resample) -> str:
    """``images`` or ``rows``; ``questions`` with their repeats, where no image is known."""
    return "questions" if resample == "images" and not has_images(predictions) else resample


def signature(
    metric: Measure,
    predictions: Predictions,
    clusters: Clusters,
    method: str,
    how: Resampling,
) -> Signature:
    """The signature: metric, confidence, rows, images, interval, resamples, seed, version.

    Where there are replies it names the scorer that judged them.
    """
    boot = {"boot": str(how.draws), "seed": str(how.seed)}
    with working_on(predictions.where):
        head = tuple(metric.signature(predictions).split("|"))
    return signed(head, predictions, len(clusters), method, how.unit, boot)


def signed(
    head: tuple[str, ...],
    predictions: Predictions,
    clusters: int,
    method: str,
    resample: Resample,
    boot: Mapping[str, str] = MappingProxyType({}),
) -> Signature:
    """The same for what is no metric: ``head`` says what, ``boot`` how resamples were made."""
    drawn = drawn_unit(predictions, resample)[:-1]
    parts = {"conf": predictions.convention}
    parts |= {"right": predictions.scorer} if predictions.replied.any() else {}
    parts |= {"n": str(len(predictions)), "clusters": f"{clusters}({drawn})", "ci": method}
    return Signature(head, tuple({**parts, **boot, "v": _version()}.items()))


@cache
def _version() -> str:
    try:
        return ".".join(version("calprune").split(".")[:2])
    except PackageNotFoundError:
        return "0.1"
