"""Choices by name: whether they are known, and whether anything in these files would read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from calprune import registry
from calprune.analyze.predictions.answer_scores import AnswerSet
from calprune.analyze.predictions.build import Confidence, Target
from calprune.analyze.predictions.confidence_scores import DEFINITIONS
from calprune.analyze.results.resampled_metrics import Resample
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.multiple_testing import CORRECTIONS
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError

KNOWN: dict[str, tuple[str, ...]] = {
    "correction": CORRECTIONS,
    "interval": get_args(Interval),
    "resample": get_args(Resample),
    "answer_set": get_args(AnswerSet),
    "confidence": get_args(Confidence),
    "target": get_args(Target),
}
"""What each choice may be; ``confidence`` may be several, separated by commas."""

_OF_REPLIES = ("first", "mean", "product", "min")


def check_known(given: Mapping[str, Any]) -> None:
    """PlanError, with the list, for a choice that does not exist, whether it is read or not."""
    for name in KNOWN.keys() & given.keys():
        for value in confidences(given) if name == "confidence" else [given[name]]:
            if value not in KNOWN[name]:
                raise PlanError(registry.unknown(name.replace("_", " "), str(value), KNOWN[name]))


def check_resample(resample: str) -> None:
    """PlanError unless there is such a unit."""
    if resample not in KNOWN["resample"]:
        raise PlanError(registry.unknown("unit of resampling", resample, KNOWN["resample"]))


def check_correction(correction: str) -> None:
    """PlanError unless there is such a correction."""
    if correction not in CORRECTIONS:
        raise PlanError(registry.unknown("correction", correction, CORRECTIONS))


def confidences(reading: Mapping[str, Any]) -> list[str]:
    """The definitions of confidence asked for, in order."""
    return [x.strip() for x in str(reading.get("confidence", "auto")).split(",")]


def check_read(tables: Sequence[LogitTable], reading: Mapping[str, Any]) -> None:
    """PlanError for a choice of reading that no row of these tables would use.

    Args:
        tables: sealed logits; of none at all nothing is said.
        reading: what was asked for, as in ``read_predictions``, without defaults.
    """
    for name in ("folds", "fold_seed"):
        if name in reading and not reading.get("calibrate"):
            raise PlanError(
                f"{_option(name)} is read where something is calibrated: name a calibrator with "
                "--calibrate (in Python: calibrate=), or leave it out"
            )
    if not tables:
        return
    open_rows = any(t.replies is not None and bool(t.replies.open.any()) for t in tables)
    closed_rows = any(bool(t.offered.any()) for t in tables)
    wanted = confidences(reading)
    replies = open_rows and any(x not in DEFINITIONS for x in wanted)
    why = (
        f"confidence {' and '.join(wanted)} reads none"
        if open_rows
        else "none of these conditions has any"
    )
    lost = [x for x in wanted if x in _OF_REPLIES and not open_rows]
    if lost:
        raise PlanError(f"--confidence {lost[0]} is that of generated replies, and {why}")
    if "target" in reading and not replies:
        raise PlanError(
            f"--target {reading['target']} is about generated replies, and {why}: leave it out"
        )
    for name in ("answer_set", "verbalizers"):
        if reading.get(name) and not closed_rows:
            raise PlanError(
                f"{_option(name)} is about answers to choose from, and all answers of these "
                "conditions are generated replies: leave it out"
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
