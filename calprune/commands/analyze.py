"""``calprune analyze``: what the cache says, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calprune.commands.modes import given, reading
from calprune.commands.options import (
    AnswerSetOption,
    CalibrateOption,
    DrawSeedOption,
    DrawsOption,
    EachSeedOption,
    FoldsOption,
    MetricOption,
    MixedNumericsOption,
    OnlyBenchOption,
    OnlyModelOption,
    StoreOption,
    TargetOption,
    listed,
)

EPILOG = (
    "Examples:  calprune analyze  ·  calprune analyze --metric ece --by split  ·  calprune "
    "analyze --metric ece,brier --against full --format csv  ·  calprune analyze --plot figures  "
    "·  calprune analyze --overview  ·  calprune analyze --pareto"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=reading("analyze"), epilog=EPILOG)(analyze)


def analyze(
    ctx: typer.Context,
    metric: MetricOption = None,
    by: Annotated[
        str | None, typer.Option(help="split, category, kind, n_options, or a tag of the files.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Compare with full, or scope:alpha=1 of the same budget.")
    ] = None,
    store: StoreOption = None,
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    draws: DrawsOption = 1000,
    seed: DrawSeedOption = 0,
    each_seed: EachSeedOption = False,
    mixed_numerics: MixedNumericsOption = False,
    interval: Annotated[
        str,
        typer.Option(
            help="auto: studentised on the de-biased value for ECE and its relatives, percentile "
            "for the rest; or studentised, bridge, percentile, basic."
        ),
    ] = "auto",
    resample: Annotated[str, typer.Option(help="images, or rows one by one.")] = "images",
    correction: Annotated[str, typer.Option(help="holm or bh, over the comparisons.")] = "holm",
    permutations: Annotated[int, typer.Option(min=1, help="Swaps behind a p-value.")] = 10_000,
    common: Annotated[
        bool, typer.Option("--common", help="Only questions that all conditions cover.")
    ] = False,
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
    format: Annotated[str, typer.Option(help="table, csv, json, md or latex.")] = "table",
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
    answer_set: AnswerSetOption = "offered",
    confidence: Annotated[
        str,
        typer.Option(
            help="What confidence is: auto, or one of {names of confidence} "
            "('calprune ls confidence'). Several, separated by commas, give one table of them all."
        ),
    ] = "auto",
    verbalizers: Annotated[
        list[str] | None,
        typer.Option(help="Token ids of one answer: yes=3869,4874 (repeat it); or first."),
    ] = None,
    calibrate: CalibrateOption = "",
    folds: FoldsOption = 5,
    target: TargetOption = "hard",
) -> None:
    """Accuracy and calibration of what is cached, with intervals."""
    from calprune.analyze.command import Asked, regressions, several, trade_offs
    from calprune.analyze.command import analyze as report
    from calprune.commands.reading import Reader, analysis_options
    from calprune.data.storage.store import store_path

    asked = Asked(
        metrics=listed(metric),
        confidences=listed(confidence),
        against=against,
        power=power,
        detect=detect,
        trend=trend,
        plot=plot,
        figures=listed(figure),
        strict=bench is not None,
        given=given(ctx),
    )
    told = analysis_options(ctx.params)
    reader = Reader()
    tables = reader.tables(store_path(store), bench, model)
    printed = regressions if calibration_slope else report
    printed = several if overview else trade_offs if pareto else printed
    print(printed(tables, asked, told, format))
    reader.end()
