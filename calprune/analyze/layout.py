"""From tidy rows to tables for people: what stands in which column, and how it is rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calprune.analyze.compare import Difference
from calprune.analyze.estimate import Estimate
from calprune.analyze.metrics import Form
from calprune.analyze.signature import told_once
from calprune.analyze.statistics.family import LEVEL, too_few
from calprune.analyze.statistics.intervals import DEFINED


@dataclass(frozen=True)
class Grid:
    """One table of text: first column to the left, all others to the right."""

    title: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def number(value: float, form: Form, signed: bool = False) -> str:
    """Three decimals, or one for percent, points and scores; never a negative zero."""
    if math.isnan(value):
        return "-"
    if form in ("plain", "score"):
        digits = 3 if form == "plain" else 1
        text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    else:
        text = f"{100 * value:+.1f}" if signed or form == "points" else f"{100 * value:.1f}"
    return text.lstrip("+-") if float(text) == 0 else text


def with_interval(
    value: float, low: float | None, high: float | None, form: Form, signed: bool = False
) -> str:
    """``0.041 [0.034, 0.049]``; the value alone without an interval."""
    shown = number(value, form, signed)
    if low is None or high is None:
        return shown
    return f"{shown} [{number(low, form, signed)}, {number(high, form, signed)}]"


def estimated(
    value: float,
    debiased: float | None,
    ends: tuple[float | None, float | None],
    of: str,
    form: Form,
    signed: bool = False,
) -> str:
    """``0.861 [0.841, 0.880]`` or, if the interval is of it, ``0.061 (0.052 [0.030, 0.071])``.

    In the second form the first number is the plug-in value that papers print, and the one in
    brackets is less its expected bias; an error less than 0 is shown as 0.
    """
    if debiased is None or not of.endswith("debiased"):
        return with_interval(value, *ends, form, signed)
    inner = with_interval(debiased if signed else max(debiased, 0.0), *ends, form, signed)
    return f"{number(value, form, signed)} ({inner})"


def of_what(title: str, of: str) -> str:
    """The title of a column of such cells."""
    return f"{title} (de-biased)" if of.endswith("debiased") else title


def heading(title: str, form: Form) -> str:
    """Column heading with its unit."""
    return title + {"plain": "", "percent": " %", "points": " pts", "score": ""}[form]


def _unique(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(items))


def estimate_grids(rows: Sequence[Estimate]) -> list[Grid]:
    """One grid per model and benchmark, and per metric where rows are grouped."""
    grids = []
    for model, benchmark in dict.fromkeys((r.model, r.benchmark) for r in rows):
        own = [r for r in rows if (r.model, r.benchmark) == (model, benchmark)]
        if not any(r.by for r in own):
            grids.append(_by_metric(f"{model} on {benchmark}", own))
            continue
        for signature in _unique([r.signature.split("|conf:")[0] for r in own]):
            part = [r for r in own if r.signature.split("|conf:")[0] == signature]
            title = of_what(part[0].title, part[0].interval_of)
            grids.append(_by_group(f"{model} on {benchmark}: {title} by {part[0].by}", part))
    return grids


def _by_metric(title: str, rows: Sequence[Estimate]) -> Grid:
    """A column per metric; ECE and its relatives show intervals, the others when they are few."""
    columns = _unique([r.signature.split("|conf:")[0] for r in rows])
    named = {s: next(r for r in rows if r.signature.startswith(f"{s}|conf:")) for s in columns}
    body = []
    for condition in _unique([r.condition for r in rows]):
        own = [r for r in rows if r.condition == condition]
        shown = [_cell(r, bool(r.debiased is not None or len(columns) <= 3)) for r in own]
        body.append((_name(own[0]), *shown, str(own[0].n), str(own[0].clusters)))
    titles = [heading(of_what(r.title, r.interval_of), r.form) for r in named.values()]
    notes = _notes(rows) + told_once([r.signature for r in named.values()])
    return Grid(title, ("condition", *titles, "n", "images"), tuple(body), tuple(notes))


def _by_group(title: str, rows: Sequence[Estimate]) -> Grid:
    """A column per group, ``all`` first."""
    names = _unique([r.group for r in rows])
    body = []
    for condition in _unique([r.condition for r in rows]):
        own = {r.group: r for r in rows if r.condition == condition}
        cells = [_cell(own[g], True) if g in own else "" for g in names]
        body.append((_name(next(iter(own.values()))), *cells))
    first = {g: next(r for r in rows if r.group == g) for g in names}
    shown = {g: repr(g) if g[-1:].isdigit() else g for g in names}
    sizes = "; ".join(f"{shown[g]} {r.n} on {r.clusters}" for g, r in first.items())
    notes = [f"questions on images: {sizes}", *_notes(rows), first[names[0]].signature]
    return Grid(title, (heading("condition", "plain"), *names), tuple(body), tuple(notes))


def _cell(row: Estimate, interval: bool) -> str:
    if not interval:
        return number(row.value, row.form)
    shown = estimated(row.value, row.debiased, (row.low, row.high), row.interval_of, row.form)
    return shown + without_interval(row.value, row.low, row.defined)


def without_interval(value: float, low: float | None, defined: float) -> str:
    """Why there is no interval, where it is that too many resamples are undefined."""
    if low is not None or defined >= DEFINED or not math.isfinite(value):
        return ""
    return f" [undefined in {_percent(1 - defined)} of resamples]"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _name(row: Estimate | Difference) -> str:
    return f"{row.condition} ({row.seed})" if row.seed.endswith("seeds") else row.condition


def _notes(rows: Sequence[Estimate]) -> list[str]:
    """What a reader must know: intervals, open questions, noise floor, seeds, ties."""
    notes = []
    whole = [r for r in rows if r.group == "all"]
    notes += _interval(rows) + _dependence(whole)
    notes += _open(whole)
    if any(r.metric == "nll" and math.isinf(r.value) for r in rows):
        notes.append("NLL is infinite where a right answer is not among those that count")
    notes += _floors(whole) + _small(whole)
    notes += _seeds(whole)
    ties = max((r.ties for r in whole), default=0)
    if ties:
        notes.append(f"up to {ties} questions have equally likely answers; the first is taken")
    return notes


def _interval(rows: Sequence[Estimate]) -> list[str]:
    """How intervals were made, and what is wrong with them."""
    notes = []
    for kind in _unique([r.method.removesuffix("95") for r in rows if r.low is not None]):
        row = next(r for r in rows if r.method == f"{kind}95")
        name = "" if kind == "percentile" else f"{kind} "
        where = (
            "(de-biased [low, high]): less its expected bias, and the"
            if (row.interval_of == "debiased")
            else "[low, high]:"
        )
        notes.append(f"{where} 95 % {name}interval, {DRAWN[row.resampled]}")
    notes += [
        f"{r.title}: interval over the {_percent(r.defined)} of resamples in which it is defined"
        for r in {r.title: r for r in rows if r.defined < 1 and r.low is not None}.values()
    ]
    raw = _unique([r.title for r in rows if r.debiased is not None and r.interval_of == "value"])
    if raw:
        notes.append(
            f"{rows[0].method.removesuffix('95')} intervals of {', '.join(raw)} lie too high near "
            "calibration; --interval auto does not"
        )
    if rows[0].clusters == 1 < rows[0].n:
        notes.append("all questions are about one image: no interval can be given")
    return notes + _shared(rows[0])


DRAWN = {
    "images": "images resampled with all their questions",
    "questions": "questions resampled with their repeats",
    "rows": "rows resampled",
}


def _floors(whole: Sequence[Estimate]) -> list[str]:
    """What each error would be if confidences were right."""
    found = []
    for title in _unique([r.title for r in whole if r.floor is not None]):
        floors = [r.floor for r in whole if r.floor is not None and r.title == title]
        found.append(f"{title} of {_span(floors)}")
    if not found:
        return []
    return [f"a perfectly calibrated model would score an {', '.join(found)} on these questions"]


FEW_ERRORS, FEW_WRONG_IMAGES, FEW_IMAGES = 30, 20, 30


def _small(whole: Sequence[Estimate]) -> list[str]:
    """Where there is too little to rely on an interval."""
    if not any(r.low is not None for r in whole):
        return []
    notes = []
    if whole[0].clusters < FEW_IMAGES:
        notes.append(f"fewer than {FEW_IMAGES} images: no interval holds what it promises")
    return notes + few_errors(whole)


def few_errors(rows: Sequence[Estimate]) -> list[str]:
    """Conditions with too few wrong rows, or images that have one, in one line."""
    few = {
        r.condition: f"{r.condition} {r.errors} on {r.error_images}"
        for r in rows
        if r.errors < FEW_ERRORS or r.error_images < FEW_WRONG_IMAGES
    }
    if not few:
        return []
    return [
        "few errors, so intervals may be too narrow, that of AURC above all: "
        f"{', '.join(few.values())} images"
    ]


def _shared(row: Estimate | Difference) -> list[str]:
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
    found = f"questions of one image: design effect {_span([r.design_effect for r in whole], 2)}"
    if alike:
        found += f", correlation of correctness {_span(alike, 2)} without repeats"
    return [found]


def _seeds(whole: Sequence[Estimate]) -> list[str]:
    """Standard deviations over seeds, the second source of variance."""
    spreads = [(r, r.seed_sd) for r in whole if r.seed_sd is not None]
    titles = _unique([r.title for r, _ in spreads])
    if len(titles) == 1:
        listed = ", ".join(f"{r.condition} {number(sd, r.form)}" for r, sd in spreads)
        return [f"standard deviation of {titles[0]} over seeds: {listed}"]
    parts = []
    for name in _unique([r.condition for r, _ in spreads]):
        own = [
            f"{r.title} {number(sd, r.form).lstrip('+')}"
            for r, sd in spreads
            if r.condition == name
        ]
        parts.append(f"{name}: {', '.join(own)}")
    return [f"standard deviation over seeds: {'; '.join(parts)}"] if parts else []


def _open(rows: Sequence[Estimate] | Sequence[Difference]) -> list[str]:
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


def difference_grids(rows: Sequence[Difference]) -> list[Grid]:
    """One grid per model, benchmark, metric and group: exactly one family each."""
    families: dict[tuple[str, ...], list[Difference]] = {}
    for r in rows:
        stem = r.signature.split("|conf:")[0]
        families.setdefault((r.model, r.benchmark, stem, r.group), []).append(r)
    return [_family(own) for own in families.values()]


class Compared(Protocol):
    """A row with a reference."""

    @property
    def against(self) -> str:
        """What was asked for."""

    @property
    def reference(self) -> str:
        """What it means for this row."""


def family_name(rows: Sequence[Compared]) -> str:
    """The reference of a family, in a title."""
    r = rows[0]
    several = len({row.reference for row in rows}) > 1 or r.reference != r.against
    return f"{r.against} of the same budget" if several else r.reference


def _family(rows: Sequence[Difference]) -> Grid:
    r = rows[0]
    part = f", {r.by} {r.group}" if r.group != "all" else ""
    title = f"{r.model} on {r.benchmark}{part}: {r.title} against {family_name(rows)}"
    corrected = {"holm": "p (Holm)", "bh": "p (BH)"}.get(r.correction, r.correction)
    unit: Form = "points" if r.form in ("percent", "points") else "plain"
    gap = heading(of_what("difference", r.interval_of), unit)
    extra = _extra(rows)
    columns = (
        heading(r.title, r.form),
        r.against,
        gap,
        "p",
        corrected,
        *([extra] if extra else ()),
    )
    body = [
        (
            _name(row),
            number(row.value, row.form),
            number(row.reference_value, row.form),
            estimated(
                row.delta,
                row.delta_debiased,
                (row.low, row.high),
                row.interval_of,
                row.form,
                signed=True,
            )
            + without_interval(row.delta, row.low, row.defined),
            p_text(row.p, row.p_least),
            p_text(row.p_adjusted, row.p_least),
            *([_exact(row)] if extra else ()),
        )
        for row in rows
    ]
    return Grid(title, ("condition", *columns), tuple(body), _family_notes(rows, corrected, extra))


def _family_notes(rows: Sequence[Difference], corrected: str, extra: str) -> tuple[str, ...]:
    r = rows[0]
    shown = {"images": "whole images", "questions": "questions with their repeats"}
    where = shown.get(r.resampled, "rows")
    times = "in all ways there are" if "-exact" in r.signature else "times"
    dealt = any("-deal" in row.signature for row in rows)
    few = too_few(max(row.p_least for row in rows), r.family)
    said = {"p (t)": "cluster-robust t, images less 1 degrees of freedom", "": ""}
    said["p (McNemar)"] = "exact McNemar, as no two questions share an image"
    kind = (
        "(de-biased [low, high]): less the expected bias, and the"
        if (r.interval_of.endswith("debiased"))
        else "[low, high]:"
    )
    return (
        f"{r.n} questions on {r.clusters} {_clusters(r)}; {r.better} is better",
        f"{kind} 95 % interval of the paired difference, {r.draws} resamples of {r.resampled}",
        f"p: the two conditions swapped on {where}, {r.swaps} {times}, two-sided"
        + ", seeds dealt anew with the single run" * dealt
        + f"; {corrected}: corrected for {r.family} comparisons",
        *disagreement(rows),
        *([f"{extra}: {said[extra]}, not corrected"] if extra else ()),
        *([few] if few and r.correction == "holm" else ()),
        *_shared(r),
        *_open([r] if r.group == "all" else []),
        r.signature,
    )


def _clusters(r: Difference) -> str:
    return "distinct questions" if r.resampled == "questions" else "images"


def disagreement(rows: Sequence[Difference]) -> list[str]:
    """Where the interval and the permutation test say different things, in one line."""
    odd = [
        f"{_name(r)} (p {p_text(r.p, r.p_least)}, interval {'with' if holds else 'without'} 0)"
        for r in rows
        if r.low is not None and r.high is not None
        for holds in [r.low <= 0 <= r.high]
        if (r.p <= LEVEL) == holds
    ]
    if not odd:
        return []
    return [f"interval and uncorrected p disagree, the test decides: {', '.join(odd)}"]


def _extra(rows: Sequence[Difference]) -> str:
    """Heading of the test of accuracy that needs no swaps, or nothing."""
    if any(r.p_mcnemar is not None for r in rows):
        return "p (McNemar)"
    return "p (t)" if any(r.p_t is not None for r in rows) else ""


def _exact(row: Difference) -> str:
    p = row.p_mcnemar if row.p_mcnemar is not None else row.p_t
    return "-" if p is None else f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"


def p_text(p: float, least: float) -> str:
    """Four decimals; ``<=`` where the number of swaps allows no smaller p than ``least``."""
    return f"<={least:.1g}" if p <= least * 1.000001 < 1 else f"{p:.4f}"
