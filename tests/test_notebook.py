"""The notebook of the documentation runs, and shows what it computes."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

CELLS = json.loads((Path(__file__).parent.parent / "docs/tour.ipynb").read_text())["cells"]


def evaluated(code: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last expression, if it ends in one."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_it_runs_and_prints_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALPRUNE_STORE", raising=False)
    names: dict[str, Any] = {}
    for cell in (c for c in CELLS if c["cell_type"] == "code"):
        value = evaluated("".join(cell["source"]), names)
        shown = ["".join(o["data"]["text/plain"]) for o in cell["outputs"] if "data" in o]
        assert shown == [repr(value)]
