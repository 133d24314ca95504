"""Stages that count positions anew, merge, or start again: PyramidDrop, SparseVLM, two passes."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calprune.collect.grid import grid
from calprune.collect.in_model import reference
from calprune.collect.in_model.run import reply
from calprune.collect.packed.reply import Packed
from calprune.collect.pruning_stages import Stage, is_in_model, planned, positions_of, promised
from calprune.collect.selectors.fastv import FastV
from calprune.collect.selectors.fastv_two_pass import FastVTwoPass
from calprune.collect.selectors.pyramiddrop import PyramidDrop
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.selectors.sparsevlm import SparseVLM
from calprune.data.condition import Budget
from calprune.errors import ModelError, PlanError
from tests.collect.in_model.decoders import (
    CLOSE,
    IMAGES,
    LAYERS,
    MADE,
    PATCHES,
    SETS,
    TAILS,
    TOLERANCE,
    agree,
    fast,
    moves,
    question,
    row,
)
from tests.collect.in_model.test_sparsevlm import sparse

# PyramidDrop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
def test_pyramiddrop_is_the_loops(adapters: dict[str, Any], kind: str) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, i, TAILS[: i + 1]) for i in range(3)]
    stages = PyramidDrop().stages(7, PATCHES, LAYERS)
    assert [(s.before, s.by, s.keep) for s in stages] == [(2, 2, 8), (3, 3, 4), (5, 5, 2)]
    found = fast(adapter, rows, stages, contiguous=True)
    assert found.margin.min() > CLOSE, "choose other weights: rounding decides"
    agree(adapter, rows, stages, found, contiguous=True)
    if kind != "window":
        moves(found.logits, fast(adapter, rows, stages, contiguous=False).logits)


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(MADE)),
    st.lists(SETS, min_size=1, max_size=3),
    st.lists(st.integers(1, LAYERS - 1), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(1, PATCHES - 4), min_size=3, max_size=3),
    st.booleans(),
    st.booleans(),
    st.integers(20, 200),
    st.integers(0, 1 << 16),
)
def test_any_stages(
    adapters: dict[str, Any],
    kind: str,
    sets: Any,
    before: list[int],
    keep: list[int],
    next_layer: bool,
    contiguous: bool,
    tokens: int,
    seed: int,
) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, seed + i, suffixes) for i, suffixes in enumerate(sets)]
    falling = sorted(keep, reverse=True)
    stages = tuple(
        Stage(b, b if next_layer else b - 1, k)
        for b, k in zip(sorted(before), falling, strict=False)
    )
    found = fast(adapter, rows, stages, contiguous, tokens)
    dropped = stages[0].keep < PATCHES - int(rows[0].separator.sum())
    assume(not dropped or len(set(falling)) < 3 or found.margin.min() > CLOSE)
    agree(adapter, rows, stages, found, contiguous)


def test_pyramiddrop_as_published() -> None:
    p = PyramidDrop()
    assert p.budget == Budget("ratio", 270 / 576)
    assert [s.before for s in p.stages(270, 576, 32)] == [8, 16, 24]
    assert [s.keep for s in p.stages(270, 576, 32)] == [288, 144, 72]
    seen = promised(p.stages(270, 576, 32), 576, 0, 32)
    assert np.mean(seen) == 270
    assert [s.before for s in p.stages(270, 576, 40)] == [10, 20, 30]
    assert [s.before for s in p.stages(270, 576, 4)] == [1, 2, 3]
    assert grid(["pyramiddrop"], [Budget("count", 5)])[0].budget == p.budget


def test_pyramids_that_make_no_sense() -> None:
    for every in (0, 0.34):
        with pytest.raises(PlanError, match=f"every is a share .* between 0 and 1/3, not {every}"):
            PyramidDrop(every=every)
    with pytest.raises(PlanError, match="ratio lies between 0 and 1, not 0"):
        PyramidDrop(ratio=0)
    with pytest.raises(PlanError, match=r"stages before layers \[1, 1, 2\] of 2"):
        PyramidDrop().stages(5, 576, 2)
    with pytest.raises(PlanError, match=r"ratio=0.5 leaves less than one of 7 visual tokens"):
        PyramidDrop().stages(3, 7, 32)


def test_a_pyramid_meets_its_budget_or_says_how() -> None:
    """15/32 of the tokens a layer, within one token; else a pyramid that does is proposed."""
    for layers in range(4, 81):
        p = PyramidDrop()
        try:
            stages = p.stages(270, 576, layers)
        except PlanError as error:
            assert layers % 4
            said = r"its budget is 0.4688 of 576, 270.0; .* every=(0\.\d+)$"
            (every,) = re.findall(said, str(error))
            p = PyramidDrop(every=float(every))
            stages = p.stages(270, 576, layers)
        seen = promised(stages, 576, 0, layers)
        assert abs(np.mean(seen) - 576 * p.budget.value) <= 1, layers


# Two passes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
def test_two_passes_are_the_references(adapters: dict[str, Any], kind: str) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, i, TAILS[: i + 1]) for i in range(3)]
    stages = FastVTwoPass().stages(5, 12, LAYERS)
    found = fast(adapter, rows, stages)
    once = fast(adapter, rows, FastV().stages(5, 12, LAYERS))
    assert found.margin.min() > CLOSE
    agree(adapter, rows, stages, found)
    assert [k.tolist() for k in found.kept] == [k.tolist() for k in once.kept]
    if kind != "window":
        moves(found.logits, once.logits)


def test_two_passes_are_a_shorter_prompt(adapters: dict[str, Any]) -> None:
    """At contiguous positions: what the packed route says about the kept tokens alone."""
    adapter = adapters["llama"]
    whole, prefix = row(adapter, 1, TAILS), len(adapter.prompt("?").prefix)
    selector = FastVTwoPass(position_ids="contiguous")
    found = reply(Packed(adapter), [whole], "two", selector, [5], IMAGES[:1])
    assert found.visual.tolist() == [[5] * LAYERS] * 3
    for i, (kept, suffix) in enumerate(zip(found.kept, whole.suffixes, strict=True)):
        places = (prefix + np.arange(5))[None]
        short = replace(
            whole,
            visual=whole.visual[kept],
            separator=whole.separator[kept],
            positions=places,
            start=prefix + 5,
            suffixes=(suffix,),
        )
        alone = Packed(adapter).reply([short])
        assert np.abs(found.logits[i] - alone.logits[0]).max() < TOLERANCE
        np.testing.assert_array_equal(found.tokens[i], alone.tokens[0])


# What every layer saw ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(
    ("stages", "contiguous"),
    [
        (PyramidDrop().stages(7, PATCHES, LAYERS), True),
        (sparse("1.5"), True),
        (sparse("2.0"), False),
        (FastVTwoPass().stages(5, 12, LAYERS), False),
    ],
    ids=["pyramiddrop", "sparsevlm-1.5", "sparsevlm-2.0", "fastv-two-pass"],
)
def test_sets_of_every_stage_are_the_references(
    adapters: dict[str, Any], kind: str, stages: tuple[Stage, ...], contiguous: bool
) -> None:
    """What a stage leaves is what is left at the end where no further stage follows."""
    adapter = adapters[kind]
    rows = [row(adapter, i, TAILS[:2]) for i in range(2)]
    found = fast(adapter, rows, stages, contiguous)
    assert found.margin.min() > CLOSE, "choose other weights: rounding decides"
    asked = [(r, t, image) for r, image in zip(rows, IMAGES, strict=False) for t in r.suffixes]
    for at, (r, suffix, image) in enumerate(asked):
        for n, s in enumerate(stages, 1):
            one = question(adapter, r, suffix, image)
            _, kept = reference.spelled_out(adapter, one, stages[:n], contiguous)
            for layer in range(s.before, stages[n].before if n < len(stages) else LAYERS):
                left = np.flatnonzero(found.until[at] > layer)
                assert left.tolist() == kept[kept >= 0].tolist()
                assert found.merged[at, layer] == (kept < 0).sum()
        first = 0 if stages[0].again else stages[0].before
        assert found.until[at].min() == first
        assert not found.merged[at, :first].any()
        if kind != "window":
            seen = [(found.until[at] > x).sum() + found.merged[at, x] for x in range(LAYERS)]
            assert seen == found.visual[at].tolist()


# What plans ask ---------------------------------------------------------------------------------


def test_which_selectors_prune_inside() -> None:
    assert is_in_model(FastV())
    assert is_in_model(SparseVLM())
    assert not is_in_model(Saliency())


def test_positions_are_the_selectors_own() -> None:
    assert positions_of("fastv", FastV(), "contiguous") == "original"
    assert positions_of("fastv", FastV(), "original") == "original"
    assert positions_of("pyramiddrop", PyramidDrop(), "contiguous") == "contiguous"
    with pytest.raises(PlanError, match="pyramiddrop counts positions anew after each stage"):
        positions_of("pyramiddrop", PyramidDrop(), "original")
    with pytest.raises(PlanError, match="position_ids are 'original' or 'contiguous', not 'x'"):
        FastVTwoPass(position_ids="x")


class Odd:
    """A third party's selector that promises what cannot be."""

    positions = "original"

    def __init__(self, *stages: Stage) -> None:
        self.given = stages

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        return self.given


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ((), "odd: names no stage"),
        ((Stage(0, 0, 5),), "stage 1 stands before layer 0"),
        ((Stage(6, 5, 5),), "stages rise from 1 to 5 in a decoder of 6 layers"),
        ((Stage(2, 1, 5), Stage(2, 1, 4)), "stage 2 stands before layer 2"),
        ((Stage(2, 0, 5),), "ranked by layer 0"),
        ((Stage(2, 1, 17),), "stage 1 keeps 17"),
        ((Stage(2, 1, 4, merge_from=3, merged=1),), "merged tokens have no position"),
        ((Stage(2, 1, 4, again=True), Stage(3, 2, 3)), "a second pass stands alone"),
    ],
)
def test_stages_that_cannot_be(stages: Any, says: str) -> None:
    selector: Any = Odd(*stages)
    with pytest.raises(PlanError, match=says):
        planned("odd", selector, 5, PATCHES, LAYERS)


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (lambda *_: 1 // 0, r"selector 'odd' failed at its stages for 5 of 16 visual tokens in 6 "),
        (lambda *_: None, "TypeError: 'NoneType' object is not iterable"),
        (lambda *_: [(2, 1, 5)], "selector 'odd': its stages are of Stage, not tuple"),
    ],
)
def test_a_plug_in_that_fails_is_named(fails: Any, says: str) -> None:
    selector: Any = SimpleNamespace(positions="original", stages=fails)
    with pytest.raises(PlanError, match=says):
        planned("odd", selector, 5, PATCHES, LAYERS)


def test_the_hiding_reference_refuses_what_hiding_cannot_do(adapters: dict[str, Any]) -> None:
    adapter = adapters["llama"]
    asked = question(adapter, row(adapter, 0, TAILS), TAILS[0], IMAGES[0])
    with pytest.raises(ModelError, match="keys can be hidden only by what has run"):
        reference.hidden_away(adapter, asked, PyramidDrop().stages(7, PATCHES, LAYERS))
