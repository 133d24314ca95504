"""The command line. A command's module is imported when the command is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from calprune import __version__
from calprune.interrupts import done, listen

EXIT_CODES = (
    "Exit codes: 0 done · 2 the request makes no sense · 3 data or results are missing · "
    "4 a file or model cannot be trusted · 5 nothing can be written · 130 interrupted."
)
COMMANDS = {
    "collect": ("collect", "Fill the cache: encode images, select tokens, ask the model."),
    "analyze": ("analyze", "Accuracy and calibration of what is cached, with intervals."),
    "rows": (
        "rows",
        "Single questions: image, options, label, answer and confidence before and after pruning.",
    ),
    "report": (
        "report",
        "One HTML file: summary, tables that sort, figures, warnings, provenance.",
    ),
    "import": (
        "imports",
        "Read what another program logged, or a table of probabilities, into the cache.",
    ),
    "judge": (
        "judge",
        "Grade generated replies by a judge, import grades, or export replies for official "
        "servers.",
    ),
    "compare-selections": (
        "selections",
        "Overlap of the tokens that selectors keep, their ties and margins.",
    ),
    "ls": (
        "inventory",
        "List plug-ins of a kind, such as benchmarks or selectors, cached conditions, or runs.",
    ),
    "pack": (
        "sharing",
        "One file with sealed conditions, for a mail or a paper's supplement, and a README.",
    ),
    "unpack": (
        "sharing",
        "Add what somebody packed to a store; every file is checked first, none is ever replaced.",
    ),
    "verify": (
        "inventory",
        "Check sealed files: header, SHA-256, schema, values, key against manifest, and name.",
    ),
    "push": (
        "sharing",
        "Publish sealed conditions in a dataset repository of the hub, with a README; one commit.",
    ),
    "pull": (
        "sharing",
        "Fetch what somebody published; go on where it was cut off; add it to a store if asked.",
    ),
    "gc": (
        "upkeep",
        "List what no sealed result needs: leftovers, unsealed parts, features; delete if asked.",
    ),
    "migrate": (
        "upkeep",
        "Write new files for those of an older format beside them; old ones stay as they are.",
    ),
    "data": ("data", "Fetch published benchmarks, and check that files are what was published."),
    "show": (
        "inventory",
        "Print what a sealed file holds, or draw the visual tokens that selectors keep.",
    ),
}
"""Module in ``commands`` and first sentence of each command, which the overview shows."""


class _Loaded(Mapping[str, Any]):
    """Commands by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        module = import_module(f"calprune.commands.{COMMANDS[name][0]}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        module.register(app)
        return typer.main.get_group(app).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Overview(TyperGroup):
    """All commands, none of them imported before it is used."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: Any = _Loaded()

    def get_params(self, ctx: Any) -> Any:
        """What may be given before a command's name."""
        from calprune.commands.values import spare

        return spare(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the overview."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Names with their first sentences."""
        limit = formatter.width - 6 - max(map(len, COMMANDS))
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, TyperCommand(name, help=text).get_short_help_str(limit))
                    for name, (_, text) in COMMANDS.items()
                ]
            )


app = typer.Typer(
    name="calprune",
    cls=_Overview,
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
    import sys

    from calprune.commands.ending import DEBUG, ended

    listen()
    # wherever it stands: whoever meets an error adds it at the end of what was typed
    asked = [word for word in sys.argv[1:] if word != DEBUG]
    done(ended(lambda: app(asked)))


def _version(asked: bool) -> None:
    if asked:
        print(f"calprune {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Where something fails, print the traceback too; also after a command.",
        ),
    ] = False,
) -> None:
    pass
