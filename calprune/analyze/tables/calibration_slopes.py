"""Tables of Cox's slope and intercepts, and of their differences to a reference."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.results.calibration_slope import INFO, CalibrationSlope
from calprune.analyze.results.calibration_slope_difference import CalibrationSlopeDifference
from calprune.analyze.statistics.calibration_slope import FEW_CLUSTERS, QUANTITIES
from calprune.analyze.tables.families import (
    conditions_of,
    family_name,
    place,
    reference_name,
    unique,
)
from calprune.analyze.tables.notes import UNRELIABLE, few_errors, of_replies, questions_on
from calprune.analyze.tables.numbers import (
    corrected_heading,
    number,
    p_printed,
    p_text,
    with_interval,
)
from calprune.analyze.tables.text_table import TextTable

Row = CalibrationSlope | CalibrationSlopeDifference

IDEAL = (
    "calibrated: slope 1, in the large 0, intercept 0; a slope below 1: confidences lie too far "
    "from one half, as by a temperature too low; in the large (the intercept at slope 1) below 0: "
    "too sure on the whole"
)


def calibration_slope_tables(rows: Sequence[CalibrationSlope]) -> list[TextTable]:
    """One table per model, benchmark, definition of confidence and group."""
    piles: dict[tuple[str, ...], list[CalibrationSlope]] = {}
    for r in rows:
        piles.setdefault((r.condition.place, r.definition, r.group), []).append(r)
    several = len({r.definition for r in rows}) > 1
    return [_conditions(own, several) for own in piles.values()]


def _conditions(rows: Sequence[CalibrationSlope], several: bool) -> TextTable:
    body = []
    for condition in dict.fromkeys(r.condition for r in rows):
        own = {r.metric.spec: r for r in rows if r.condition == condition}
        first = own["slope"]
        cells = [_cell(own[q].value, own[q]) for q in QUANTITIES]
        body.append((condition.shown, *cells, str(first.n), str(first.clusters)))
    r = rows[0]
    few = few_errors([r for r in rows if r.metric.spec == "slope"]) if r.group == "all" else []
    notes = [*_notes(rows), IDEAL, *few, *_seeds(rows)]
    unit = "distinct" if r.resampled == "questions" else "images"
    header = ("condition", *(INFO[q].title for q in QUANTITIES), "n", unit)
    title, people = _title(r, "calibration slope", several), conditions_of(rows)
    return TextTable(title, header, tuple(body), (*notes, *_signatures(rows)), people)


def calibration_slope_difference_tables(
    rows: Sequence[CalibrationSlopeDifference],
) -> list[TextTable]:
    """One table per model, benchmark, definition, group and number: exactly one family each."""
    families: dict[tuple[str, ...], list[CalibrationSlopeDifference]] = {}
    for r in rows:
        families.setdefault((r.condition.place, r.definition, r.group, r.metric.spec), []).append(r)
    several = len({r.definition for r in rows}) > 1
    return [_family(own, several) for own in families.values()]


def _family(rows: Sequence[CalibrationSlopeDifference], several: bool) -> TextTable:
    r = rows[0]
    corrected = corrected_heading(r.correction)
    body = [
        (
            row.condition.shown,
            number(row.value, "plain"),
            number(row.reference_value, "plain"),
            _cell(row.delta, row, signed=True),
            *("-" if p is None else p_text(p) for p in (row.p, row.p_adjusted)),
        )
        for row in rows
    ]
    title = _title(r, f"calibration {r.metric.title} against {family_name(rows)}", several)
    notes = [
        *_notes(rows),
        f"p: t-test of the interaction with the condition, two-sided; {corrected}: corrected for "
        f"{r.family} comparison{'s' * (r.family > 1)}",
    ]
    people = conditions_of(rows)
    header = ("condition", r.metric.title, reference_name(rows), "difference", "p", corrected)
    in_print = {
        (i, 4 + j): p_printed(p)
        for i, row in enumerate(rows)
        for j, p in enumerate((row.p, row.p_adjusted))
        if p is not None
    }
    return TextTable(title, header, tuple(body), (*notes, str(r.signature)), people, in_print)


def _title(row: Row, what: str, several: bool) -> str:
    confidence = f", confidence {row.definition}" * several
    return f"{place(row)}: {what}{confidence}"


def _cell(value: float, row: Row, signed: bool = False) -> str:
    """``0.981 [0.862, 1.100]``, or the value, if there is one, and the reason for no interval."""
    shown = with_interval(value, row.low, row.high, "plain", signed)
    return f"{shown} [{row.why}]" if row.why else shown


def _notes(rows: Sequence[Row]) -> list[str]:
    """What holds for estimates and differences alike."""
    r, notes = rows[0], [questions_on(rows[0])]
    if any(row.low is not None for row in rows):
        notes.append(
            f"[low, high]: 95 % interval, errors clustered by {_UNITS[r.resampled]}, t with "
            f"{r.freedom} degrees of freedom"
        )
        if r.freedom < FEW_CLUSTERS - 1:
            notes.append(
                f"{r.clusters} {r.resampled}: intervals {UNRELIABLE} and p too low, as "
                f"clustered errors come out too small below {FEW_CLUSTERS}"
            )
        notes += _TOO_SMALL.get(r.resampled, [])
    clipped = {row.condition.name: row.clipped for row in rows if row.clipped}
    if clipped:
        listed = ", ".join(f"{name} {count}" for name, count in clipped.items())
        notes.append(
            "confidences of exactly 0 or 1 are taken as the next number (log-odds -744.4 and "
            f"36.7), and few of them can decide the slope: {listed}"
        )
    if any("target:soft" in str(row.signature) for row in rows):
        notes.append("replies count by their score: a fractional logit")
    return notes + of_replies([r] if r.group == "all" else [])


_UNITS = {"images": "image", "questions": "question", "rows": "row"}
_TOO_SMALL = {
    "questions": ["no image is known: errors are too small if questions share images"],
    "rows": ["rows count as independent: errors are too small if rows share images"],
}


def _seeds(rows: Sequence[CalibrationSlope]) -> list[str]:
    """Standard deviations over seeds."""
    parts = []
    for name in unique([r.condition.name for r in rows if r.seed_sd is not None]):
        own = [r for r in rows if r.condition.name == name and r.seed_sd is not None]
        listed = ", ".join(f"{r.metric.title} {number(r.seed_sd or 0.0, 'plain')}" for r in own)
        parts.append(f"{name}: {listed}")
    return [f"standard deviation over seeds: {'; '.join(parts)}"] if parts else []


def _signatures(rows: Sequence[CalibrationSlope]) -> list[str]:
    """One line for the three numbers, which differ in the first word alone."""
    return [", ".join(INFO) + str(rows[0].signature).removeprefix(rows[0].metric.spec)]
