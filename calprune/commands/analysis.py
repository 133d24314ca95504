"""``calprune analyze``: what the cache says, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from calprune.commands.options import StoreOption

EPILOG = (
    "Examples:  calprune analyze  ·  calprune analyze --metric ece --by split  ·  calprune "
    "analyze --metric ece,brier --against full --format csv  ·  calprune analyze --plot figures"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(epilog=EPILOG)(analyze)


def analyze(
    metric: Annotated[
        str | None,
        typer.Option(help="One or more of 'calprune ls metrics', separated by commas."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="split, category, kind, n_options, or a tag of the files.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Compare all with this condition, e.g. full (paired).")
    ] = None,
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
    format: Annotated[str, typer.Option(help="table, csv, json or md.")] = "table",
    plot: Annotated[Path | None, typer.Option(help="Folder for figures and their numbers.")] = None,
    figure: Annotated[
        str | None,
        typer.Option(help="Only these of 'calprune ls figures', e.g. forest,reliability."),
    ] = None,
    options: Annotated[str, typer.Option(help="Answers read: offered, all or four.")] = "offered",
    confidence: Annotated[
        str, typer.Option(help="Of replies: auto, answer-set, first, mean, product or min.")
    ] = "auto",
    target: Annotated[str, typer.Option(help="Of replies: hard (right or not) or soft.")] = "hard",
) -> None:
    """Accuracy and calibration of what is cached, with intervals."""
    from calprune.analyze.command import analyze as report
    from calprune.data.store import Store, store_path

    reading: Any = {"options": options, "confidence": confidence, "target": target}
    text = report(
        Store(store_path(store)).tables(benchmark=bench, model=model),
        metrics=[m.strip() for m in metric.split(",")] if metric else (),
        by=by,
        draws=draws,
        seed=seed,
        fmt=format,
        each_seed=each_seed,
        plot=plot,
        figures=[f.strip() for f in figure.split(",")] if figure else (),
        against=against,
        mixed_numerics=mixed_numerics,
        strict=bench is not None,
        **reading,
    )
    print(text)
