"""The name of a condition, as printed, asks for it again."""

from __future__ import annotations

import pytest

from calprune import registry
from calprune.collect.grid import grid, in_numerics
from calprune.data.condition import Budget
from calprune.data.condition_names import NEUTRAL
from calprune.errors import PlanError

SELECT = [
    "full",
    "blind",
    "scope:alpha=0,0.5:gap_power=1,2",
    "random:seed=0,3",
    "fastv:budget_means=kept,average:layer=2,3",
    "pyramiddrop",
    "sparsevlm:version=1.5,2.0",
    "saliency",
]


def test_every_name_asks_for_its_condition() -> None:
    keep = [Budget("count", 64), Budget("ratio", 0.22)]
    chosen = in_numerics(grid(SELECT, keep), "both")
    names = [str(c.spec()) for c in chosen]
    assert len(set(names)) == len(chosen) > 30
    for name, one in zip(names, chosen, strict=True):
        assert grid([name]) == [one]
    assert grid(names) == chosen


def test_a_part_of_a_name_and_lists_of_values() -> None:
    found = grid(["scope:alpha=0,1@64", "saliency"], [Budget("count", 16)])
    assert [str(c.spec()) for c in found] == [
        "scope:alpha=0 @64",
        "scope:alpha=1 @64",
        "saliency @16",
    ]
    assert len(grid(["random @64"])) == 3  # seeds
    (crops,) = grid(["saliency @64/crop"])
    assert crops.budget == Budget("count", 64, "crop")


def test_positions_that_a_selector_always_has_may_stand_in_its_name() -> None:
    (told,) = grid(["fastv @64 positions=original"])
    assert [told] == grid(["fastv @64"])
    with pytest.raises(PlanError, match="positions cannot be asked"):
        grid(["fastv @64 positions=contiguous"])


@pytest.mark.parametrize(
    ("select", "keep", "said"),
    [
        ("scope @64", [Budget("count", 16)], "--keep: each selection names its own budget"),
        (["full", "scope @64"], [Budget("count", 16)], "--keep: each selection names its own"),
        ("saliency @64 seed=1", [], "saliency draws nothing"),
        ("full @64", [], "full has a budget of its own"),
        ("scope @64 positions=original", [], "positions cannot be asked.*--positions"),
        ("scope @64 revision=7", [], "revision cannot be asked"),
        ("scope @x", [], "'x' is no budget"),
    ],
)
def test_names_that_cannot_be_asked_for(
    select: str | list[str], keep: list[Budget], said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        grid([select] if isinstance(select, str) else select, keep)


def test_neutral_values_are_the_defaults_of_the_selectors() -> None:
    assert registry.names("selectors")
    for name, values in NEUTRAL.items():
        plain = registry.load("selectors", name)()
        assert {k: (type(v), v) for k, v in values.items()} == {
            k: (type(getattr(plain, k)), getattr(plain, k)) for k in values
        }
