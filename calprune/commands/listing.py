"""What ``calprune ls``, ``show`` and ``verify`` print about plug-ins and sealed files."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune import registry
from calprune.errors import MissingExtra, PlanError
from calprune.terminal import counted, in_columns, printable

if TYPE_CHECKING:
    from calprune.commands.reading import Reader

FORMATS = ("table", "csv", "json")
_NUMBERS = ("kept", "images", "rows", "took", "conditions")  # columns that end alike
_NARROWEST = 100  # columns of the table of benchmarks
_KIND, _LEAST = 13, 40  # of them for the kind of answers; for title and licence at least


def listing(
    what: str, stores: Sequence[Path] | None, form: str, reader: Reader | None = None
) -> str:
    """Rows of one kind as a table with a heading, CSV or JSON; a reader knows what it left out.

    Conditions need a reader.
    """
    if form not in FORMATS:
        raise PlanError(registry.unknown("format", form, FORMATS))
    rows = _rows(what, stores, reader)
    if form == "json":
        return json.dumps(rows, indent=2)
    if not rows:
        return ""
    if form == "csv":
        return _csv(rows)
    if what == "benchmarks":
        return _folded(rows)
    if what == "conditions":
        rows = [_for_people(row, stores) for row in rows]
    if what == "runs":
        from calprune.commands.runs import for_people

        rows = [for_people(row) for row in rows]
    heading = list(rows[0])
    numbers = [i for i, name in enumerate(heading) if name in _NUMBERS]
    return "\n".join(in_columns([heading, *(list(row.values()) for row in rows)], numbers))


def _rows(what: str, stores: Sequence[Path] | None, reader: Reader | None) -> list[dict[str, Any]]:
    if what == "benchmarks":
        return _benchmarks()
    if what == "runs":
        from calprune.commands.runs import runs

        return runs(stores)
    return _plugins(what) if reader is None else _conditions(stores, reader)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """With a heading; parameters as JSON, and nothing where nothing is known."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([json.dumps(v) if isinstance(v, dict) else v for v in row.values()])
    return out.getvalue().rstrip("\n")


def _plugins(group: str) -> list[dict[str, Any]]:
    # of metrics, what is better: lower, higher, nearer 0, neither
    asked = ("title", "direction") if group == "metrics" else ("title",)
    rows = []
    for name in registry.names(group):
        said = registry.told(group, name, asked)
        if said is None:
            title, plugin = _loaded(group, name)
            said = {"title": title} | {a: str(getattr(plugin, a, "")) for a in asked[1:]}
        rows.append({"name": name, **said})
    if group == "models":
        from calprune.collect.hf.names import EMBEDDED, SHORT

        rows = [{"name": f"({row['name']})", "title": f"family: {row['title']}"} for row in rows]
        published = [{"name": name, "title": repo} for name, repo in SHORT.items()]
        rows = [{"name": EMBEDDED, "title": "the embedded model; default"}, *published, *rows]
    return rows


def _loaded(group: str, name: str) -> tuple[str, Any]:
    """Title and plug-in; one that cannot be loaded has only a title, which says why."""
    try:
        plugin = registry.load(group, name)
        return str(plugin.title), plugin
    except (MissingExtra, PlanError) as error:  # its file may fail in any way
        return f"({error})", None
    except Exception as error:  # it has no title; the others still list
        return f"(cannot be loaded: {type(error).__name__}: {error})", None


def _benchmarks() -> list[dict[str, Any]]:
    """What is published of each and whether it is here; nothing that a plug-in does not say."""
    rows = []
    for name in registry.names("benchmarks"):
        title, plugin = _loaded("benchmarks", name)
        published = getattr(plugin, "published", None)
        rows.append(
            {
                "name": name,
                "kind": str(getattr(plugin, "kind", "")),
                "rows": getattr(published, "rows", 0) or None,
                "images": getattr(published, "images", 0) or None,
                "data": _where(plugin),
                "title": title,
                "licence": str(getattr(plugin, "licence", "")),
            }
        )
    return rows


def _where(plugin: Any) -> str:
    """Whether a benchmark's files are here, told by their names; opens no table."""
    if callable(told := getattr(plugin, "availability", None)):
        try:
            return str(told())
        except Exception:  # of a foreign plug-in
            return ""
    origin = str(getattr(plugin, "origin", ""))
    return "generated" if origin.startswith("generated") else ""


def _folded(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table with a heading, as wide as the window; long cells are folded."""
    window = max(_NARROWEST, shutil.get_terminal_size((120, 24)).columns)
    lines = [list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[1] = min(widths[1], _KIND)
    free = max(_LEAST, window - sum(widths[:-2]) - 2 * (len(widths) - 1))
    widths[-1] = min(widths[-1], free * 2 // 5)
    widths[-2] = min(widths[-2], free - widths[-1])
    numbers = [lines[0].index(column) for column in ("rows", "images")]
    out = []
    for line in lines:
        line[1] = line[1].replace("+", " + ")
        folded = [textwrap.wrap(v, w) or [""] for v, w in zip(line, widths, strict=True)]
        out += [list(cells) for cells in zip_longest(*folded, fillvalue="")]
    return "\n".join(in_columns(out, numbers))


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else printable(value)


def _conditions(stores: Sequence[Path] | None, reader: Reader) -> list[dict[str, Any]]:
    """What there is of each condition: its name, its typed parts, and what its file holds."""
    from calprune.data.condition_names import budget_text, name_of

    return [
        {
            "model": t.condition.model,
            "benchmark": t.condition.benchmark,
            "condition": name_of(t.condition),
            "selector": t.condition.selector,
            "parameters": dict(t.condition.parameters),
            "budget": budget_text(t.condition),
            "seed": t.condition.seed,
            "picture": t.condition.picture,
            "template": t.template,
            "dtype": t.condition.dtype,
            "weights": t.condition.weights,
            "kv": t.condition.kv,
            "kept": float(t.visual[:, -1].mean()) if t.visual.size else None,
            "images": len(set(t.cluster.tolist())),
            "rows": len(t),
            "key": t.condition.key,
            "file": str(t.path),
        }
        for t in reader.tables(stores)
    ]


_TOLD = ("selector", "parameters", "budget", "seed", "weights", "kv")  # in another cell


def _for_people(row: Mapping[str, Any], stores: Sequence[Path] | None) -> dict[str, str]:
    """A condition as one line: what its name tells is not told again, nor where its store is."""
    said = {
        "dtype": " ".join(filter(None, (row["dtype"], row["weights"], row["kv"]))),
        "kept": "not counted" if row["kept"] is None else f"{row['kept']:,g}",
        "images": f"{row['images']:,}",
        "rows": f"{row['rows']:,}",
        "key": row["key"][:8],
        "file": _within(Path(row["file"]), stores),
    }
    return {k: said.get(k, v) for k, v in row.items() if k not in _TOLD}


def _within(file: Path, stores: Sequence[Path] | None) -> str:
    """A file as one can type it where its store was named so; else its place in the store."""
    from calprune.data.storage.places import store_paths

    inside = [store for store in store_paths(stores) if file.is_relative_to(store)]
    return str(file.relative_to(inside[0]) if inside and file.is_absolute() else file)


def described(file: Path) -> str:
    """What a sealed file of any kind holds, as JSON, after checking it."""
    from calprune.data.condition import Condition
    from calprune.data.condition_names import name_of
    from calprune.data.storage.reading import check_file

    sealed = check_file(file)
    found: dict[str, Any] = {
        "file": str(file),
        "format": sealed.kind,
        "key": sealed.key,
        "digest": sealed.digest,
        "manifest": sealed.manifest,
        "provenance": sealed.provenance,
        "datasets": {k: f"{a.dtype} {a.shape}" for k, a in sorted(sealed.arrays.items())},
    }
    if sealed.kind == "calprune.logits":
        found["condition"] = name_of(Condition.from_json(sealed.manifest))
    return json.dumps(found, indent=2)


def checked(
    paths: Sequence[Path] | None, stores: Sequence[Path] | None
) -> Iterator[tuple[bool, str]]:
    """Whether a file is bad, and a line: one for each bad file, then the counts.

    Args:
        paths: files, and folders of which all are checked; none for the stores.
        stores: as ``--store`` gives them.
    """
    import h5py

    from calprune.data.storage.places import shared_folder, store_paths
    from calprune.data.storage.reading import verified
    from calprune.data.storage.store import Store

    bad = good = 0
    given = [shared_folder(path) or path for path in paths or ()]
    for place in given or store_paths(stores):
        whole = not paths or place.is_dir()  # a store that is not there is told as such
        for path, error in Store(place).verify() if whole else verified([place]):
            if error is None:
                good += 1
            else:
                bad += 1
                told = error if str(path) in str(error) else f"{path}: {error}"
                yield True, printable(f"bad: {told}")
    yield False, f"{counted(good, 'file')} sound, {bad} bad (HDF5 {h5py.version.hdf5_version})"
