"""``calprune ls``, ``show`` and ``verify``: what there is, what it holds, whether it is sound."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from calprune.commands import tokens
from calprune.commands.modes import reading
from calprune.commands.options import StoresOption, UntrustedOption
from calprune.errors import PlanError


class Kind(StrEnum):
    """What ``calprune ls`` can list."""

    benchmarks = "benchmarks"
    selectors = "selectors"
    models = "models"
    metrics = "metrics"
    studies = "studies"
    scorers = "scorers"
    parsers = "parsers"
    figures = "figures"
    confidence = "confidence"
    calibrators = "calibrators"
    logs = "logs"
    conditions = "conditions"
    runs = "runs"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    examples = (
        "Examples:  calprune ls selectors  ·  calprune ls conditions --store store  ·  calprune ls "
        "runs --format csv"
    )
    app.command(cls=reading("ls"), epilog=examples)(ls)
    app.add_typer(show)
    examples = (
        "Examples:  calprune verify --store calprune-store  ·  calprune verify theirs/logits/*.h5"
    )
    app.command(cls=reading("verify"), epilog=examples)(verify)


def ls(
    what: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.conditions,
    store: StoresOption = None,
    untrusted: UntrustedOption = False,
    format: Annotated[str, typer.Option(help="table, csv or json.")] = "table",
) -> None:
    """List plug-ins of a kind, such as benchmarks or selectors, cached conditions, or runs.

    Runs are those of collect that left something in the store; the newest is the last.
    """
    from calprune.commands.listing import listing

    if what is not Kind.conditions:
        print(listing(what.value, store, format))
        return
    from calprune.commands.reading import Reader

    reader = Reader()
    print(listing(what.value, store, format, reader))
    reader.end()


class _FileOrCommand(TyperGroup):
    """``show FILE`` is ``show file FILE``; what is called like a command is one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before a file's."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["file", *args]
        return super().parse_args(ctx, args)


show = typer.Typer(
    name="show",
    cls=_FileOrCommand,
    help="Print what a sealed file holds, or draw the visual tokens that selectors keep.\n\n"
    "calprune show FILE is short for calprune show file FILE.",
    epilog="Examples:  calprune show calprune-store/logits/shapes-llava/shapes/full-*.h5  ·  "
    "calprune show tokens --image 0 --select scope:alpha=0,1 --keep 64",
    no_args_is_help=True,
    rich_markup_mode=None,
)
show.command(cls=reading("show tokens"), epilog=tokens.EPILOG)(tokens.tokens)


@show.command(cls=reading("show file"))
def file(
    file: Annotated[Path, typer.Argument(help="A sealed file of any kind.")],
    untrusted: UntrustedOption = False,
) -> None:
    """Print what a sealed file holds, after checking it."""
    from calprune.commands.listing import described

    print(described(file))


def verify(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Sealed files, packs, or folders of them.  [default: the store]"),
    ] = None,
    store: StoresOption = None,
    untrusted: UntrustedOption = False,
) -> None:
    """Check sealed files: header, SHA-256, schema, values, key against manifest, and name."""
    from calprune.commands.listing import checked

    if paths and store:
        raise PlanError("verify takes paths or --store, not both: leave one of them out")
    failed = False
    for bad, line in checked(paths, store):
        print(line)
        failed |= bad
    if failed:
        print("bad files are not used: download them again, or delete them and collect again")
        raise typer.Exit(4)
