"""A request of a collection: checked without a model, read whole or refused, worked out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from calprune.collect import request as requests
from calprune.collect import run
from calprune.collect.inspection.overlap import compare_selections
from calprune.collect.inspection.token_view import token_view
from calprune.collect.request import CollectOptions, CollectRequest
from calprune.collect.stages import block_cache, fitting
from calprune.data.condition import Budget
from calprune.errors import PlanError


def counting(patch: pytest.MonkeyPatch, where: Any, name: str) -> list[Any]:
    """What a function is called with from now on."""
    real: Callable[..., Any] = getattr(where, name)
    calls: list[Any] = []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return real(*given)

    patch.setattr(where, name, counted)
    return calls


def test_keywords_and_fields_are_the_same() -> None:
    assert {"bench", *CollectOptions.__annotations__} == {f.name for f in fields(CollectRequest)}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bench": "shaped"}, "shapes"),
        ({"select": "scoop"}, "scope"),
        ({"select": "scope", "study": "calibration"}, "--study"),
        ({"numerics": "exact"}, "canonical"),
        ({"select": "random", "numerics": "compat"}, "leave it out"),
        ({"select": "full", "keep": 8}, "--keep"),
        ({"keep": "8,many"}, "many"),
        ({"positions": "sideways"}, "sideways"),
        ({"shard": (2, 2)}, "--shard 3/2"),
        ({"min_mass": 1.5}, "--min-mass 1.5"),
        ({"audit_rows": -1}, "--audit -1"),
        ({"max_memory": "lots"}, "--max-memory 'lots'"),
        ({"max_memory": 0}, "--max-memory 0"),
        ({"max_left_out": 0.5}, "--max-left-out"),
        ({"store": "sample"}, "sample"),
    ],
)
def test_what_makes_no_sense_needs_no_model(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(PlanError, match=named):
        CollectRequest(**wrong)


def test_budgets_are_the_same_however_they_are_written() -> None:
    wanted = (Budget("count", 64), Budget("ratio", 0.25))
    for keep in ("64,25%", [64, 0.25], ("64", Budget("ratio", 0.25))):
        assert CollectRequest(select="scope", keep=keep).budgets == wanted


@pytest.mark.parametrize(
    ("mode", "option"),
    [
        (run.estimate_cost, {"tokens_per_forward": 64}),
        (run.estimate_cost, {"max_memory": "1GB"}),
        (run.estimate_cost, {"shard": (0, 2)}),
        (run.estimate_cost, {"audit_rows": 1}),
        (compare_selections, {"reply_tokens": 2}),
        (compare_selections, {"positions": "original"}),
        (compare_selections, {"template": "hf"}),
        (compare_selections, {"min_mass": 0.1}),
        (token_view, {"shard": (0, 2)}),
        (token_view, {"tokens_per_forward": 64}),
    ],
)
def test_what_is_not_read_is_refused_by_name(mode: Any, option: dict[str, Any]) -> None:
    (name,) = option
    written = {"tokens_per_forward": "--batch-tokens", "audit_rows": "--audit"}
    with pytest.raises(PlanError, match=written.get(name, f"--{name.replace('_', '-')}")):
        mode("shapes", select="scope:alpha=0,1", **option)


def test_a_request_is_worked_out_once(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grids = counting(monkeypatch, requests, "grid")
    fits = counting(monkeypatch, fitting, "_fit")
    asked: dict[str, Any] = {"model": str(tiny_llava), "images": 1, "store": tmp_path}
    plan = run.prepare("shapes", select="all", keep=8, **asked)
    assert len(grids) == 1
    assert max(Counter(choice for choice, *_ in fits).values()) == 1
    assert 0 < len(plan.conditions) < len(fits)
    assert any("--select all leaves out" in note for note in plan.notes)


def test_a_nested_ranking_is_read_once_for_all_budgets(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"model": str(tiny_llava), "images": 34, "min_mass": 0}
    asked |= {"select": ["saliency", "random:seed=0"], "keep": [4, 8, 16]}
    reads = counting(monkeypatch, block_cache, "read_ranking")
    done = run.collect("shapes", store=tmp_path / "once", **asked)
    assert len(reads) == 2 * done.plan.blocks == 4
    monkeypatch.setattr(block_cache, "MOST_RANKINGS_IN_MEMORY", 0)
    again = run.collect("shapes", store=tmp_path / "again", **asked)
    assert len(reads) == 4 + 3 * 4
    for c in done.plan.conditions:
        one, other = (o.plan.store.logits(c.condition).read_bytes() for o in (done, again))
        assert one == other
