"""A condition has one name to type and one for people, whatever else there is."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calprune.data.condition import ALL_TOKENS, Budget, Condition, Scalar
from calprune.data.condition_names import (
    ConditionSpec,
    name_of,
    named,
    parse_name,
    seedless,
    spec_of,
    title_of,
)
from calprune.errors import PlanError

SCOPE = Condition(
    benchmark="shapes",
    benchmark_digest="b" * 64,
    model="m",
    model_digest="d" * 64,
    template="t" * 64,
    answer_tokens=((5, 6), (7,)),
    features="cls@-2:sum+patches@-2",
    pixels="CLIPImageProcessor:pil/pad",
    selector="scope",
    parameters=(("alpha", 0.0), ("gap_power", 1.0)),
    revision=1,
    budget=Budget("count", 128),
)


K128 = Budget("count", 128)


def other(selector: str, budget: Budget = K128, **changes: object) -> Condition:
    plain = {"selector": selector, "parameters": (), "budget": budget, "features": None}
    return dataclasses.replace(SCOPE, **{**plain, **changes})  # type: ignore[arg-type]


FASTV = other("fastv", parameters=(("budget_means", "kept"), ("layer", 2)), positions="original")
AVERAGE = dataclasses.replace(FASTV, parameters=(("budget_means", "average"), ("layer", 2)))
CDPRUNER = other(
    "cdpruner",
    Budget("count", 64),
    parameters=(("theta", 0.0),),
    features="joint@-2/clip:1a2b3c4d+projected@-2+segments/clip:1a2b3c4d",
)
HOSTILE = other("mine", parameters=(("how", "a b:c=d@e,f%/é"),))

KNOWN = {
    "scope:alpha=0 @128": (SCOPE, "SCOPE α=0, K=128"),
    "scope:alpha=0:gap_power=2 @128": (
        dataclasses.replace(SCOPE, parameters=(("alpha", 0.0), ("gap_power", 2.0))),
        "SCOPE α=0, p=2, K=128",
    ),
    "scope:alpha=0 @128 positions=original numerics=compat": (
        dataclasses.replace(SCOPE, positions="original", numerics="compat"),
        "SCOPE α=0, K=128, original positions, compat",
    ),
    "scope:alpha=0 @128 revision=2 features=cls@-2:sum+patches@-3": (
        dataclasses.replace(SCOPE, revision=2, features="cls@-2:sum+patches@-3"),
        "SCOPE α=0, K=128, revision 2, features cls@-2:sum+patches@-3",
    ),
    "full": (other("full", ALL_TOKENS), "full"),
    "blind": (other("blind", Budget("count", 0)), "blind"),
    "random @22% seed=0": (other("random", Budget("ratio", 0.22), seed=0), "random 22%, seed 0"),
    "random @all seed=1": (other("random", ALL_TOKENS, seed=1), "random all, seed 1"),
    "saliency @64/crop": (
        other("saliency", Budget("count", 64, "crop")),
        "saliency K=64 per crop",
    ),
    "saliency @64": (  # as the picture counts it
        other("saliency", Budget("count", 64, "crop"), pixels="CLIPImageProcessor:pil/per-crop"),
        "saliency K=64",
    ),
    "fastv @128": (FASTV, "FastV K=128"),
    "fastv:budget_means=average @128": (AVERAGE, "FastV budget_means=average, K=128"),
    "fastv:layer=3 @128 positions=contiguous": (
        dataclasses.replace(
            FASTV, parameters=(("budget_means", "kept"), ("layer", 3)), positions="contiguous"
        ),
        "FastV layer=3, K=128, contiguous positions",
    ),
    "cdpruner @64 clip=1a2b3c4d": (CDPRUNER, "CDPruner K=64, CLIP 1a2b3c4d"),
    "mine:how=a%20b%3Ac%3Dd%40e%2Cf%25%2Fé @128": (
        HOSTILE,
        "mine how=a%20b%3Ac%3Dd%40e%2Cf%25%2Fé, K=128",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_names_of_known_conditions(name: str) -> None:
    condition, title = KNOWN[name]
    assert name_of(condition) == name
    assert title_of(condition) == title
    assert str(parse_name(name)) == name


# One experiment: its picture and the tower it reads are given, as is what parameters are made of.
PARAMETERS: dict[str, dict[str, st.SearchStrategy[Scalar]]] = {
    "scope": {
        "alpha": st.sampled_from([0.0, 0.5, 1.0]),
        "gap_power": st.sampled_from([1.0, 2.0, 0.1 + 0.2]),
    },
    "fastv": {"budget_means": st.sampled_from(["kept", "average"]), "layer": st.integers(1, 3)},
    "cdpruner": {"theta": st.floats(0, 1)},
    "full": {},
    "random": {},
    "mine": {"how": st.text(max_size=8), "of 1:2@3": st.booleans(), "n": st.integers(-9, 9)},
}
BUDGETS = st.builds(
    Budget,
    st.just("count"),
    st.integers(0, 3) | st.integers(0, 10**6),
    st.sampled_from(["global", "split", "crop"]),
) | st.builds(
    Budget,
    st.just("ratio"),
    st.sampled_from([0.0, 0.22, 1.0]) | st.floats(0, 1),
    st.sampled_from(["global", "split", "crop"]),
)


@st.composite
def conditions(draw: st.DrawFn, picture: str = "pad", selector: str = "") -> Condition:
    selector = selector or draw(st.sampled_from(sorted(PARAMETERS)))
    read = {"scope": "cls@-2:sum+patches@-2", "cdpruner": "joint@-2/clip:00000001+projected@-2"}
    odd = ["patches@-3", "joint@-2/clip:00000002+projected@-2", "a b"]
    features = draw(st.sampled_from([read.get(selector), *odd]))
    positions = st.sampled_from(["contiguous", "original"])
    return dataclasses.replace(
        SCOPE,
        pixels=f"CLIPImageProcessor:pil/{picture}",
        selector=selector,
        parameters=tuple(sorted((k, draw(v)) for k, v in PARAMETERS[selector].items())),
        revision=draw(st.sampled_from([1, 2, 11])),
        budget=draw(BUDGETS),
        seed=draw(st.sampled_from([None, 0, 1, 12])),
        # where everything is kept, the model decides
        positions="contiguous" if selector == "full" else draw(positions),
        numerics=draw(st.sampled_from([None, "compat"])),
        features=features,
    )


@given(st.data(), st.sampled_from(["pad", "split", "per-crop"]))
def test_two_conditions_of_an_experiment_never_share_a_name(data: st.DataObject, picture) -> None:
    one = data.draw(conditions(picture))
    two = data.draw(conditions(picture) | changed(one))
    assert (
        (one.key == two.key) == (name_of(one) == name_of(two)) == (title_of(one) == title_of(two))
    )
    for mine, its in ((one, two), (two, one)):
        spec = parse_name(name_of(mine))
        assert spec == spec_of(mine)
        assert spec.names(mine)
        # a name without a seed stands for all of them
        unseeded = dataclasses.replace(its, seed=None) if mine.seed is None else its
        assert spec.names(its) == (unseeded.key == mine.key)


def changed(condition: Condition) -> st.SearchStrategy[Condition]:
    """The same but for one of its fields."""

    def one(field: str) -> st.SearchStrategy[Condition]:
        return conditions(condition.picture, condition.selector).map(
            lambda c: dataclasses.replace(condition, **{field: getattr(c, field)})
        )

    fields = ("parameters", "revision", "budget", "seed", "positions", "numerics", "features")
    return st.sampled_from(fields).flatmap(one)


@given(conditions(), st.lists(conditions(), max_size=3))
def test_names_do_not_depend_on_the_company(condition: Condition, company) -> None:
    there = [condition, *company]
    found = named(name_of(condition), there)
    assert 0 in found
    same = dataclasses.replace(condition, seed=None).key
    assert all(dataclasses.replace(there[i], seed=None).key == same for i in found)


GRID = [
    other("full", ALL_TOKENS),
    *(
        dataclasses.replace(
            SCOPE, parameters=(("alpha", a), ("gap_power", p)), budget=Budget("count", k)
        )
        for a in (0.0, 1.0)
        for p in (1.0, 2.0)
        for k in (64, 128)
    ),
    *(other("random", Budget("count", 64), seed=s) for s in (0, 1)),
    other("mine", parameters=(("x", 1),)),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("full", ["full"]),
        ("scope:alpha=1", ["scope:alpha=1 @64", "scope:alpha=1 @128"]),
        ("scope:alpha=1.0 @64", ["scope:alpha=1 @64"]),
        ("scope:alpha=1@64", ["scope:alpha=1 @64"]),
        ("scope@64", ["scope:alpha=0 @64", "scope:alpha=1 @64"]),
        (
            "scope:gap_power=2@64",
            ["scope:alpha=0:gap_power=2 @64", "scope:alpha=1:gap_power=2 @64"],
        ),
        ("random @64", ["random @64 seed=0", "random @64 seed=1"]),
        ("random:seed=1", ["random @64 seed=1"]),
        ("mine", ["mine:x=1 @128"]),
        ("scope:alpha=3", []),
        ("scope:beta=1", []),
        ("nothing", []),
    ],
)
def test_a_part_of_a_name_stands_for_all_that_have_it(text: str, found: list[str]) -> None:
    assert [name_of(GRID[i]) for i in named(text, GRID)] == found


def test_what_is_silent_is_found_if_there_is_nothing_else() -> None:
    powered = [c for c in GRID if ("gap_power", 2.0) in c.parameters]
    assert len(named("scope", powered)) == 4
    assert named("full", [other("full", ALL_TOKENS, numerics="compat")]) == [0]


def test_a_key_names_its_condition() -> None:
    assert named(GRID[3].key, GRID) == named(GRID[3].key[:8], GRID) == [3]
    assert named(GRID[3].key[:7], GRID) == []


def test_seeds_together() -> None:
    assert str(seedless(other("random", seed=3))) == "random @128"


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "@128", "scope:alpha", "scope @", "scope @12x", "scope @12.5.5", "scope @120%"),
        *("scope @1/row", "scope @1 @2", "scope:a=1:a=2", "scope seed=x", "scope alpha=1", "a ="),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(PlanError) as refused:
        parse_name(text)
    assert repr(text) in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        spec = parse_name(text)
    except PlanError:
        return
    assert isinstance(spec, ConditionSpec)
    assert parse_name(str(spec)) == spec
