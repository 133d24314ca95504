"""Plug-ins of other packages: what their source was when a file was sealed.

Their authors raise ``revision`` by hand. Where that was forgotten, old choices would be served as
those of the new source, so that files say which source made them, and another one is refused.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from pathlib import Path
from typing import Any

from calprune.data.condition import Condition
from calprune.data.storage.blocks import SealedBlocks
from calprune.data.storage.store import Store
from calprune.errors import Mismatch

FIELD = "plugins"


def source(plugin: object) -> str:
    """SHA-256 of the module that defines a plug-in, without comments, layout and docstrings.

    Empty for calprune's own, and for what has no source to read.
    """
    module = type(plugin).__module__
    if module.partition(".")[0] == "calprune":
        return ""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return ""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def recorded(**plugins: object) -> dict[str, Any]:
    """What a file's provenance says of the plug-ins that made it, by what each is; else nothing."""
    found = {role: digest for role, plugin in plugins.items() if (digest := source(plugin))}
    return {FIELD: found} if found else {}


def unchanged(blocks: SealedBlocks, block: int, **plugins: object) -> None:
    """Mismatch if a sealed block, where there is one, was made by another source of a plug-in.

    Files that do not say by which, as older ones, pass.
    """
    if now := _now(plugins):
        _same(blocks.path(block), blocks.provenance(block), now, plugins)


def unchanged_condition(store: Store, condition: Condition, **plugins: object) -> None:
    """The same of a condition's sealed file."""
    if now := _now(plugins):
        was = store.sealed(condition).provenance if store.has(condition) else None
        _same(store.logits(condition), was, now, plugins)


def _now(plugins: dict[str, object]) -> dict[str, str]:
    return dict(recorded(**plugins).get(FIELD, {}))


def _same(
    path: Path, made: dict[str, Any] | None, now: dict[str, str], plugins: dict[str, object]
) -> None:
    was = (made or {}).get(FIELD, {})
    for role, digest in now.items():
        if was.get(role, digest) != digest:
            cls = type(plugins[role])
            revision = getattr(cls, "revision", None)
            raises = "" if revision is None else f"raise its revision, which is {revision}, or "
            raise Mismatch(
                f"{path}: made by another source of the {role} {cls.__name__} in {cls.__module__}; "
                f"{raises}delete what the other has made"
            )
