"""Plain values of options are what typer itself makes of them; all others are left to it."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from calprune.cli import COMMANDS, app
from calprune.commands.values import spare

TEXTS = (
    "7",
    "0",
    "-1",
    "+7",
    "007",
    "1_0",
    "٣",
    " 7",
    "7.0",
    "true",
    "",
    "a/b",
    "a//b/.",
    "metrics",
)
TEXTS += ("METRICS", "~", "99999999999999999999", "1e3", "None")


def options() -> Iterator[tuple[Any, Any]]:
    """Every parameter of every command, with its context."""
    group: Any = typer.main.get_command(app)
    for name in COMMANDS:
        command = group.commands[name]
        for each in getattr(command, "commands", {"": command}).values():
            context = typer.Context(each)
            for param in each.params:
                yield param, context


def outcome(param: Any, context: Any, value: Any) -> tuple[Any, ...]:
    try:
        found = param.process_value(context, value)
    except Exception as refused:
        return type(refused), str(refused)
    return type(found), found


@pytest.mark.skipif(
    not hasattr(typer.core.TyperOption, "get_runtime_param"), reason="a typer without pydantic"
)
def test_values_are_what_typer_makes_of_them() -> None:
    seen = 0
    for param, context in options():
        single = not param.multiple and param.nargs == 1
        values = [None, param.default, *(TEXTS if single else [["a=1", "b"]])]
        values = [v for v in values if not callable(v)]
        plainly = [outcome(param, context, v) for v in values]
        spare([param])
        assert [outcome(param, context, v) for v in values] == plainly, param.name
        seen += 1
    assert seen > 60
