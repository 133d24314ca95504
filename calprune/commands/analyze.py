"""``calprune analyze``: what the cache says, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calprune.commands.benchmarks import only_benchmarks
from calprune.commands.modes import given, reading, without_figures
from calprune.commands.options import (
    AnswerSetOption,
    CalibrateOption,
    CommonOption,
    CorrectionOption,
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

EPILOG = (
    "Examples:  calprune analyze  ·  calprune analyze --metric ece --by split  ·  calprune "
    "analyze --metric ece --by split,category  ·  calprune analyze --metric ece,brier --against "
    "full --format csv  ·  calprune analyze --select full --select scope:alpha=0,1 --keep 64,128  "
    "·  calprune analyze --plot figures  ·  calprune analyze --bench pope,mme --overview  ·  "
    "calprune analyze --metric ece --against full --format latex  ·  calprune analyze --pareto"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=reading("analyze"), epilog=EPILOG)(analyze)


def analyze(
    ctx: typer.Context,
    metric: MetricOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="{names of groupings}, or a tag of the files; split,category for groups of both."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Compare with full, or scope:alpha=1 of the same budget.")
    ] = None,
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
    power: Annotated[
        bool, typer.Option("--power", help="Which differences these questions could show.")
    ] = False,
    detect: Annotated[
        float | None, typer.Option(help="With --power: images that this difference needs.")
    ] = None,
    trend: Annotated[
        str | None, typer.Option(help="Slopes over a parameter, such as alpha, in each budget.")
    ] = None,
    calibration_slope: Annotated[
        bool,
        typer.Option(
            "--calibration-slope",
            help="Cox's regression of correctness on the log-odds of confidence.",
        ),
    ] = False,
    format: Annotated[str, typer.Option(help="One of {names of formats}.")] = "table",
    overview: Annotated[
        bool, typer.Option("--overview", help="All benchmarks side by side, in percent of full.")
    ] = False,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Tokens, accuracy, ECE, and who is on the front.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Folder for figures and their numbers.")] = None,
    figure: Annotated[
        str | None,
        typer.Option(help="Only these of 'calprune ls figures', e.g. forest,reliability."),
    ] = None,
    formats: FormatsOption = None,
    width: WidthOption = None,
    font_size: FontSizeOption = None,
    titled: TitledOption = False,
    labels: LabelsOption = None,
    answer_set: AnswerSetOption = "offered",
    confidence: Annotated[
        str,
        typer.Option(
            help="What confidence is: auto, or one of {names of confidence} "
            "('calprune ls confidence'). Several, separated by commas, give one table of them all."
        ),
    ] = "auto",
    verbalizers: VerbalizersOption = None,
    calibrate: CalibrateOption = "",
    folds: FoldsOption = 5,
    target: TargetOption = "hard",
) -> None:
    """Accuracy and calibration of what is cached, with intervals."""
    from calprune.analyze.labels import read_labels
    from calprune.commands.progress import status
    from calprune.commands.reading import Reader, analysis_options
    from calprune.commands.results import Asked, printed

    asked = Asked(
        metrics=listed(metric),
        confidences=listed(confidence),
        against=against,
        detect=detect,
        trend=trend,
        plot=plot,
        figures=listed(figure),
        formats=listed(formats),
        width=width,
        font_size=font_size,
        titled=titled,
        labels=read_labels(labels),
        strict=bench is not None,
        given=given(ctx),
    )
    told = analysis_options(ctx.params)
    reader = Reader()
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
        text = printed(tables, without_figures(ctx.params), asked, told, format, tell)
    print(text)
    reader.end()
