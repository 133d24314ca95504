"""The command line. Every import that costs anything is inside a command."""

from __future__ import annotations

from typing import Annotated

import typer

from calprune import __version__
from calprune.commands import analyze, collect, data, inventory, judge, report, selections
from calprune.commands.ending import ended
from calprune.interrupts import done, listen

EXIT_CODES = (
    "Exit codes: 0 done · 2 the request makes no sense · 3 data or results are missing · "
    "4 a file or model cannot be trusted · 5 nothing can be written · 130 interrupted."
)

app = typer.Typer(
    name="calprune",
    help="Does visual token pruning keep a multimodal model's confidence right?\n\n"
    "collect fills a cache of logits (torch); analyze reads it on any laptop (no torch).",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line; turns every error of ours into one line and its exit code."""
    listen()
    done(ended(app))


def _version(asked: bool) -> None:
    if asked:
        print(f"calprune {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
) -> None:
    pass


for part in (collect, analyze, report, data, judge, selections, inventory):
    part.register(app)
