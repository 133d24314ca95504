"""``calprune ls``, ``show`` and ``verify``: what there is, what it holds, whether it is sound."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the cache.  [default: $CALPRUNE_STORE or ./calprune-store]"),
]


class Kind(StrEnum):
    """What ``calprune ls`` can list."""

    benchmarks = "benchmarks"
    selectors = "selectors"
    models = "models"
    metrics = "metrics"
    scorers = "scorers"
    conditions = "conditions"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog="Examples:  calprune ls selectors  ·  calprune ls conditions --store store")(
        ls
    )
    app.command(
        epilog="Example:  calprune show calprune-store/logits/shapes-llava/shapes/full-*.h5"
    )(show)
    app.command(epilog="Example:  calprune verify --store calprune-store")(verify)


def ls(
    what: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.conditions,
    store: StoreOption = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """List benchmarks, selectors, models, metrics, scorers or cached conditions."""
    from calprune.commands.listing import listing

    print(listing(what.value, store, format))


def show(file: Annotated[Path, typer.Argument(help="A sealed file of any kind.")]) -> None:
    """Print what a sealed file holds, after checking it."""
    from calprune.commands.listing import described

    print(described(file))


def verify(store: StoreOption = None) -> None:
    """Check every sealed file of a store."""
    from calprune.commands.listing import checked

    failed = False
    for bad, line in checked(store):
        print(line)
        failed |= bad
    if failed:
        raise typer.Exit(4)
