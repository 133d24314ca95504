from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calprune.data.condition import ALL_TOKENS, Budget, Condition, canonical_json
from calprune.errors import PlanError, StoreError

PLAIN = Condition(
    benchmark="shapes",
    benchmark_digest="b" * 64,
    model="m",
    model_digest="d" * 64,
    template="t" * 64,
    answer_tokens=((5, 6), (7,)),
    features="patches@-2+cls@-2:sum",
    pixels="CLIPImageProcessorPil",
    selector="scope",
    parameters=(("alpha", 0.5), ("gap_power", 1.0)),
    revision=1,
    budget=Budget("count", 64),
)


def test_key_of_a_known_condition_never_moves() -> None:
    assert PLAIN.key == "9bcef86556309b284335e7900a67d2273ffa678383db530391c06724397ff424"


def test_every_field_moves_the_key() -> None:
    moved = {
        "benchmark": "pope",
        "benchmark_digest": "c" * 64,
        "model": "n",
        "model_digest": "e" * 64,
        "template": "u" * 64,
        "answer_tokens": ((5,), (7,)),
        "features": None,
        "pixels": "CLIPImageProcessorFast",
        "selector": "other",
        "parameters": (("alpha", 1.0), ("gap_power", 1.0)),
        "revision": 2,
        "budget": Budget("count", 65),
        "seed": 0,
        "positions": "original",
        "dtype": "float16",
        "reply": 16,
        "weights": "int4",
        "kv": "snapkv",
        "numerics": "compat",
        "closed_reply": 16,
    }
    assert set(moved) == {f.name for f in dataclasses.fields(Condition)}
    keys = {dataclasses.replace(PLAIN, **{k: v}).key for k, v in moved.items()}
    assert len(keys) == len(moved)
    assert PLAIN.key not in keys


def test_absent_means_absent() -> None:
    assert not {"seed", "weights", "kv", "numerics"} & set(PLAIN.to_json())


def test_json_round_trip() -> None:
    again = Condition.from_json(json.loads(canonical_json(PLAIN.to_json())))
    assert again == PLAIN
    assert again.key == PLAIN.key


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"unknown": 1},
        {"budget": {"kind": "count"}},
        {"budget": {"kind": "bogus", "value": 1, "scope": "moon"}},
        {"budget": {"kind": "count", "value": 10**400, "scope": "global"}},
        {"budget": {"kind": "count", "value": 64.0, "scope": "global"}},
        {"answer_tokens": "x"},
        {"model": ["x"]},
        {"seed": True},
        {"revision": "1"},
    ],
)
def test_strange_json_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(StoreError):
        Condition.from_json(PLAIN.to_json() | change)


def test_missing_field_is_refused() -> None:
    plain = PLAIN.to_json()
    del plain["selector"]
    with pytest.raises(StoreError):
        Condition.from_json(plain)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_count_budget(k: int, candidates: int) -> None:
    budget = Budget("count", k)
    if k <= candidates:
        assert budget.tokens(candidates) == k
    else:
        with pytest.raises(PlanError, match=f"{k}.*{candidates}"):
            budget.tokens(candidates)


@given(st.floats(0, 1), st.integers(0, 5000))
def test_ratio_budget_stays_within(ratio: float, candidates: int) -> None:
    budget = Budget("ratio", ratio)
    if 0 < ratio * candidates < 0.5:
        with pytest.raises(PlanError, match="less than one"):
            budget.tokens(candidates)
    else:
        assert 0 <= budget.tokens(candidates) <= candidates


def test_full_budget() -> None:
    assert ALL_TOKENS.tokens(576) == 576


@pytest.mark.parametrize(("kind", "value"), [("count", -1), ("count", 1.5), ("ratio", 1.1)])
def test_impossible_budgets(kind: str, value: float) -> None:
    with pytest.raises(PlanError):
        Budget(kind, value)  # type: ignore[arg-type]


def test_nan_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"x": math.nan})


def test_integer_and_float_budgets_are_one() -> None:
    assert Budget("count", 64.0) == Budget("count", 64)
    changed = dataclasses.replace(PLAIN, budget=Budget("count", 64.0))
    assert changed.key == PLAIN.key
