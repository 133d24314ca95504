"""What came out, in sentences that are computed."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.html_report.markup import Html, element, items, join
from calprune.analyze.html_report.numbers import (
    UNITS,
    below,
    below_delta,
    corrected,
    counted,
    different,
    gap,
    p_value,
    shown,
)
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.families import family_title

MANY = 8


def summary(data: ReportData) -> Html:
    """A block for each model and benchmark."""
    blocks = [_setting(data, experiment) for experiment in data.experiments]
    power = items(*data.power, class_="findings") if data.power else None
    return join(*blocks, power)


def _setting(data: ReportData, experiment: Experiment) -> Html:
    rows = data.of(experiment)
    compared = [r for r in data.compared(experiment) if r.group == "all"]
    sentences = [_floor(rows)]
    found = []
    for metric in dict.fromkeys(r.metric for r in compared):
        own = [r for r in compared if r.metric == metric]
        found.append(element("h4", own[0].metric.title))
        found.append(items(_reference(rows, own), *_extremes(own), _alike(own), class_="findings"))
    if not compared:
        sentences += [_range(rows, metric) for metric in data.metrics]
    n, images = max(r.n for r in rows), max(r.clusters for r in rows)
    size = f"{counted(len(experiment.conditions), 'condition')}, {counted(n, 'question')} on "
    size += counted(images, "image")
    return element(
        "section",
        element("h3", experiment.title),
        element("p", size, class_="lead"),
        *found,
        items(*sentences, class_="findings") if any(sentences) else None,
    )


def _number(value: float, row: Estimate | Difference) -> str:
    return shown(value, row.metric.unit) + UNITS[row.metric.unit]


def _reference(rows: Sequence[Estimate], own: Sequence[Difference]) -> str:
    """What the reference itself scores."""
    first, better = own[0], f"{own[0].metric.direction} is better."
    if len({r.reference for r in own}) > 1:
        return f"Reference: {family_title(own)}; {better}"
    found = next(
        (r for r in rows if (r.condition, r.metric) == (first.reference, first.metric)), None
    )
    interval = f" {_of(found)}" if found else ""
    value = f"{_number(first.reference_value, first)}{interval}".rstrip()
    return f"Reference: {first.reference.title}, {value}; {better}"


def _of(row: Estimate) -> str:
    """Its interval, with the value it belongs to."""
    return f"(de-biased {below(row)})" if row.interval_of == "debiased" else below(row)


def _extremes(own: Sequence[Difference]) -> list[str]:
    """The best and the worst condition, each against the reference."""
    known = [r for r in own if r.delta == r.delta]
    if not known:
        return [f"{own[0].metric.title} is undefined or infinite in every pair."]
    ordered = sorted(known, key=lambda r: r.delta, reverse=own[0].metric.direction == "higher")
    if len(ordered) == 1:
        return [_against("The other condition", ordered[0])]
    return [_against("Best", ordered[0]), _against("Worst", ordered[-1])]


def _against(who: str, row: Difference) -> str:
    """One difference with everything needed to believe it."""
    unit = gap(row.metric.unit)
    delta = f"{shown(row.delta, unit, signed=True)}{UNITS[unit]}"
    interval = below_delta(row)
    interval = f"(de-biased {interval})" if row.interval_of.endswith("debiased") else interval
    verdict = "" if different(row) else ", which chance alone may explain"
    return (
        f"{who}: {row.condition.title}, {_number(row.value, row)}; against "
        f"{row.reference.title} {delta} {interval}, {corrected(row)} {p_value(row.p_adjusted, row)}"
        f"{verdict}."
    ).replace(" ,", ",")


def _alike(own: Sequence[Difference]) -> str:
    """Which conditions nothing tells from the reference."""
    alike = [r.condition.title for r in own if not different(r)]
    test = f"{corrected(own[0])} above 0.05, {counted(own[0].family, 'comparison')}"
    if not alike:
        which = "the condition" if len(own) == 1 else f"each of the {len(own)} conditions"
        family = counted(own[0].family, "comparison")
        return f"The test tells {which} from {family_title(own)} ({family})."
    listed = ", ".join(alike[:MANY]) + f" and {len(alike) - MANY} more" * (len(alike) > MANY)
    return (
        f"Not distinguishable from {family_title(own)} ({test}): {len(alike)} of {len(own)}, "
        f"namely {listed}."
    )


def _range(rows: Sequence[Estimate], metric: str) -> str | None:
    """Without comparisons: the span of a metric, with no claim about who is better."""
    own = sorted((r for r in rows if r.metric.spec == metric), key=lambda r: r.value)
    if not own or own[0].value != own[0].value:
        return None
    if len(own) == 1:
        return (
            f"{own[0].metric.title} is {_number(own[0].value, own[0])} {_of(own[0])}".rstrip() + "."
        )
    low, high = own[0], own[-1]
    return (
        f"{low.metric.title} runs from {_number(low.value, low)} ({low.condition.title}) to "
        f"{_number(high.value, high)} ({high.condition.title})."
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
