"""From tidy rows to tables for people: what stands in which column, and how it is rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Protocol

from calprune.analyze.compare import Difference
from calprune.analyze.estimate import Estimate
from calprune.analyze.metrics import Form
from calprune.analyze.statistics.family import too_few

CLOSE = 1e-9  # rounding of p-values that were computed alike
LEAST = 1e-300  # below, floating point may have lost a p-value


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
            grids.append(
                _by_group(f"{model} on {benchmark}: {part[0].title} by {part[0].by}", part)
            )
    return grids


def _by_metric(title: str, rows: Sequence[Estimate]) -> Grid:
    """A column per metric; ECE shows its interval, the others do when there are few."""
    columns = _unique([r.signature.split("|conf:")[0] for r in rows])
    named = {s: next(r for r in rows if r.signature.startswith(f"{s}|conf:")) for s in columns}
    body = []
    for condition in _unique([r.condition for r in rows]):
        own = [r for r in rows if r.condition == condition]
        shown = [_cell(r, _is(r, "ece") or len(columns) <= 3) for r in own]
        body.append((_name(own[0]), *shown, str(own[0].n), str(own[0].clusters)))
    titles = [heading(r.title, r.form) for r in named.values()]
    notes = _notes(rows) + _signatures(list(named.values()))
    return Grid(title, ("condition", *titles, "n", "images"), tuple(body), tuple(notes))


def _signatures(rows: Sequence[Estimate]) -> list[str]:
    """Each metric's signature; what all share is said once."""
    tails = _unique([r.signature.partition("|conf:")[2] for r in rows])
    if len(rows) == 1 or len(tails) > 1:
        return [r.signature for r in rows]
    heads = [r.signature.partition("|conf:")[0] for r in rows]
    return ["  ".join(heads), f"each with |conf:{tails[0]}"]


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
    if interval:
        return with_interval(row.value, row.low, row.high, row.form)
    return number(row.value, row.form)


def _is(row: Estimate, metric: str) -> bool:
    """Whether it is of that metric, with any parameters."""
    return row.metric.split(":")[0] == metric


def _name(row: Estimate | Difference) -> str:
    return f"{row.condition} ({row.seed})" if row.seed.endswith("seeds") else row.condition


def _notes(rows: Sequence[Estimate]) -> list[str]:
    """What a reader must know: intervals, open questions, noise floor, seeds, ties."""
    notes = []
    whole = [r for r in rows if r.group == "all"]
    notes += _interval(rows) + within_parts(rows) + _dependence(whole) + what_decided(whole)
    notes += _open(whole)
    if any(_is(r, "nll") and math.isinf(r.value) for r in rows):
        notes.append("NLL is infinite where a right answer is not among those that count")
    if any(_is(r, "t-opt") and math.isinf(r.value) for r in rows):
        notes.append("T_opt is infinite where no answers are better than uniform ones")
    floors = [r.floor for r in whole if r.floor is not None]
    if floors:
        notes.append(
            f"a perfectly calibrated model would score an ECE of {_span(floors)} on all of these "
            "questions"
        )
    less = [r.value - r.debiased for r in whole if r.debiased is not None]
    if less:
        notes.append(
            f"ECE less the bias of its bins would be {_span(less)} lower (column debiased of csv)"
        )
    if any(_is(r, "ece") and r.low is not None and r.value < r.low for r in rows):
        notes.append(
            "ECE near that floor lies below its percentile interval: compare conditions instead, "
            "or see --interval bias"
        )
    notes += _seeds(whole)
    ties = max((r.ties for r in whole), default=0)
    if ties:
        notes.append(f"up to {ties} questions have equally likely answers; the first is taken")
    return notes


def _interval(rows: Sequence[Estimate]) -> list[str]:
    """How intervals were made, and what is wrong with them."""
    notes, made = [], next((r for r in rows if r.low is not None), None)
    if made is not None:
        kind = made.method.removesuffix("95")
        name = "" if kind == "percentile" else f"{kind} "
        what = "images resampled with all their questions"
        what = what if made.resampled == "images" else "rows resampled"
        notes.append(f"[low, high]: 95 % {name}interval, {what}")
    if rows[0].clusters == 1 < rows[0].n:
        notes.append("all questions are about one image: no interval can be given")
    return notes + _shared(rows[0])


def within_parts(rows: Sequence[Estimate] | Sequence[Difference]) -> list[str]:
    """How scores that add up parts are resampled, and where that gives no interval."""
    notes = []
    for stem in _unique([r.signature.split("|conf:")[0] for r in rows if _part(r)]):
        own = [r for r in rows if r.signature.startswith(f"{stem}|conf:")]
        unit = {"images": "image", "rows": "row"}[own[0].resampled]
        if any(r.low is not None for r in own):
            notes.append(
                f"{own[0].title}: {unit}s are drawn among those of the same {_part(own[0])}, so "
                "that none is missed"
            )
        bare = [r for r in own if r.low is None and "|boot:0|" not in r.signature]
        if any(r.clusters > 1 and math.isfinite(r.value) for r in bare):
            notes.append(
                f"{own[0].title}: no interval where a {_part(own[0])} has only one {unit}, which "
                "cannot be resampled within it"
            )
    return notes


def what_decided(rows: Sequence[Estimate] | Sequence[Difference]) -> list[str]:
    """Whether the model's first token or its whole reply was judged, and by which rule."""
    notes = []
    said = {r.title: _field(r, "said") for r in rows if _field(r, "said")}
    for how in _unique(list(said.values())):
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


def _shared(row: Estimate | Difference) -> list[str]:
    """The warning where rows are drawn one by one."""
    if row.resampled == "images":
        return []
    if row.clusters < row.n and isinstance(row, Estimate) and row.clusters > 1:
        return ["rows share images: intervals too narrow"]
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
    gap = heading("difference", "points" if r.form in ("percent", "points") else "plain")
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
            with_interval(row.delta, row.low, row.high, row.form, signed=True),
            p_text(row.p, row.p_least),
            p_text(row.p_adjusted, row.p_least),
            *([_exact(row)] if extra else ()),
        )
        for row in rows
    ]
    return Grid(title, ("condition", *columns), tuple(body), _family_notes(r, corrected, extra))


def _family_notes(r: Difference, corrected: str, extra: str) -> tuple[str, ...]:
    unit = "images" if r.resampled == "images" else "rows"
    shown = "whole images" if unit == "images" else "rows"
    times = "in all ways there are" if "-exact" in r.signature else "times"
    few = too_few(r.p_least, r.family)
    said = {"p (t)": "cluster-robust t, images less 1 degrees of freedom", "": ""}
    said["p (McNemar)"] = "exact McNemar, as every image has one question"
    return (
        f"{r.n} questions on {r.clusters} images; {r.better} is better",
        f"[low, high]: 95 % interval of the paired difference, {r.draws} resamples of {unit}",
        f"p: the two conditions swapped on {shown}, {r.swaps} {times}, two-sided; "
        f"{corrected}: corrected for {r.family} comparisons",
        *([f"{extra}: {said[extra]}, not corrected"] if extra else ()),
        *([few] if few and r.correction == "holm" else ()),
        *_shared(r),
        *within_parts([r]),
        *what_decided([r]),
        *_open([r] if r.group == "all" else []),
        r.signature,
    )


def _extra(rows: Sequence[Difference]) -> str:
    """Heading of the test of accuracy that needs no swaps, or nothing."""
    if any(r.p_mcnemar is not None for r in rows):
        return "p (McNemar)"
    return "p (t)" if any(r.p_t is not None for r in rows) else ""


def _exact(row: Difference) -> str:
    p = row.p_mcnemar if row.p_mcnemar is not None else row.p_t
    return "-" if p is None else p_text(p)


def p_text(p: float, least: float = 0.0) -> str:
    """A p-value wherever one is printed, never below the true one.

    Four decimals rounded up, and two digits below 0.0001; with ``<=`` and without closing zeros
    where the number of swaps allows no smaller p than ``least``.
    """
    if math.isnan(p):
        return "-"
    if p <= least * (1 + CLOSE) and 0 < least < 1:
        shown = _up(least)
        return f"<={shown if 'e' in shown else shown.rstrip('0')}"
    return f"<={LEAST:.0e}" if p < LEAST else _up(p)


def _up(p: float) -> str:
    exact = Decimal(p * (1 - CLOSE))
    digits = Context(prec=2, rounding=ROUND_CEILING).plus(exact)
    if digits < Decimal("0.0001"):
        return f"{float(digits):.1e}"
    return str(exact.quantize(Decimal("0.0001"), ROUND_CEILING))
