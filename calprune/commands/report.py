"""``calprune report``: one HTML file that says everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calprune.commands.benchmarks import only_benchmarks
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
    FontSizeOption,
    FormatsOption,
    IntervalOption,
    LabelsOption,
    MetricOption,
    MixedNumericsOption,
    OnlyBenchOption,
    OnlyKeepOption,
    OnlyModelOption,
    OnlySelectOption,
    PermutationsOption,
    ResampleOption,
    StoresOption,
    TargetOption,
    TitledOption,
    UntrustedOption,
    VerbalizersOption,
    WidthOption,
    listed,
)
from calprune.errors import PlanError

EPILOG = (
    "Examples:  calprune report  ·  calprune report --out study.html --against full  ·  "
    "calprune report --bench pope,mme --by split --metric ece,accuracy,aurc  ·  calprune "
    "report --select full --select scope --keep 64  ·  calprune report --study calibration  ·  "
    "calprune report --study calibration --format latex  ·  calprune report --study "
    "calibration --plot figures --width page --formats pdf  ·  "
    "calprune report --bench pope --questions 500 --thumbnails"
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
            help="{names of groupings}, or a tag of the files; split,category for groups of both.  "
            "[default: splits, if there are several]"
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
    plot: Annotated[
        Path | None, typer.Option(help="Folder for the study's own figures and their numbers.")
    ] = None,
    formats: FormatsOption = None,
    width: WidthOption = None,
    font_size: FontSizeOption = None,
    titled: TitledOption = False,
    store: StoresOption = None,
    untrusted: UntrustedOption = False,
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    select: OnlySelectOption = None,
    keep: OnlyKeepOption = None,
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
    from calprune.analyze.figures import look
    from calprune.analyze.html_report.page import check_path, page, write_page
    from calprune.analyze.html_report.pictures import ROOM
    from calprune.analyze.html_report.question_pages import QuestionChoice
    from calprune.analyze.html_report.report_data import collect_data
    from calprune.analyze.labels import read_labels
    from calprune.analyze.options import check_read
    from calprune.analyze.pipeline import PredictionCache
    from calprune.analyze.reproduction import reproduce
    from calprune.analyze.reproduction.figures import figures_of, pictures_of, write_figures
    from calprune.analyze.tables.render import check_format, render_study
    from calprune.commands.progress import status
    from calprune.commands.reading import Reader, analysis_options

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
    if plot is not None and (plot.suffix or plot.is_file()):
        raise PlanError(f"figures go to a folder, and {plot} names a file")
    how = look(width, font_size, listed(formats), titled)
    told = analysis_options(ctx.params)
    if len(listed(confidence)) > 1:
        raise PlanError(
            f"--confidence {confidence}: a report has one definition, beside which it sets the "
            "others; calprune analyze compares those that you name"
        )
    words, reader = read_labels(labels), Reader()
    with status() as tell:
        tables = reader.tables(
            store,
            only_benchmarks(bench),
            model,
            tell,
            select=select,
            keep=keep,
            against=against,
        )
        check_read(tables, told.predictions, given(ctx))
        cache = PredictionCache()
        found = experiments(tables, cache=cache, labels=words) if tables and study else []
        tell("the study's tables" if study else "")
        again = reproduce(found, study, told, published or ()) if study else []
        shown = figures_of(study, again) if study and (plot or format == "html") else []
        if plot is not None:
            tell("the study's figures")
            write_figures(shown, plot, told, how)
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
                pictures=pictures_of(shown, told, ROOM),
                untrusted=reader.left_out,
                cache=cache,
                labels=words,
                questions=QuestionChoice(questions, thumbnails, data),
                tell=tell,
            )
            text = str(write_page(page(content, tell=tell), out))
    print(text)
    reader.end()
