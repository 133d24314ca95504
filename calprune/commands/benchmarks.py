"""Several benchmarks in one command: their names, and the folders of their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calprune.errors import PlanError


def benchmarks(text: str) -> list[str]:
    """``pope,mme`` one by one; a comma in a path, ``file:a,b.jsonl``, is part of it.

    What follows a comma after a path is a benchmark if it is called as one.
    """
    from calprune import registry

    found: list[str] = []
    for name in text.split(","):
        in_path = bool(found) and ":" in found[-1]
        if in_path and name.strip().partition(":")[0] not in registry.names("benchmarks"):
            found[-1] += f",{name}"
        else:
            found.append(name.strip())
    if "" in found:
        raise PlanError(f"--bench {text!r}: names are separated by commas, e.g. pope,mme")
    return list(dict.fromkeys(found))


def only_benchmarks(text: str | None) -> list[str] | None:
    """The same; None for None, which means all."""
    return None if text is None else benchmarks(text)


def one_benchmark(text: str) -> str:
    """The only one; PlanError for several, where a command takes one."""
    if len(benchmarks(text)) > 1:
        raise PlanError(f"--bench {text}: this command takes one benchmark: run it for each")
    return text


def check_several(names: Sequence[str], data: Path | None) -> None:
    """PlanError for one that does not exist, before anything is done for the others."""
    from calprune.data.questions import find_benchmark

    for name in names:
        find_benchmark(name)
        if data is not None and ":" in name:
            raise PlanError(
                f"--data {data}: of several benchmarks it has a sub-folder for each, and {name} "
                "cannot name one: collect it on its own"
            )


def folder_of(given: Path | None, name: str, names: Sequence[str]) -> Path | None:
    """The folder of one of several; none of what is generated, which needs no folder."""
    from calprune.data.questions import find_benchmark

    if given is None or len(set(names)) <= 1:
        return given
    return given / name if getattr(find_benchmark(name), "reads_files", True) else None
