"""From the parts of a condition to the content of its one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calprune.data.condition import canonical_json
from calprune.data.storage.container import Sealed
from calprune.data.storage.schema import LOGITS
from calprune.data.storage.structure import Arrays
from calprune.errors import Mismatch


def joined(paths: Sequence[Path], parts: Sequence[Sealed]) -> Sealed:
    """All rows in the order of the parts, which share key and manifest; Mismatch names a misfit."""
    arrays = _join(_alike(paths, [p.arrays for p in parts]))
    first = parts[0]
    return Sealed(
        first.kind, first.key, first.manifest, _joint([p.provenance for p in parts]), arrays
    )


def _joint(provenances: list[dict[str, Any]]) -> dict[str, Any]:
    """What all parts share, field by field; where parts differ, every variant.

    Other versions of software may move a last digit, and make the numerics mixed.
    """
    found: dict[str, Any] = {}
    for field in {name for p in provenances for name in p}:
        variants = sorted({canonical_json(p.get(field)) for p in provenances})
        first = provenances[0].get(field)
        found[field] = first if len(variants) == 1 else {"mixed": variants}
    if any("mixed" in (found.get(x) or {}) for x in ("software", "encoded")):
        kept = {"numerics", "software", "encoded"}
        variants = [canonical_json({x: p.get(x) for x in kept}) for p in provenances]
        found["numerics"] = {"mixed": sorted(set(variants))}
    return found


def _alike(paths: Sequence[Path], parts: list[Arrays]) -> list[Arrays]:
    """Parts with the same columns; what a later version added is left out if a part lacks it."""
    later = [column.path for column in LOGITS.columns if column.later]
    lacking = [name for name in later if any(name not in p for p in parts)]
    parts = [{name: x for name, x in p.items() if name not in lacking} for p in parts]
    for path, part in zip(paths, parts, strict=True):
        differing = sorted(part.keys() ^ parts[0].keys())
        if differing:
            raise Mismatch(
                f"{path}: has other columns than {paths[0].name} ({', '.join(differing)}); delete "
                "it and run again"
            )
    return parts


def _join(parts: list[Arrays]) -> Arrays:
    """The columns of all parts as one, each as its ``Column.join`` says."""
    joined: Arrays = {}
    rows = np.cumsum([0, *(len(p["example/id"]) for p in parts)])
    for name in parts[0]:
        columns, column = [p[name] for p in parts], LOGITS.column(name)
        how = column.join if column else "rows"
        if how == "once":
            joined[name] = columns[0]
        elif how == "offset":
            ends = np.cumsum([0, *(c[-1] for c in columns)])
            moved = [c[1:] + s for c, s in zip(columns, ends, strict=False)]
            joined[name] = np.concatenate([columns[0][:1], *moved])
        elif how == "row":
            moved = [c + s for c, s in zip(columns, rows, strict=False)]
            joined[name] = np.concatenate(moved).astype(np.int32)
        elif how == "padded":
            joined[name] = _pad(columns)
        else:
            joined[name] = np.concatenate(columns)
    return joined


def _pad(columns: list[np.ndarray]) -> np.ndarray:
    """Stack (rows, k) blocks of different k, padding with −1."""
    width = max(c.shape[1] for c in columns)
    return np.concatenate(
        [np.pad(c, ((0, 0), (0, width - c.shape[1])), constant_values=-1) for c in columns]
    )
