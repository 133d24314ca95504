"""What stands under a table: how its numbers were made, and what a careful reader must know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from calprune.analyze.metric import DisplayUnit
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.row import ConditionInfo, MetricInfo
from calprune.analyze.statistics.intervals import DEFINED
from calprune.analyze.statistics.multiple_testing import LEVEL
from calprune.analyze.tables.families import by_metric, unique
from calprune.analyze.tables.numbers import estimated

DRAWN = {
    "images": "cluster bootstrap over images, each with all its questions",
    "questions": "cluster bootstrap over questions, each with its repeats",
    "rows": "bootstrap over rows",
}
PERMUTED = {"images": "whole images", "questions": "questions with their repeats", "rows": "rows"}
FEW_ERRORS, FEW_WRONG_IMAGES = 30, 20
FEW_IMAGES = 30  # below, no interval covered what it promises in all shapes that were simulated
UNRELIABLE = "are unreliable"
BY_RUNS = ", runs permuted within them where one side has several seeds"
ONE_IMAGE = "all questions are about one image: no interval can be given"
OWN_FAMILY = "p is corrected within each model, benchmark, metric and group, and not across them"
PAIRED = "95 % interval of the paired difference"


class Counted(Protocol):
    """A row that counts what it was computed from."""

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def clusters(self) -> int: ...  # noqa: D102
    @property
    def resampled(self) -> str: ...  # noqa: D102


class Bounded(Protocol):
    """A row with an interval."""

    @property
    def metric(self) -> MetricInfo: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def defined(self) -> float: ...  # noqa: D102
    @property
    def outside(self) -> bool: ...  # noqa: D102


class Drawn(Protocol):
    """A row that counts what was resampled for it."""

    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def clusters(self) -> int: ...  # noqa: D102
    @property
    def resampled(self) -> str: ...  # noqa: D102


class Erring(Protocol):
    """A row that counts what is wrong."""

    @property
    def condition(self) -> ConditionInfo: ...  # noqa: D102
    @property
    def metric(self) -> MetricInfo: ...  # noqa: D102
    @property
    def errors(self) -> int: ...  # noqa: D102
    @property
    def error_images(self) -> int: ...  # noqa: D102


class Read(Protocol):
    """A row that says which questions it was read from."""

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def replies(self) -> int: ...  # noqa: D102
    @property
    def left_out(self) -> int: ...  # noqa: D102


def brackets(of: str) -> str:
    """What the brackets of a table hold, up to the name of the interval."""
    less = "(de-biased [low, high]): less the expected bias, and the"
    return less if of.endswith("debiased") else "[low, high]:"


def unusual_intervals(rows: Sequence[Bounded]) -> list[str]:
    """Where an interval leaves out resamples that are undefined, least share, or is left out."""
    least: dict[str, float] = {}
    for r in rows:
        if r.defined < 1 and r.low is not None:
            least[r.metric.title] = min(r.defined, least.get(r.metric.title, 1.0))
    lifted = unique([r.metric.title for r in rows if r.outside])
    return [
        f"{title}: interval over the resamples in which it is defined, at least {percent(share)}"
        for title, share in least.items()
    ] + [f"{', '.join(lifted)}: no interval where noise lifts the resamples off the value"] * bool(
        lifted
    )


def few_images(rows: Sequence[Drawn]) -> list[str]:
    """Too few images for any interval, in one line: of all questions, or of which groups.

    ``11 images: intervals are unreliable``, ``left 11, right 8 images: …``. A single image has no
    interval at all, which is told elsewhere.
    """
    least: dict[str, int] = {}
    for r in rows:
        if 1 < r.clusters < FEW_IMAGES:
            least[r.group] = min(r.clusters, least.get(r.group, FEW_IMAGES))
    if not least:
        return []
    each = [f"{group} {count}" for group, count in least.items()]
    count = str(least["all"]) if "all" in least else ", ".join(each)
    return [f"{count} {rows[0].resampled}: intervals {UNRELIABLE}"]


def few_errors(rows: Sequence[Erring]) -> list[str]:
    """Conditions with too few wrong rows, or images that have one, in one line."""
    few = {
        r.condition.name: f"{r.condition.name} {r.errors} on {r.error_images}"
        for r in rows
        if r.errors < FEW_ERRORS or r.error_images < FEW_WRONG_IMAGES
    }
    if not few:
        return []
    above_all = ", that of AURC above all" * any(is_metric(r, "aurc") for r in rows)
    return [
        f"few errors, so intervals may be too narrow{above_all}: {', '.join(few.values())} images"
    ]


def within_parts(rows: Sequence[Estimate] | Sequence[Difference]) -> list[str]:
    """How scores that add up parts are resampled, and where that gives no interval."""
    notes = []
    for own in by_metric([r for r in rows if _part(r)]).values():
        drawn, part = own[0].resampled.removesuffix("s"), _part(own[0])
        if any(r.low is not None for r in own):
            notes.append(
                f"{own[0].metric.title}: {drawn}s are drawn among those of the same {part}, so "
                "that none is missed"
            )
        bare = [r for r in own if r.low is None and ("boot", "0") not in r.signature.parts]
        if any(r.clusters > 1 and math.isfinite(r.value) for r in bare):
            notes.append(
                f"{own[0].metric.title}: no interval where a {part} has only one {drawn}, which "
                "cannot be resampled within it"
            )
    return notes


def what_decided(rows: Sequence[Estimate] | Sequence[Difference]) -> list[str]:
    """Whether the model's first token or its whole reply was judged, and by which rule."""
    notes = []
    said = {r.metric.title: r.signature.choice("said") for r in rows if r.signature.choice("said")}
    for how in unique(list(said.values())):
        kinds, _, cut = how.partition(",cut:")
        told = [
            "the greedy first token decides"
            if kind == "first-token"
            else f"the whole reply decides, read by the rule {kind[6:-1]}"
            for kind in kinds.split("+")
        ]
        titles = ", ".join(title for title, own in said.items() if own == how)
        tail = f"; the limit cut {cut} of these replies" * bool(cut)
        notes.append(f"{titles}: {'; of other questions '.join(told)}{tail}")
    return notes


def _part(row: Estimate | Difference) -> str:
    """What a score adds up and is resampled within, as its signature says; empty if nothing."""
    return row.signature.choice("within")


def shared(row: Estimate | Difference) -> list[str]:
    """The warning where rows are drawn one by one, or where no image is known."""
    if row.resampled == "images":
        return []
    if row.resampled == "questions":
        return [
            "no image is known: rows that repeat a question are resampled together; intervals are "
            "too narrow if questions share images"
        ]
    if row.clusters < row.n:
        return ["rows share images: intervals too narrow"] if row.clusters > 1 else []
    return ["rows resampled, intervals too narrow if rows share images"]


def of_replies(rows: Sequence[Read]) -> list[str]:
    """Which rows are read from replies, and which are not there."""
    notes = []
    for r in rows[:1]:
        if r.left_out:
            notes.append(f"{r.left_out} questions without answers to choose from are left out")
        if 0 < r.replies < r.n:
            notes.append(
                f"confidence is that of the reply in {r.replies} questions, and that of the answer "
                f"set in {r.n - r.replies}"
            )
    return notes


def with_reason(
    value: float,
    debiased: float | None,
    ends: tuple[float | None, float | None],
    of: str,
    unit: DisplayUnit,
    defined: float,
    outside: bool,
    signed: bool = False,
) -> str:
    """A cell with its interval, as ``estimated``, or why there is none."""
    shown = estimated(value, debiased, (None, None) if outside else ends, of, unit, signed)
    return shown + without_interval(value, ends[0], defined, outside)


def without_interval(value: float, low: float | None, defined: float, outside: bool) -> str:
    """Why there is no interval, where resamples are undefined or lie beside the value."""
    if outside:
        return " [resamples miss it]"
    if low is not None or not 0 < defined < DEFINED or not math.isfinite(value):
        return ""
    return f" [undefined in {percent(1 - defined)} of resamples]"


def percent(share: float) -> str:
    """Three digits."""
    return f"{100 * share:.3g} %"


def questions_on(r: Counted) -> str:
    """``1800 questions on 100 images`` or, where no image is known, how many are distinct."""
    if r.resampled == "questions":
        return f"{r.n} questions, {r.clusters} of them distinct"
    return f"{r.n} questions on {r.clusters} images"


def is_metric(row: Erring, name: str) -> bool:
    """Whether a row is of that metric, with any parameters."""
    return row.metric.name == name


def _down(p: float) -> str:
    """Two digits, never above the true value."""
    step = 10.0 ** (math.floor(math.log10(p) + 1e-12) - 1)
    return f"{math.floor(p / step * (1 + 1e-9)) * step:.2g}"


def too_few(smallest: float, family: int) -> str | None:
    """What to say if no p can pass the first step of Holm at 5 %; None if one can.

    Args:
        smallest: the least p that the permutations allow.
        family: number of comparisons.
    """
    if smallest <= LEVEL / family * (1 + 1e-9):
        return None
    needed = math.ceil(family / LEVEL - 1e-9) - 1
    return (
        f"no p can be below {_down(smallest)}, so nothing can pass 5 % over {family} comparisons: "
        f"that takes at least --permutations {needed}, and enough images"
    )
