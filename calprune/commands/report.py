"""``calprune report``: one HTML file that says everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calprune.commands.modes import given, reading
from calprune.commands.options import (
    AnswerSetOption,
    CalibrateOption,
    CommonOption,
    ConfidenceOption,
    CorrectionOption,
    DataOption,
    DrawSeedOption,
    DrawsOption,
    EachSeedOption,
    FoldsOption,
    IntervalOption,
    LabelsOption,
    MetricOption,
    MixedNumericsOption,
    OnlyBenchOption,
    OnlyModelOption,
    PermutationsOption,
    ResampleOption,
    StoreOption,
    TargetOption,
    VerbalizersOption,
    listed,
)
from calprune.errors import PlanError

EPILOG = (
    "Examples:  calprune report  ·  calprune report --out study.html --against full  ·  calprune "
    "report --bench pope --by split --metric ece,accuracy,aurc  ·  calprune report --study "
    "calibration  ·  calprune report --study calibration --format latex"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=reading("report"), epilog=EPILOG)(report)


def report(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    metric: MetricOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="{names of groupings}, or a tag of the files.  [default: splits, if there are "
            "several]"
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Compare all with this condition.  [default: full, if there is one]"),
    ] = None,
    study: Annotated[
        str, typer.Option(help="Its published tables beside ours; see 'calprune ls studies'.")
    ] = "",
    published: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV of further published numbers: study,table,row,column,value; may be repeated."
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(help="html, or the study's tables as one of {names of formats}.")
    ] = "html",
    questions: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Single questions shown of each condition, the most changed; 0 for none.  "
            "[default: 200, or fewer where there are many conditions]",
        ),
    ] = None,
    thumbnails: Annotated[
        bool | None,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Show small pictures of their images, where these are at hand.  [default: only of "
            "generated benchmarks, as the licence of others may not allow to pass them on]",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    store: StoreOption = None,
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    draws: DrawsOption = 1000,
    seed: DrawSeedOption = 0,
    each_seed: EachSeedOption = False,
    mixed_numerics: MixedNumericsOption = False,
    interval: IntervalOption = "auto",
    resample: ResampleOption = "images",
    correction: CorrectionOption = "holm",
    permutations: PermutationsOption = 10_000,
    common: CommonOption = False,
    answer_set: AnswerSetOption = "offered",
    confidence: ConfidenceOption = "auto",
    verbalizers: VerbalizersOption = None,
    target: TargetOption = "hard",
    calibrate: CalibrateOption = "",
    folds: FoldsOption = 5,
    labels: LabelsOption = None,
) -> None:
    """One HTML file: summary, tables that sort, figures, warnings, provenance. No network."""
    from calprune.analyze.experiments.experiment import experiments
    from calprune.analyze.html_report.page import check_path, page, write_page
    from calprune.analyze.html_report.question_pages import QuestionChoice
    from calprune.analyze.html_report.report_data import collect_data
    from calprune.analyze.labels import read_labels
    from calprune.analyze.options import check_read
    from calprune.analyze.pipeline import PredictionCache
    from calprune.analyze.reproduction import reproduce
    from calprune.analyze.tables.render import check_format, render_study
    from calprune.commands.progress import status
    from calprune.commands.reading import Reader, analysis_options
    from calprune.data.storage.store import store_path

    check_format(format, "html")
    if format == "html":
        check_path(out)
    elif not study:
        raise PlanError(
            f"--format {format} prints a study's tables: name one with --study, or take calprune "
            f"analyze --format {format}"
        )
    if questions == 0 and (thumbnails is not None or data is not None):
        named = "data" if thumbnails is None else "thumbnails"
        raise PlanError(f"--{named} is about single questions, and --questions 0 shows none")
    told = analysis_options(ctx.params)
    if len(listed(confidence)) > 1:
        raise PlanError(
            f"--confidence {confidence}: a report has one definition, beside which it sets the "
            "others; calprune analyze compares those that you name"
        )
    words, reader = read_labels(labels), Reader()
    with status() as tell:
        tables = reader.tables(store_path(store), bench, model, tell)
        check_read(tables, told.predictions, given(ctx))
        cache = PredictionCache()
        found = experiments(tables, cache=cache, labels=words) if tables and study else []
        tell("the study's tables" if study else "")
        again = reproduce(found, study, told, published or ()) if study else []
        if format != "html":
            text = render_study(again, format)
        else:
            content = collect_data(
                tables,
                listed(metric),
                against,
                told,
                strict=bench is not None,
                study=again,
                untrusted=reader.left_out,
                cache=cache,
                labels=words,
                questions=QuestionChoice(questions, thumbnails, data),
                tell=tell,
            )
            text = str(write_page(page(content, tell=tell), out))
    print(text)
    reader.end()
