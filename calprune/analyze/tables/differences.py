"""Differences to a reference: a table for each family of comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from calprune.analyze.results.accuracy_tests import TESTS, PairedTest
from calprune.analyze.results.best import Best, Place, place_of
from calprune.analyze.results.compare import Difference
from calprune.analyze.statistics.multiple_testing import LEVEL
from calprune.analyze.tables.families import (
    conditions_of,
    families,
    family_name,
    place,
    reference_name,
)
from calprune.analyze.tables.notes import (
    BY_RUNS,
    ONE_IMAGE,
    PAIRED,
    PERMUTED,
    brackets,
    few_images,
    of_replies,
    questions_on,
    shared,
    too_few,
    unusual_intervals,
    what_decided,
    with_reason,
    within_parts,
)
from calprune.analyze.tables.numbers import (
    CORRECTED,
    corrected_heading,
    gap_unit,
    heading,
    number,
    of_what,
    p_printed,
    p_text,
)
from calprune.analyze.tables.text_table import TextTable


def difference_tables(
    rows: Sequence[Difference], best: Mapping[Place, Best] | None = None
) -> list[TextTable]:
    """One table per model, benchmark, metric and group: exactly one family each.

    Args:
        rows: of ``compare``.
        best: which are best, bold in print; see ``best_of``.
    """
    return [_family(own, (best or {}).get(place_of(own[0]))) for own in families(rows)]


def _family(rows: Sequence[Difference], best: Best | None) -> TextTable:
    r = rows[0]
    title = f"{place(r)}: {r.metric.title} against {family_name(rows)}"
    corrected = corrected_heading(r.correction)
    gap = heading(of_what("difference", r.interval_of), gap_unit(r.metric.unit))
    extra = [t for t in TESTS if any(row.accuracy_tests.p(t) is not None for row in rows)]
    columns = (
        heading(r.metric.title, r.metric.unit),
        reference_name(rows),
        gap,
        "p",
        corrected,
        *(test.heading for test in extra),
    )
    body = [
        (
            row.condition.shown,
            number(row.value, row.metric.unit),
            number(row.reference_value, row.metric.unit),
            with_reason(
                row.delta,
                row.delta_debiased,
                (row.low, row.high),
                row.interval_of,
                row.metric.unit,
                row.defined,
                row.outside,
                signed=True,
            ),
            p_text(row.p, row.p_least),
            p_text(row.p_adjusted, row.p_least),
            *(_if_any(row.accuracy_tests.p(test)) for test in extra),
        )
        for row in rows
    ]
    in_print = {
        (i, 4 + j): p_printed(p, least)
        for i, row in enumerate(rows)
        for j, (p, least) in enumerate(
            [(row.p, row.p_least), (row.p_adjusted, row.p_least)]
            + [(math.nan if x is None else x, 0.0) for x in map(row.accuracy_tests.p, extra)]
        )
    }
    names = frozenset() if best is None else best.names
    return TextTable(
        title,
        ("condition", *columns),
        tuple(body),
        _notes(rows, corrected, extra),
        conditions_of(rows),
        in_print,
        frozenset(
            (i, j)
            for i, row in enumerate(rows)
            for j, name in ((1, row.condition.name), (2, row.reference.name))
            if name in names
        ),
        () if best is None else (_what_is_bold(rows, best),),
    )


def _if_any(p: float | None) -> str:
    return "-" if p is None else p_text(p)


def _what_is_bold(rows: Sequence[Difference], best: Best) -> str:
    """What a paper says of bold numbers, or why there are none."""
    r = rows[0]
    if r.metric.direction == "neither":
        return f"nothing is bold: no value of {r.metric.title} is better than another"
    many = "s" * (best.comparisons != 1)
    within = ", each reference with those compared to it" * (len({x.reference for x in rows}) > 1)
    how = (
        f"paired permutation test against the best value, {CORRECTED[r.correction]} over "
        f"{best.comparisons} comparison{many}, {100 * LEVEL:.0f} %{within}"
    )
    if not best.names:
        return f"nothing is bold: no condition is significantly worse than the best ({how})"
    return f"bold: the best, and what is not significantly worse ({how})"


def disagreement(rows: Sequence[Difference]) -> list[str]:
    """Where the interval and the permutation test say different things, in one line."""
    odd = [
        f"{r.condition.shown} (p {p_text(r.p, r.p_least)}, "
        f"interval {'with' if holds else 'without'} 0)"
        for r in rows
        if r.low is not None and r.high is not None
        for holds in [r.low <= 0 <= r.high]
        if (r.p <= LEVEL) == holds
    ]
    if not odd:
        return []
    return [f"interval and uncorrected p disagree, the test decides: {', '.join(odd)}"]


def _notes(
    rows: Sequence[Difference], corrected: str, extra: Sequence[PairedTest]
) -> tuple[str, ...]:
    """Under a family of comparisons: intervals, test, correction, and where two disagree."""
    r = rows[0]
    times = f"in all {r.permutations} ways" if r.all_permutations else f"{r.permutations} times"
    by_runs = any(row.by_runs for row in rows)
    few = too_few(max(row.p_least for row in rows), r.family)
    drawn = next((row for row in rows if row.low is not None), None)
    kind = "" if drawn is None else brackets(drawn.interval_of)
    return (
        f"{questions_on(r)}; {r.metric.direction} is better",
        *([f"{kind} {PAIRED}, {r.draws} resamples of {r.resampled}"] if kind else ()),
        *([ONE_IMAGE] if r.resampled == "images" and r.clusters == 1 < r.n else ()),
        *unusual_intervals(rows),
        f"p: paired permutation test, conditions exchanged on {PERMUTED[r.resampled]}, {times}, "
        "two-sided" + BY_RUNS * by_runs + f"; {corrected}: corrected for {r.family} comparisons",
        *disagreement(rows),
        *few_images(rows),
        *(f"{test.heading}: {test.note(r.resampled)}, not corrected" for test in extra),
        *([few] if few and r.correction == "holm" else ()),
        *shared(r),
        *within_parts([r]),
        *what_decided([r]),
        *of_replies([r] if r.group == "all" else []),
        str(r.signature),
    )
