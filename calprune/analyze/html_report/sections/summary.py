"""What came out: one picture beside a few sentences that are computed."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.html_report.markup import Html, element, items, join
from calprune.analyze.html_report.numbers import (
    UNITS,
    below,
    below_delta,
    centre,
    corrected,
    counted,
    different,
    gap,
    p_value,
    shown,
)
from calprune.analyze.html_report.pictures import Pictures
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.sections.warnings import warnings
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.families import family_title

SENTENCES = 5


def summary(pictures: Pictures) -> Html:
    """A block for each model and benchmark."""
    data = pictures.data
    blocks = [_setting(data, experiment, pictures) for experiment in data.experiments]
    power = items(*data.power, class_="findings") if data.power else None
    folded = element("details", element("summary", "What could have been found"), power)
    caution = element("a", "Before you rely on it", href="#warnings") if warnings(data) else None
    return join(*blocks, folded if data.power else None, element("p", caution))


def _setting(data: ReportData, experiment: Experiment, pictures: Pictures) -> Html:
    rows = data.of(experiment)
    compared = [r for r in data.compared(experiment) if r.group == "all"]
    words = items(*sentences(data, experiment), class_="findings")
    picture = pictures.opening(experiment)
    return element(
        "section",
        element("h3", experiment.title),
        element("div", picture, element("div", words, *_folded(rows, compared)), class_="opening"),
    )


def sentences(data: ReportData, experiment: Experiment) -> list[str]:
    """``SENTENCES`` at most: what there is, two metrics, and what noise alone would show."""
    rows = data.of(experiment)
    compared = [r for r in data.compared(experiment) if r.group == "all"]
    metrics = list(dict.fromkeys(r.metric for r in compared))[:2]
    found = [_size(experiment, rows)]
    found += [_compared(rows, [r for r in compared if r.metric == metric]) for metric in metrics]
    if not compared:
        ranges = [_range(rows, metric) for metric in data.metrics[:2]]
        found += [said for said in ranges if said]
    floor = _floor(rows)
    return [*found, *([floor] if floor else [])][:SENTENCES]


def _size(experiment: Experiment, rows: Sequence[Estimate]) -> str:
    n, images = max(r.n for r in rows), max(r.clusters for r in rows)
    conditions = counted(len(experiment.conditions), "condition")
    return f"{conditions}, {counted(n, 'question')} on {counted(images, 'image')}."


def _compared(rows: Sequence[Estimate], own: Sequence[Difference]) -> str:
    """How many are better and worse than the reference, and by how much at most."""
    first, to = own[0], family_title(own)
    known = [r for r in own if r.delta == r.delta]
    if not known:
        return f"{first.metric.title} is undefined or infinite in every pair."
    apart = [r for r in known if different(r) and centre(r) != 0]
    up = [r for r in apart if centre(r) > 0]
    down = [r for r in apart if centre(r) < 0]
    if first.metric.direction == "neither":
        told = [_most(up, "higher"), _most(down, "lower")]
        none = f"none differs from {to}{_value(rows, own)}"
    else:
        better, worse = (up, down) if first.metric.direction == "higher" else (down, up)
        if first.metric.direction == "nearer 0":
            better = [r for r in apart if abs(r.value) < abs(r.reference_value)]
            worse = [r for r in apart if abs(r.value) >= abs(r.reference_value)]
        told = [_most(better, "better"), _most(worse, "worse")]
        none = f"none is better than {to}{_value(rows, own)}"
        if better:
            none = ""
    parts = [none] if none and not (told[0] and first.metric.direction == "neither") else []
    if not parts:
        parts = [f"against {to}{_value(rows, own)}"]
    parts += [said for said in told if said]
    alike = len(known) - len(apart)
    if alike:
        which = "all" if alike == len(known) else str(alike)
        if len(known) == 1:
            parts.append("the test does not tell it apart")
        else:
            parts.append(f"the test does not tell {which} of {len(known)} apart")
    title = first.metric.title
    return f"{title[:1].upper()}{title[1:]}: {'; '.join(parts)} ({corrected(first)} at 0.05)."


def _most(rows: Sequence[Difference], word: str) -> str:
    """How many are so, and the largest difference; several where they look the same."""
    if not rows:
        return ""
    sizes = [_delta(r) for r in rows]
    at = max(range(len(rows)), key=lambda i: abs(centre(rows[i])))
    first = rows[at]
    same = [r for r, size in zip(rows, sizes, strict=True) if size == sizes[at]]
    who = " and ".join(r.condition.shown_title for r in same[:2])
    who += f" and {len(same) - 2} more" * (len(same) > 2)
    if len(rows) == 1:
        return f"{who} is {word}, {sizes[at]} {_interval(first)}, {_p(first)}"
    ends = f" {_interval(first)}, {_p(first)}" if len(same) == 1 else ""
    return f"{len(rows)} are {word}, by most {who}, {sizes[at]}{ends}"


def _p(row: Difference) -> str:
    said = p_value(row.p_adjusted, row)
    return f"p {said}" if said[0] in "<≤" else f"p = {said}"


def _interval(row: Difference) -> str:
    """That of a difference, with the value it belongs to."""
    ends = below_delta(row)
    return f"(de-biased {ends})" if row.interval_of.endswith("debiased") else ends


def _delta(row: Difference) -> str:
    unit = gap(row.metric.unit)
    return f"{shown(row.delta, unit, signed=True)}{UNITS[unit]}"


def _folded(rows: Sequence[Estimate], compared: Sequence[Difference]) -> list[Html]:
    """Of each metric every condition that differs, and those that do not, behind a heading."""
    found = []
    for metric in dict.fromkeys(r.metric for r in compared):
        own = [r for r in compared if r.metric == metric]
        differing = [_against(r) for r in own if different(r)]
        listed = items(_reference(rows, own), *differing, _alike(own), class_="findings")
        heading = f"Each condition against {family_title(own)}: {own[0].metric.title}"
        found.append(element("details", element("summary", heading), listed))
    return found


def _number(value: float, row: Estimate | Difference) -> str:
    return shown(value, row.metric.unit) + UNITS[row.metric.unit]


def _own(rows: Sequence[Estimate], row: Difference) -> Estimate | None:
    """The estimate of a row's reference."""
    wanted = (row.reference, row.metric)
    return next((r for r in rows if (r.condition, r.metric) == wanted), None)


def _value(rows: Sequence[Estimate], own: Sequence[Difference]) -> str:
    """What the reference itself scores, in brackets; nothing where there are several."""
    if len({r.reference for r in own}) > 1:
        return ""
    found = _own(rows, own[0])
    interval = f", {_of(found)}" if found is not None and _of(found) else ""
    return f" ({_number(own[0].reference_value, own[0])}{interval})"


def _reference(rows: Sequence[Estimate], own: Sequence[Difference]) -> str:
    """What the reference itself scores, and what is better."""
    direction = own[0].metric.direction
    better = "" if direction == "neither" else f"; {direction} is better"
    return f"Reference: {family_title(own)}{_value(rows, own)}{better}."


def _of(row: Estimate) -> str:
    """Its interval, with the value it belongs to."""
    return f"de-biased {below(row)}" if row.interval_of == "debiased" else below(row)


def _against(row: Difference) -> str:
    """One difference with everything needed to believe it."""
    return (
        f"{row.condition.shown_title}: {_number(row.value, row)}, {_delta(row)} {_interval(row)}, "
        f"{corrected(row)} {p_value(row.p_adjusted, row)}."
    ).replace(" ,", ",")


def _alike(own: Sequence[Difference]) -> str | None:
    """Which conditions nothing tells from the reference."""
    alike = [r.condition.shown_title for r in own if not different(r)]
    if not alike:
        return None
    test = f"{corrected(own[0])} above 0.05, {counted(own[0].family, 'comparison')}"
    return f"Not distinguishable from {family_title(own)} ({test}): {', '.join(alike)}."


def _range(rows: Sequence[Estimate], metric: str) -> str | None:
    """Without comparisons: the span of a metric, with no claim about who is better."""
    own = sorted((r for r in rows if r.metric.spec == metric), key=lambda r: r.value)
    if not own or own[0].value != own[0].value:
        return None
    title = own[0].metric.title
    if len(own) == 1:
        return f"{title} is {_number(own[0].value, own[0])} ({_of(own[0])}).".replace(" ()", "")
    low, high = own[0], own[-1]
    return (
        f"{title} runs from {_number(low.value, low)} ({low.condition.shown_title}) to "
        f"{_number(high.value, high)} ({high.condition.shown_title})."
    )


def _floor(rows: Sequence[Estimate]) -> str | None:
    """What perfect calibration would look like with so few questions."""
    found = []
    for title in dict.fromkeys(r.metric.title for r in rows if r.ece_if_calibrated is not None):
        floors = [
            r.ece_if_calibrated
            for r in rows
            if r.ece_if_calibrated is not None and r.metric.title == title
        ]
        low, high = shown(min(floors), "plain"), shown(max(floors), "plain")
        found.append(f"{title} of {low}" + f" to {high}" * (low != high))
    if not found:
        return None
    return (
        "Noise floor: with so many questions and images even a perfectly calibrated model would "
        f"show an {', '.join(found)}."
    )
