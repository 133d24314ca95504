"""Warnings: what a careful reader would ask about these numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.html_report.markup import Html, element, items, join
from calprune.analyze.html_report.numbers import counted, shown
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.families import conditions_of
from calprune.analyze.tables.notes import few_errors, few_images, shared
from calprune.analyze.tables.text_table import for_people


def warnings(data: ReportData) -> Html | None:
    """A list; None if there is nothing to warn of."""
    found: list[str] = [*_mixed(data), *_missing(data)]
    for experiment in data.experiments:
        rows = data.of(experiment)
        where = element("strong", f"{experiment.title}:")
        found += [join(where, f"{note}.", by=" ") for note in experiment.notes]
        for warning in WARNINGS:
            said = warning(rows)
            if said:
                found.append(join(where, said, by=" "))
    return items(*found, class_="warnings") if found else None


def _shared(rows: Sequence[Estimate]) -> str | None:
    """Questions about one image are not independent."""
    n, images = max(r.n for r in rows), max(r.clusters for r in rows)
    if rows[0].resampled == "questions":
        return f"{shared(rows[0])[0]}."
    if n <= images:
        return None
    low, high = (f"{f(r.design_effect for r in rows):.1f}" for f in (min, max))
    return (
        f"{counted(n, 'question')} share {counted(images, 'image')}, so they are not independent. "
        f"The design effect is {low if low == high else f'{low} to {high}'}: "
        f"intervals and tests resample whole images, and intervals that resample questions would "
        f"be too narrow."
    )


def _few(rows: Sequence[Estimate]) -> str | None:
    if min(r.clusters for r in rows) == 1:
        return "a single image: nothing can be resampled, so there are no intervals."
    said = few_images(rows)
    return f"{said[0]}." if said else None


def _few_errors(rows: Sequence[Estimate]) -> str | None:
    """Ranking metrics rest on the wrong rows alone."""
    said = few_errors(rows)
    told = conditions_of(rows)
    return f"{for_people(said[0], told)}." if said else None


def _ties(rows: Sequence[Estimate]) -> str | None:
    most = max(rows, key=lambda r: r.ties)
    if not most.ties:
        return None
    return (
        f"up to {counted(most.ties, 'question')} (in {most.condition.title}) have several equally "
        f"likely answers; the first of them counts as the prediction."
    )


def _near_floor(rows: Sequence[Estimate]) -> str | None:
    """ECE that noise alone would explain."""
    near = [
        r.condition.title
        for r in rows
        if r.ece_if_calibrated is not None and r.value < 2 * r.ece_if_calibrated
    ]
    near = list(dict.fromkeys(near))
    if not near:
        return None
    return (
        f"a calibration error of {', '.join(near)} is less than twice its noise floor: read the "
        "de-biased value, whose interval allows for that, and judge conditions by paired tests."
    )


def _infinite(rows: Sequence[Estimate]) -> str | None:
    who = [r.condition.title for r in rows if r.metric.spec == "nll" and math.isinf(r.value)]
    if not who:
        return None
    return (
        f"NLL is infinite in {', '.join(who)}: a right answer is not among those that count, or "
        f"has no probability at all."
    )


def _left_out(rows: Sequence[Estimate]) -> str | None:
    out = max(r.left_out for r in rows)
    mixture = max(r.replies for r in rows), max(r.n for r in rows)
    said = []
    if out:
        said.append(f"{counted(out, 'question')} without answers to choose from are left out")
    if 0 < mixture[0] < mixture[1]:
        said.append(
            f"confidence is that of a generated reply in {counted(mixture[0], 'question')} and "
            f"that of the answer set in the others"
        )
    return "; ".join(said) + "." if said else None


def _seeds(rows: Sequence[Estimate]) -> str | None:
    """A random selector is a sample of its own draws."""
    spread = [r for r in rows if r.seed_sd is not None and r.metric.spec == "ece"]
    if not spread:
        return None
    listed = ", ".join(
        f"{c.title} {shown(r.seed_sd or 0.0, r.metric.unit)} over {len(c.seeds)}"
        for r in spread
        for c in [r.condition]
    )
    return (
        f"values are means over seeds where there are several; intervals hold for these seeds "
        f"only. Standard deviation of ECE over seeds: {listed}."
    )


def _mixed(data: ReportData) -> list[str]:
    """Conditions that are not like the others."""
    found = []
    if data.untrusted:
        found.append(
            f"Left out, because these files cannot be trusted: {', '.join(data.untrusted)}. "
            f"calprune verify says why."
        )
    if data.unlike:
        found.append(
            f"Not compared, because they were computed with other numerics (device, kernels, "
            f"route or versions): {', '.join(data.unlike)}. --mixed-numerics compares them."
        )
    if data.ungraded:
        found.append(
            f"Left out, because their replies have no grades yet: {', '.join(data.ungraded)}."
        )
    if data.lacking and data.differences:
        found.append(
            f"Without comparisons, as they have no condition {data.against}: "
            f"{', '.join(data.lacking)}."
        )
    elif data.lacking:
        found.append(f"Nothing is compared: no condition is called {data.against}.")
    asked = {(s.model, s.benchmark) for s in data.experiments}
    plain = {
        (c.benchmark, c.model)
        for c in (s.conditions[0].tables[0].condition for s in data.experiments)
    }
    if len(plain) < len(asked):
        found.append(
            "The cache holds several ways of asking the same questions (picture, template, "
            "precision or version of the questions); each has tables of its own, and none is "
            "compared across them."
        )
    return found


def _missing(data: ReportData) -> list[str]:
    """Conditions that only some benchmarks of a model have."""
    found = []
    for model in dict.fromkeys(s.model for s in data.experiments):
        own = [s for s in data.experiments if s.model == model]
        everything = dict.fromkeys(runs.title for s in own for runs in s.conditions)
        for s in own:
            lacks = [name for name in everything if name not in _names(s)]
            if lacks:
                found.append(
                    f"{s.title} lacks conditions that the same model has on another "
                    f"benchmark: {', '.join(lacks)}."
                )
    return found


def _names(experiment: Experiment) -> set[str]:
    return {runs.title for runs in experiment.conditions}


WARNINGS = (_shared, _few, _few_errors, _ties, _near_floor, _infinite, _left_out, _seeds)
