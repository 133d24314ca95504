"""What stands under a table: how its numbers were made, and what a careful reader must know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from calprune.analyze.metrics import DisplayUnit
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.statistics.intervals import DEFINED
from calprune.analyze.statistics.multiple_testing import LEVEL, too_few
from calprune.analyze.tables.written import estimated, is_metric, number, p_text, shown_name, unique

DRAWN = {
    "images": "images resampled with all their questions",
    "questions": "questions resampled with their repeats",
    "rows": "rows resampled",
}
SWAPPED = {"images": "whole images", "questions": "questions with their repeats", "rows": "rows"}
FEW_ERRORS, FEW_WRONG_IMAGES, FEW_IMAGES = 30, 20, 30
DEALT = ", and all runs dealt anew where one of them has several seeds"
ONE_IMAGE = "all questions are about one image: no interval can be given"
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
    def title(self) -> str: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def defined(self) -> float: ...  # noqa: D102
    @property
    def clusters(self) -> int: ...  # noqa: D102


class Erring(Protocol):
    """A row that counts what is wrong."""

    @property
    def condition(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
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


def estimate_notes(rows: Sequence[Estimate], shown: Sequence[Estimate]) -> list[str]:
    """What a reader must know: intervals, open questions, noise floor, seeds, ties.

    ``shown`` are the rows whose intervals the table shows.
    """
    notes = []
    whole = [r for r in rows if r.group == "all"]
    notes += _interval(rows, shown) + within_parts(rows) + _dependence(whole) + what_decided(whole)
    notes += left_out(whole)
    if any(is_metric(r, "nll") and math.isinf(r.value) for r in rows):
        notes.append("NLL is infinite where a right answer is not among those that count")
    if any(is_metric(r, "t-opt") and math.isinf(r.value) for r in rows):
        notes.append("T_opt is infinite where no answers are better than uniform ones")
    notes += _floors(whole) + _small(rows)
    notes += _seeds(whole)
    ties = max((r.ties for r in whole), default=0)
    if ties:
        notes.append(f"up to {ties} questions have equally likely answers; the first is taken")
    return notes


def _interval(rows: Sequence[Estimate], shown: Sequence[Estimate]) -> list[str]:
    """How intervals were made, and what is wrong with them."""
    drawn = [r for r in shown if r.low is not None]
    notes = []
    for kind in unique([r.method.removesuffix("95") for r in drawn]):
        row = next(r for r in drawn if r.method == f"{kind}95")
        name = "" if kind == "percentile" else f"{kind} "
        notes.append(f"{brackets(row.interval_of)} 95 % {name}interval, {DRAWN[row.resampled]}")
    notes += defined_shares(drawn)
    for kind in unique([r.method for r in drawn if r.debiased is not None]):
        raw = [r for r in drawn if r.method == kind and r.debiased is not None]
        if raw[0].interval_of == "value":
            titles = ", ".join(unique([r.title for r in raw]))
            notes.append(
                f"{kind.removesuffix('95')} intervals of {titles} lie too high near calibration; "
                "--interval auto does not"
            )
    if rows[0].resampled == "images" and rows[0].clusters == 1 < rows[0].n:
        notes.append(ONE_IMAGE)
    return notes + shared(rows[0])


def brackets(of: str) -> str:
    """What the brackets of a table hold, up to the name of the interval."""
    less = "(de-biased [low, high]): less the expected bias, and the"
    return less if of.endswith("debiased") else "[low, high]:"


def defined_shares(rows: Sequence[Bounded]) -> list[str]:
    """Where an interval leaves out resamples in which the number is undefined; least share."""
    least: dict[str, float] = {}
    for r in rows:
        if r.defined < 1 and r.low is not None:
            least[r.title] = min(r.defined, least.get(r.title, 1.0))
    return [
        f"{title}: interval over the resamples in which it is defined, at least {_percent(share)}"
        for title, share in least.items()
    ]


def _floors(whole: Sequence[Estimate]) -> list[str]:
    """What each error would be if confidences were right."""
    found = []
    for title in unique([r.title for r in whole if r.floor is not None]):
        floors = [r.floor for r in whole if r.floor is not None and r.title == title]
        found.append(f"{title} of {_span(floors)}")
    if not found:
        return []
    return [f"a perfectly calibrated model would score an {', '.join(found)} on these questions"]


def _small(rows: Sequence[Estimate]) -> list[str]:
    """Where there is too little to rely on an interval."""
    if not any(r.low is not None for r in rows):
        return []
    return few_images(rows) + few_errors([r for r in rows if r.group == "all"])


def few_images(rows: Sequence[Bounded]) -> list[str]:
    """Groups with too few images for any interval, in one line."""
    few = unique([r.group for r in rows if r.low is not None and r.clusters < FEW_IMAGES])
    if not few:
        return []
    where = "" if "all" in few else f" in {', '.join(few)}"
    return [f"fewer than {FEW_IMAGES} images{where}: no interval holds what it promises"]


def few_errors(rows: Sequence[Erring]) -> list[str]:
    """Conditions with too few wrong rows, or images that have one, in one line."""
    few = {
        r.condition: f"{r.condition} {r.errors} on {r.error_images}"
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
    for stem in unique([r.signature.split("|conf:")[0] for r in rows if _part(r)]):
        own = [r for r in rows if r.signature.startswith(f"{stem}|conf:")]
        drawn = own[0].resampled.removesuffix("s")
        if any(r.low is not None for r in own):
            notes.append(
                f"{own[0].title}: {drawn}s are drawn among those of the same {_part(own[0])}, so "
                "that none is missed"
            )
        bare = [r for r in own if r.low is None and "|boot:0|" not in r.signature]
        if any(r.clusters > 1 and math.isfinite(r.value) for r in bare):
            notes.append(
                f"{own[0].title}: no interval where a {_part(own[0])} has only one {drawn}, which "
                "cannot be resampled within it"
            )
    return notes


def what_decided(rows: Sequence[Estimate] | Sequence[Difference]) -> list[str]:
    """Whether the model's first token or its whole reply was judged, and by which rule."""
    notes = []
    said = {r.title: _field(r, "said") for r in rows if _field(r, "said")}
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


def _field(row: Estimate | Difference, name: str) -> str:
    """What a signature says under a name before ``conf``; empty if nothing."""
    return row.signature.split("|conf:")[0].partition(f"|{name}:")[2].split("|")[0]


def _part(row: Estimate | Difference) -> str:
    """What a score adds up and is resampled within, as its signature says; empty if nothing."""
    return _field(row, "within")


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


def _dependence(whole: Sequence[Estimate]) -> list[str]:
    """How much less the questions are worth than independent ones."""
    if not whole or not 1 < whole[0].clusters < whole[0].n:
        return []
    alike = [r.icc for r in whole if r.icc is not None]
    drawn = {"questions": "repeats of one question"}.get(
        whole[0].resampled, "questions of one image"
    )
    found = f"{drawn}: design effect {_span([r.design_effect for r in whole], 2)}"
    if alike:
        found += f", correlation of correctness {_span(alike, 2)} without repeats"
    return [found]


def _seeds(whole: Sequence[Estimate]) -> list[str]:
    """Standard deviations over seeds, the second source of variance."""
    spreads = [(r, r.seed_sd) for r in whole if r.seed_sd is not None]
    titles = unique([r.title for r, _ in spreads])
    if len(titles) == 1:
        listed = ", ".join(f"{r.condition} {number(sd, r.unit)}" for r, sd in spreads)
        return [f"standard deviation of {titles[0]} over seeds: {listed}"]
    parts = []
    for name in unique([r.condition for r, _ in spreads]):
        own = [
            f"{r.title} {number(sd, r.unit).lstrip('+')}"
            for r, sd in spreads
            if r.condition == name
        ]
        parts.append(f"{name}: {', '.join(own)}")
    return [f"standard deviation over seeds: {'; '.join(parts)}"] if parts else []


def left_out(rows: Sequence[Read]) -> list[str]:
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


def _span(values: Sequence[float], digits: int = 3) -> str:
    low, high = (f"{f(values):.{digits}f}" for f in (min, max))
    return low if low == high else f"{low} to {high}"


def with_reason(
    value: float,
    debiased: float | None,
    ends: tuple[float | None, float | None],
    of: str,
    unit: DisplayUnit,
    defined: float,
    signed: bool = False,
) -> str:
    """A cell with its interval, as ``estimated``, or why there is none."""
    shown = estimated(value, debiased, ends, of, unit, signed)
    return shown + without_interval(value, ends[0], defined)


def without_interval(value: float, low: float | None, defined: float) -> str:
    """Why there is no interval, where it is that too many resamples are undefined."""
    if low is not None or not 0 < defined < DEFINED or not math.isfinite(value):
        return ""
    return f" [undefined in {_percent(1 - defined)} of resamples]"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def disagreement(rows: Sequence[Difference]) -> list[str]:
    """Where the interval and the permutation test say different things, in one line."""
    odd = [
        f"{shown_name(r)} (p {p_text(r.p, r.p_least)}, interval {'with' if holds else 'without'} 0)"
        for r in rows
        if r.low is not None and r.high is not None
        for holds in [r.low <= 0 <= r.high]
        if (r.p <= LEVEL) == holds
    ]
    if not odd:
        return []
    return [f"interval and uncorrected p disagree, the test decides: {', '.join(odd)}"]


def questions_on(r: Counted) -> str:
    """``1800 questions on 100 images`` or, where no image is known, how many are distinct."""
    if r.resampled == "questions":
        return f"{r.n} questions, {r.clusters} of them distinct"
    return f"{r.n} questions on {r.clusters} images"


def family_notes(rows: Sequence[Difference], corrected: str, extra: str) -> tuple[str, ...]:
    """Under a family of comparisons: intervals, test, correction, and where two disagree."""
    r = rows[0]
    times = f"in all {r.swaps} ways" if "-exact" in r.signature else f"{r.swaps} times"
    dealt = any("-deal" in row.signature for row in rows)
    few = too_few(max(row.p_least for row in rows), r.family)
    said = {"p (t)": "cluster-robust t, images less 1 degrees of freedom", "": ""}
    said["p (McNemar)"] = "exact McNemar, as no two questions share an image"
    if r.resampled == "questions":
        said["p (t)"] = "cluster-robust t, distinct questions less 1 degrees of freedom"
        said["p (McNemar)"] = "exact McNemar, as no question is repeated"
    drawn = next((row for row in rows if row.low is not None), None)
    kind = "" if drawn is None else brackets(drawn.interval_of)
    return (
        f"{questions_on(r)}; {r.direction} is better",
        *([f"{kind} {PAIRED}, {r.draws} resamples of {r.resampled}"] if kind else ()),
        *([ONE_IMAGE] if r.resampled == "images" and r.clusters == 1 < r.n else ()),
        *defined_shares(rows),
        f"p: the two conditions swapped on {SWAPPED[r.resampled]}, {times}, two-sided"
        + DEALT * dealt
        + f"; {corrected}: corrected for {r.family} comparisons",
        *disagreement(rows),
        *few_images(rows),
        *([f"{extra}: {said[extra]}, not corrected"] if extra else ()),
        *([few] if few and r.correction == "holm" else ()),
        *shared(r),
        *within_parts([r]),
        *what_decided([r]),
        *left_out([r] if r.group == "all" else []),
        r.signature,
    )
