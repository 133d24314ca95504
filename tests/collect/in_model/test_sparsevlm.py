"""SparseVLM: stages, raters and merged tokens against the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calprune.collect.grid import grid
from calprune.collect.in_model import reference
from calprune.collect.in_model.run import reply
from calprune.collect.in_model.scores import corrected_score, raters
from calprune.collect.in_model.token_merging import cluster_means, noise
from calprune.collect.models import open_adapter
from calprune.collect.packed.reply import Packed
from calprune.collect.pruning_stages import Stage, planned, promised
from calprune.collect.selectors.sparsevlm import SparseVLM
from calprune.data.condition import Budget
from calprune.errors import PlanError
from tests.collect.checkpoints import save_checkpoint
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
    calm,
    fast,
    moves,
    question,
    row,
)


def sparse(version: str, keep: tuple[int, ...] = (9, 6, 3)) -> tuple[Stage, ...]:
    """Version 1.5 and 2.0 in small: after layers 0, 2 and 3."""
    stages, left = [], PATCHES - 4
    for before, k in zip((1, 3, 4), keep, strict=True):
        n, m = (left - k, 1 + (left > 10)) if version == "1.5" else (0, 0)
        heads = 1 if version == "2.0" else 0
        stages.append(Stage(before, before - 1, k, "raters", heads, merge_from=n, merged=m))
        left = k + m
    return tuple(stages)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("version", ["1.5", "2.0"])
def test_sparsevlm_is_the_references(adapters: dict[str, Any], kind: str, version: str) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, i, TAILS[: i + 1]) for i in range(3)]
    stages, contiguous = sparse(version), version == "1.5"
    found = fast(adapter, rows, stages, contiguous)
    agree(adapter, rows, stages, found, contiguous)
    assert (found.merged[:, -1] > 0).all() == contiguous
    if kind != "window":
        last = fast(adapter, rows, tuple(_by_last(s) for s in stages), contiguous)
        moves(found.logits[[2, 5]], last.logits[[2, 5]])


def _by_last(stage: Stage) -> Stage:
    return replace(stage, rows="last", heads=0)


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(MADE)),
    st.sampled_from(["1.5", "2.0"]),
    st.lists(SETS, min_size=1, max_size=2),
    st.integers(20, 200),
    st.integers(0, 1 << 16),
)
def test_any_questions_rate(
    adapters: dict[str, Any], kind: str, version: str, sets: Any, tokens: int, seed: int
) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, seed + i, suffixes) for i, suffixes in enumerate(sets)]
    stages, contiguous = sparse(version), version == "1.5"
    found = fast(adapter, rows, stages, contiguous, tokens)
    assume(version == "2.0" or found.margin.min() > CLOSE)
    agree(adapter, rows, stages, found, contiguous)


@pytest.mark.parametrize("version", ["1.5", "2.0"])
def test_published_counts_on_576_tokens(tmp_path: Any, version: str) -> None:
    adapter = calm(open_adapter(str(save_checkpoint(tmp_path / "m", layers=LAYERS))))
    whole = row(adapter, 0, TAILS[:1], v=576)
    selector = SparseVLM(version)
    found = reply(Packed(adapter), [whole], "sparsevlm", selector, [96], IMAGES[:1])
    after = [249, 55, 27, 27, 27] if version == "1.5" else [246, 54, 28, 28, 28]
    assert found.visual.tolist() == [[576, *after]]
    stages = selector.stages(96, 576, LAYERS)
    asked = question(adapter, whole, TAILS[0], IMAGES[0])
    by = reference.spelled_out if version == "1.5" else reference.hidden_away
    logits, kept = by(adapter, asked, stages)
    assert found.kept[0].tolist() == kept[kept >= 0].tolist()
    assert np.abs(found.logits[0] - logits).max() < TOLERANCE


def test_sparsevlm_as_published() -> None:
    """With merged tokens, as the released code's own log counts them."""
    with_merged = {192: [309, 204, 113], 128: [312, 117, 39], 96: [249, 55, 27], 64: [82, 32, 18]}
    for budget, counts in with_merged.items():
        stages = planned("sparsevlm", SparseVLM(), budget, 576, 32)
        assert [s.before for s in stages] == [3, 7, 16]
        assert [s.by for s in stages] == [2, 6, 15]
        assert [s.keep + s.merged for s in stages] == counts
        assert not any(s.heads for s in stages)
    really = {"1.5": [206.5, 145.4, 114.1, 82.2], "2.0": [206.8, 144.1, 113.9, 81.8]}
    for version, means in really.items():
        for budget, mean in zip((192, 128, 96, 64), means, strict=True):
            stages = planned("sparsevlm", SparseVLM(version), budget, 576, 32)
            assert np.mean(promised(stages, 576, 0, 32)) == pytest.approx(mean, abs=0.06)
    assert [s.before for s in SparseVLM().stages(64, 576, 40)] == [3, 7, 16]
    assert [s.before for s in SparseVLM().stages(64, 576, 4)] == [1, 2, 3]


def test_what_sparsevlm_does_not_define() -> None:
    with pytest.raises(PlanError, match="no counts are published for 100 tokens; --keep one or mo"):
        SparseVLM().stages(100, 576, 32)
    with pytest.raises(PlanError, match=r"for images of 576 visual tokens .* this one has 2340"):
        SparseVLM().stages(64, 2340, 32)
    with pytest.raises(PlanError, match="at least 4 layers, not 3"):
        SparseVLM().stages(64, 576, 3)
    with pytest.raises(PlanError, match=r"version is '1.5' or '2.0', not '1'"):
        SparseVLM("1")
    with pytest.raises(PlanError, match="seed must be >= 0, not -1"):
        SparseVLM(seed=-1)


def test_only_version_1_5_draws() -> None:
    keep = [Budget("count", 64)]
    assert [c.seed for c in grid(["sparsevlm"], keep)] == [0, 1, 2]
    assert [c.seed for c in grid(["sparsevlm:version=2.0"], keep)] == [None]


def test_raters_are_above_the_mean() -> None:
    visual = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    text = torch.tensor([[3.0, 0.0], [0.0, 9.0], [2.9, 5.0]])
    assert raters(visual, text).tolist() == [0, 2]
    assert raters(visual, text[:1]).tolist() == [0], "one alone is not above its own mean"


def test_only_heads_with_the_largest_mass_count() -> None:
    rows = torch.tensor([[[0.1, 0.2, 0.3], [0.5, 0.1, 0.9], [0.0, 0.3, 0.1]]])  # 1, heads, columns
    bias = torch.tensor([[1.0, 2.0, 4.0]])
    columns = torch.tensor([0, 2])
    one, two = (corrected_score(rows, bias, columns, n).tolist() for n in (1, 2))
    assert one == pytest.approx([0.5, 0.9 / 4])
    assert two == pytest.approx([0.3, 0.15])


def test_noise_is_named_by_seed_image_question_and_stage() -> None:
    first = noise(0, IMAGES[0], (1, 2), 0, 5)
    np.testing.assert_array_equal(first, noise(0, IMAGES[0], (1, 2), 0, 5))
    others = [(1, IMAGES[0], (1, 2), 0), (0, IMAGES[1], (1, 2), 0), (0, IMAGES[0], (1, 3), 0)]
    for other in [*others, (0, IMAGES[0], (1, 2), 1)]:
        assert (noise(*other, 5) != first).all()


def test_merged_tokens_are_cluster_means() -> None:
    """Two tight groups far apart, by hand."""
    tokens = np.array([[0.0, 0.0], [0.2, 0.0], [0.0, 0.2], [9.0, 9.0], [9.2, 9.0]])
    found = cluster_means(tokens, 2, np.linspace(0, 1, 5))
    expected = [tokens[:3].sum(0) / (3 + 1e-6), tokens[3:].sum(0) / (2 + 1e-6)]
    order = np.argsort(found[:, 0])
    np.testing.assert_allclose(found[order], expected)
