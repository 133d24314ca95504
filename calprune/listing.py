"""What ``calprune ls`` prints: plug-ins by name and title, and the conditions in a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calprune import registry
from calprune.data.store import Store, store_path
from calprune.errors import MissingExtra, PlanError


def listing(what: str, store: Path | None, form: str) -> str:
    """Rows of one kind as a plain table or JSON."""
    if form not in ("table", "json"):
        raise PlanError(registry.unknown("format", form, ("table", "json")))
    rows = _conditions(store) if what == "conditions" else _plugins(what)
    if form == "json":
        return json.dumps(rows, indent=2)
    widths = [max(len(_plain(row[c])) for row in rows) for c in rows[0]]
    lines = (
        "  ".join(_plain(v).ljust(w) for v, w in zip(row.values(), widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def _plugins(group: str) -> list[dict[str, Any]]:
    rows = []
    for name in registry.names(group):
        try:
            title = registry.load(group, name).title
        except MissingExtra as error:
            title = f"({error})"
        except Exception as error:  # a foreign plug-in may fail in any way; the others still list
            title = f"(cannot be loaded: {type(error).__name__}: {error})"
        rows.append({"name": name, "title": title})
    if group == "models":
        from calprune.collect.hf.names import EMBEDDED, SHORT

        rows = [{"name": f"({row['name']})", "title": f"family: {row['title']}"} for row in rows]
        published = [{"name": name, "title": repo} for name, repo in SHORT.items()]
        rows = [{"name": EMBEDDED, "title": "the embedded model; default"}, *published, *rows]
    return rows


def _conditions(store: Path | None) -> list[dict[str, Any]]:
    return [
        {
            "model": t.condition.model,
            "benchmark": t.condition.benchmark,
            "label": t.condition.label,
            "picture": t.condition.picture,
            "template": t.template,
            "dtype": t.condition.dtype,
            "kept": f"{t.visual[:, -1].mean():g} tokens",
            "images": f"{len(set(t.cluster.tolist()))} images",
            "rows": f"{len(t)} rows",
            "key": t.condition.key[:8],
            "file": str(t.path),
        }
        for t in Store(store_path(store)).tables()
    ]


def _plain(value: object) -> str:
    """Text from files and plug-ins may hold control codes; a terminal must not see them."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
