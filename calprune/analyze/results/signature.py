"""The signature of a number: every choice that went into it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from calprune.analyze.metric import Gapped, Measure
from calprune.analyze.options import Resample
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.resampled_metrics import has_images
from calprune.analyze.statistics.clustering import Clusters


def interval_of(method: str, metric: Measure, of: str) -> str:
    """For signatures: how an interval was made and, of ECE and its relatives, of which value."""
    if not of or not isinstance(metric, Gapped):
        return method
    return f"{method}({'debiased' if of.endswith('debiased') else 'plug-in'})"


def told_once(signatures: Sequence[str]) -> list[str]:
    """Signatures of several metrics; what all of them share is said once, in a line of its own."""
    tails = [s.partition("|conf:")[2].split("|") for s in signatures]
    shared = [p for p in tails[0] if all(p in tail for tail in tails)]
    if len(set(signatures)) == 1 or not shared or shared[0] != tails[0][0]:
        return list(signatures)
    heads = [
        "|".join([s.partition("|conf:")[0], *(p for p in tail if p not in shared)])
        for s, tail in zip(signatures, tails, strict=True)
    ]
    return ["  ".join(heads), f"each with |conf:{'|'.join(shared)}"]


def drawn_unit(predictions: Predictions, resample: Resample) -> str:
    """``images`` or ``rows``; ``questions`` with their repeats, where no image is known."""
    return "questions" if resample == "images" and not has_images(predictions) else resample


def sign(
    metric: Measure,
    predictions: Predictions,
    clusters: Clusters,
    method: str,
    draws: int,
    seed: int,
    resample: Resample = "images",
) -> str:
    """The signature: metric, confidence, rows, images, interval, resamples, seed, version.

    Where there are replies it names the scorer that judged them.
    """
    drawn = f"boot:{draws}|seed:{seed}"
    return signed(
        metric.signature(predictions), predictions, len(clusters), method, resample, drawn
    )


def signed(
    head: str,
    predictions: Predictions,
    clusters: int,
    method: str,
    resample: Resample,
    drawn: str = "",
) -> str:
    """The same for what is no metric: ``head`` says what, ``drawn`` how resamples were made."""
    parts = [head, f"conf:{predictions.convention}"]
    parts += [f"right:{predictions.scorer}"] * bool(predictions.replied.any()) + [
        f"n:{len(predictions)}"
    ]
    parts += [f"clusters:{clusters}({drawn_unit(predictions, resample)[:-1]})", f"ci:{method}"]
    parts += [drawn] * bool(drawn) + [f"v:{_version()}"]
    return "|".join(parts)


@cache
def _version() -> str:
    try:
        return ".".join(version("calprune").split(".")[:2])
    except PackageNotFoundError:
        return "0.1"
