"""What is recorded of sealed files beside their numbers, as flat text: what, and with which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from calprune.data.storage.logits import LogitTable


def facts_of(tables: Sequence[LogitTable]) -> dict[str, list[str]]:
    """Facts by name, each value once; with its number of files where they differ."""
    each = [_facts(table) for table in tables]
    names = dict.fromkeys(name for one in each for name in one)
    return {name: _counts([one.get(name, "not recorded") for one in each]) for name in names}


def _facts(one: LogitTable) -> dict[str, str]:
    """What is known about one file, flat, as text."""
    c = one.condition
    found = {
        "model": c.model,
        "model, SHA-256": c.model_digest,
        "benchmark": c.benchmark,
        "benchmark, SHA-256": c.benchmark_digest,
        "picture": c.picture,
        "template": one.template,
        "positions": c.positions,
        "dtype": c.dtype,
    }
    return found | dict(_flat(one.provenance))


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        path = f"{above} › {key}" if above else str(key)
        if isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            yield from _flat(value, path)
        elif isinstance(value, Mapping):
            yield path, ", ".join(f"{name} {v}" for name, v in value.items())
        elif value not in ("", None):
            yield path, str(value)


def _counts(values: list[str]) -> list[str]:
    there = list(dict.fromkeys(values))
    if len(there) == 1:
        return there
    return [f"{value} ({values.count(value)} of {len(values)} files)" for value in there]
