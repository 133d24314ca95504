"""What lm-evaluation-harness, and what descends from it, writes beside its samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calprune.errors import BenchmarkError


def mapping(found: Any, name: str) -> Mapping[str, Any]:
    """An object in a field; empty where there is none."""
    value = found.get(name) if isinstance(found, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def results_of(path: Path) -> Mapping[str, Any]:
    """The results of the same run; empty if they are not there, BenchmarkError if no JSON."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path}: no results ({error}); move it away to go without") from error
    return found if isinstance(found, Mapping) else {}


def printed_of(results: Mapping[str, Any], task: str, metric: str, filtered: str) -> float | None:
    """The number that was printed; None if it is not there."""
    value = mapping(mapping(results, "results"), task).get(f"{metric},{filtered}")
    return value if isinstance(value, float | int) else None
