"""``calprune rows``: single questions, and how their answers and confidence moved."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer

from calprune.commands.benchmarks import only_benchmarks
from calprune.commands.modes import given, reading
from calprune.commands.options import (
    AnswerSetOption,
    CalibrateOption,
    ConfidenceOption,
    DataOption,
    FoldsOption,
    MixedNumericsOption,
    OnlyBenchOption,
    OnlyKeepOption,
    OnlyModelOption,
    OnlySelectOption,
    StoresOption,
    TargetOption,
    UntrustedOption,
    VerbalizersOption,
)
from calprune.errors import PlanError

EPILOG = (
    "Examples:  calprune rows --store sample  ·  calprune rows --flips --select scope:alpha=0 "
    "--keep 64 --by split --top 5  ·  calprune rows --confident-errors --confidence raw  ·  "
    "calprune rows --changed --format csv --out changed.csv"
)
PRINTED = ("table", "md", "latex")
ALL_ROWS = ("csv", "json", "parquet")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=reading("rows"), epilog=EPILOG)(rows)


def rows(
    ctx: typer.Context,
    against: Annotated[
        str, typer.Option(help="The reference: full, or scope:alpha=1 of the same budget.")
    ] = "full",
    changed: Annotated[
        bool, typer.Option("--changed", help="Only another answer than under the reference.")
    ] = False,
    flips: Annotated[
        bool, typer.Option("--flips", help="Only right before and wrong now, or the reverse.")
    ] = False,
    confident_errors: Annotated[
        bool,
        typer.Option("--confident-errors", help="Only wrong answers, most confident first."),
    ] = False,
    select: OnlySelectOption = None,
    keep: OnlyKeepOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="The first rows of each {names of groupings}, or tag of the files; split,category "
            "for groups of both."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows printed of each table.")] = 50,
    format: Annotated[
        str,
        typer.Option(help="table, md or latex of the first rows; csv, json or parquet of all."),
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(help="File for all rows; parquet needs one.  [default: stdout]")
    ] = None,
    store: StoresOption = None,
    untrusted: UntrustedOption = False,
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    data: DataOption = None,
    mixed_numerics: MixedNumericsOption = False,
    answer_set: AnswerSetOption = "offered",
    confidence: ConfidenceOption = "auto",
    verbalizers: VerbalizersOption = None,
    calibrate: CalibrateOption = "",
    folds: FoldsOption = 5,
    target: TargetOption = "hard",
) -> None:
    """Single questions: image, options, label, answer and confidence before and after pruning.

    Those whose confidence moved most from the reference come first; it is read whether or not it
    is among those selected. Each row is of one run: seeds
    are not averaged. Texts of questions come from the benchmark where it is at hand.
    """
    from calprune import registry
    from calprune.analyze.confidence_definition import reads_replies
    from calprune.analyze.experiments.graded import graded
    from calprune.analyze.options import check_read
    from calprune.analyze.results.row_listing import RowListing
    from calprune.analyze.results.rows import RowChoice
    from calprune.analyze.tables.question_rows import (
        as_parquet,
        csv_lines,
        json_lines,
        question_tables,
    )
    from calprune.analyze.tables.render import render_tables
    from calprune.commands.progress import status
    from calprune.commands.reading import Reader, analysis_options
    from calprune.data.storage.publishing import replace_all

    if format not in (*PRINTED, *ALL_ROWS):
        raise PlanError(registry.unknown("format", format, (*PRINTED, *ALL_ROWS)))
    if format == "parquet" and out is None:
        raise PlanError("--format parquet writes a file: name it with --out rows.parquet")
    if out is not None and out.is_dir():
        raise PlanError(f"--out {out} is a folder: name a file in it, {out}/rows.{format}")
    if "," in confidence:
        raise PlanError(f"--confidence {confidence}: rows have one definition of confidence")
    told = analysis_options(ctx.params)
    choice = RowChoice(changed, flips, confident_errors)
    reader = Reader()
    with status() as tell:
        tables = reader.tables(store, only_benchmarks(bench), model, tell)
        if bench is None and reads_replies(told.predictions.confidence):
            tables = list(graded(tables))
        check_read(tables, told.predictions, given(ctx))
        blocks = RowListing(against, choice, told, tuple(select or ()), keep, data).of(tables)
        if format in PRINTED:
            tell("looking at single questions")
            text = render_tables(question_tables(blocks, choice, told.by, top), format)
    if format in PRINTED:
        print(text or "no such row")
    else:
        meta = {"against": against, "confidence": told.predictions.confidence}
        pieces: Iterable[str] = ()
        if format == "csv":
            pieces = csv_lines(blocks)
        elif format == "json":
            pieces = json_lines(blocks, meta)
        if out is None:
            sys.stdout.writelines(pieces)
        else:
            whole = BytesIO()  # written whole or not at all
            whole.writelines(piece.encode() for piece in pieces)
            content = as_parquet(blocks) if format == "parquet" else whole.getvalue()
            replace_all({out: content}, "the rows")
    reader.end()
