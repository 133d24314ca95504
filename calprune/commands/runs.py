"""``calprune ls runs``: who collected what, when, on what, and how it ended; the newest last."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from calprune.data.storage.places import store_paths
from calprune.errors import IncompleteError
from calprune.terminal import remark

_VERSIONS = ("calprune", "torch", "transformers")


def runs(stores: Sequence[Path] | None) -> list[dict[str, Any]]:
    """What the stores hold of each run, None where it was not recorded; the newest last.

    IncompleteError if there is none, or no store. A file that holds none is told, and left out.
    """
    paths = store_paths(stores)
    for store in paths:
        if not store.is_dir():
            raise IncompleteError(f"no store at {store}: name another with --store")
    found = [row for store in paths for row in _of(store)]
    if not found:
        named = ", ".join(map(str, paths))
        raise IncompleteError(f"no runs are recorded in {named}: only 'calprune collect' does")
    return sorted(found, key=lambda row: str(row["began"]))


def _of(store: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((store / "runs").glob("*.json")):
        try:
            told = json.loads(path.read_bytes())
            yield _row(told, path.relative_to(store))
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            remark(f"left out: {path} holds no run: {type(error).__name__}: {error}")


def _row(told: Mapping[str, Any], file: Path) -> dict[str, Any]:
    began, ended = (datetime.fromisoformat(told[end]) for end in ("began", "ended"))
    software = told["software"]
    program, *words = told["command"]
    return {
        "began": began.isoformat(),
        "seconds": round((ended - began).total_seconds()),
        "host": str(told["host"]),
        "device": told.get("device"),
        "result": str(told["result"]),
        "conditions": len(told.get("conditions", ())),
        "command": " ".join([_program(program), *map(_typed, map(str, words))]),
        **{name: software.get(name) for name in _VERSIONS},
        "file": str(file),
    }


def _program(path: str) -> str:
    """How it was called, without the folder that it was installed in."""
    name = Path(path).name
    return "python -m calprune" if name == "__main__.py" else name


def _typed(word: str) -> str:
    """As a shell reads it; a path below the home folder begins with ~."""
    home = str(Path.home())
    if word.startswith(f"{home}/"):
        return "~/" + shlex.quote(word[len(home) + 1 :])
    return shlex.quote(word)


def for_people(row: Mapping[str, Any]) -> dict[str, str]:
    """A run as one line: the minute in UTC, how long it took, and versions in one cell."""
    versions = (f"{name} {row[name]}" for name in _VERSIONS if row[name] is not None)
    began = datetime.fromisoformat(row["began"])
    return {
        "began (UTC)": f"{began:%Y-%m-%d %H:%M}",
        "took": _duration(row["seconds"]),
        "host": row["host"],
        "device": row["device"] or "-",
        "result": row["result"],
        "conditions": str(row["conditions"]),
        "versions": ", ".join(versions) or "-",
        "command": row["command"],
    }


def _duration(seconds: int) -> str:
    """``45 s``, ``3 min``, ``2 h 05 min``."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
