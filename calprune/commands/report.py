"""``calprune report``: one HTML file that says everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from calprune.commands.options import StoreOption
from calprune.errors import PlanError

EPILOG = (
    "Examples:  calprune report  ·  calprune report --out study.html --against full  ·  calprune "
    "report --bench pope --by split --metric ece,accuracy,aurc  ·  calprune report --study "
    "calibration  ·  calprune report --study calibration --format latex"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog=EPILOG)(report)


def report(
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    metric: Annotated[
        str | None,
        typer.Option(help="One or more of 'calprune ls metrics', separated by commas."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="split, category, kind, n_options, or a tag of the files.  [default: splits, if "
            "there are several]"
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
        Path | None,
        typer.Option(help="CSV of further published numbers: study,table,row,column,value."),
    ] = None,
    format: Annotated[
        str, typer.Option(help="html, or the study's tables as table, md, csv, json or latex.")
    ] = "html",
    store: StoreOption = None,
    bench: Annotated[str | None, typer.Option(help="Only this benchmark.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap draws over images.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    each_seed: Annotated[
        bool, typer.Option("--each-seed", help="Random selectors seed by seed, not averaged.")
    ] = False,
    mixed_numerics: Annotated[
        bool,
        typer.Option("--mixed-numerics", help="Compare across devices, kernels and versions too."),
    ] = False,
    options: Annotated[str, typer.Option(help="Answers read: offered, all or four.")] = "offered",
    confidence: Annotated[
        str, typer.Option(help="Of replies: auto, answer-set, first, mean, product or min.")
    ] = "auto",
    target: Annotated[str, typer.Option(help="Of replies: hard (right or not) or soft.")] = "hard",
    calibrate: Annotated[
        str, typer.Option(help="Calibrate out of fold first, e.g. temperature or isotonic.")
    ] = "",
) -> None:
    """One HTML file: summary, tables that sort, figures, warnings, provenance. No network."""
    from calprune.analyze.html.content import gather
    from calprune.analyze.html.page import check_path, page, write_page
    from calprune.analyze.report import render_study
    from calprune.analyze.reproduction import reproduce
    from calprune.data.store import Store, store_path

    if format == "html":
        check_path(out)
    elif not study:
        raise PlanError(
            f"--format {format} prints a study's tables: name one with --study, or take calprune "
            f"analyze --format {format}"
        )
    reading: Any = {"options": options, "confidence": confidence, "target": target}
    if calibrate:
        reading["calibrate"] = calibrate
    tables = Store(store_path(store)).tables(benchmark=bench, model=model)
    again: Any = ()
    if study:
        again = reproduce(tables, study, draws=draws, seed=seed, published=published, **reading)
    if format != "html":
        print(render_study(again, format))
        return
    content = gather(
        tables,
        study=again,
        metrics=[m.strip() for m in metric.split(",")] if metric else (),
        by=by,
        against=against,
        draws=draws,
        seed=seed,
        each_seed=each_seed,
        mixed_numerics=mixed_numerics,
        strict=bench is not None,
        **reading,
    )
    print(write_page(page(content), out))
