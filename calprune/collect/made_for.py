"""Which pictures a model was made for, and whether it is asked about others.

A model that answers about any picture declares nothing. One of a few pictures alone says so in a
file ``calprune.toml`` in its folder, which is no part of its digest:

    made_for = "drawn scenes"

or, where a plug-in has no such folder, in the attribute ``made_for`` of its adapter. A benchmark of
such pictures says the same words in its attribute ``depicts``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from calprune.collect.adapter import Adapter
from calprune.data.benchmark import Benchmark
from calprune.errors import ModelError

DECLARATION = "calprune.toml"


def declared(folder: Path) -> str:
    """What a model's folder says; empty if nothing. ModelError for a file that says no text."""
    path = folder / DECLARATION
    if not path.is_file():
        return ""
    try:
        found = tomllib.loads(path.read_text()).get("made_for", "")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if not isinstance(found, str):
        raise ModelError(f"{path}: made_for is a text, such as 'drawn scenes'")
    return found


def other_pictures(adapter: Adapter, bench: str, benchmark: Benchmark) -> str:
    """A sentence where a model is asked about pictures it was not made for; else empty."""
    made_for = getattr(adapter, "made_for", "")
    if not made_for or made_for == getattr(benchmark, "depicts", ""):
        return ""
    return (
        f"{adapter.name} was made for {made_for} and is asked about the pictures of {bench}: its "
        "numbers here say nothing about pruning"
    )
