"""Compat numerics: what the reference code does in float16, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from calprune.collect import run
from calprune.collect.grid import SelectorChoice, budgets, grid, in_numerics
from calprune.collect.inspection.overlap import compare_selections
from calprune.collect.selection.coverage_half import _add_up, _half
from calprune.collect.selection.half_precision import half_similarity
from calprune.collect.selectors import VisualTokens
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.selectors.scope import Scope
from calprune.data.storage.store import Store
from calprune.errors import PlanError


def clustered(
    seed: int, v: int = 576, d: int = 1024, clusters: int = 40, spread: float = 0.7
) -> VisualTokens:
    """Features that float16 holds exactly, around a few centres, with peaked attention."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(clusters, d))[rng.integers(0, clusters, v)]
    features = (centre + spread * rng.normal(size=(v, d))).astype(np.float16)
    saliency = rng.lognormal(-6, 1, v).astype(np.float16).astype(np.float64)
    return VisualTokens(f"{seed:064x}", features, saliency, np.zeros(v, np.bool_))


def reference(tokens: VisualTokens, alpha: float, power: float, k: int) -> list[int]:
    """SCOPE as its formula reads, every tensor in float16."""
    x = torch.from_numpy(np.asarray(tokens.features, np.float32)).half()
    x = x / x.norm(dim=-1, keepdim=True)
    similarity = x @ x.T
    saliency = torch.from_numpy(tokens.saliency).half()
    cover, kept = torch.zeros(len(x), dtype=torch.float16), list[int]()
    for _ in range(k):
        gain = (similarity - cover[:, None]).clamp(min=0) ** power
        score = gain.sum(0, dtype=torch.float32).half() * saliency**alpha
        score[kept] = -1
        kept.append(int(np.argmax(score.numpy())))
        cover = torch.maximum(cover, similarity[:, kept[-1]])
    return kept


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_scope_is_the_formula_in_float16(alpha: float, power: float) -> None:
    tokens = clustered(0, 120, 64, 12)
    ranking = Scope(alpha, power).rank(replaced(tokens))
    expected = reference(tokens, alpha, power, 60)
    agree = np.mean([a == b for a, b in zip(ranking.order[:60], expected, strict=True)])
    assert len({*ranking.order[:60].tolist()} & {*expected}) >= 57  # sums add up in another order
    assert agree >= 0.8


def stepwise(
    tokens: VisualTokens, alpha: float, power: float
) -> tuple[list[int], list[float], list[float], list[bool]]:
    """All picks, scores, margins and ties as torch makes them, with every sum taken anew."""
    similarity = half_similarity(tokens.features)
    weight = torch.from_numpy(tokens.saliency).half() ** alpha
    cover = torch.zeros(len(weight), dtype=torch.float16)
    left = torch.ones(len(weight), dtype=torch.bool)
    picks, scores, margins, ties = [], [], [], []
    for _ in range(len(weight)):
        gap = (similarity - cover[:, None]).clamp(min=0)
        gain = (gap if power == 1.0 else gap**power).sum(0)
        score = (gain * weight).double().masked_fill(~left, -torch.inf)
        falling = score.sort(descending=True).values.tolist()
        picks.append(int((score == falling[0]).nonzero()[0]))
        scores.append(falling[0])
        second = falling[1] if len(picks) < len(weight) else -np.inf
        lead = falling[0] > 0.0 and np.isfinite(second)
        margins.append((falling[0] - second) / falling[0] if lead else 0.0)
        ties.append(second == falling[0])
        left[picks[-1]] = False
        cover = torch.maximum(cover, similarity[:, picks[-1]])
    return picks, scores, margins, ties


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several, torch adds up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("v", [1, 3, 16, 64, 128, 320])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0])
def test_every_bit_is_torchs(v: int, alpha: float, power: float, one_thread: None) -> None:
    tokens = clustered(v, v, 32, max(1, v // 8))
    ranking = Scope(alpha, power).rank(replaced(tokens))
    picks, scores, margins, ties = stepwise(tokens, alpha, power)
    assert ranking.order.tolist() == picks
    assert ranking.score.tolist() == scores
    assert ranking.margin.tolist() == margins
    assert ranking.tied.tolist() == ties


@pytest.mark.parametrize("v", [257, 4096, 4700])
def test_sums_are_torchs_bit_for_bit(v: int, one_thread: None) -> None:
    """Whole blocks of 16, 256 and 4,096 rows, and what is left over; some rows change."""
    rng = np.random.default_rng(v)
    terms = np.maximum(rng.normal(size=(v, 64)), 0).astype(np.float16).astype(np.float32)
    blocks = np.zeros((v // 16, 64), np.float32)
    large, sums = np.zeros((v // 256, 64), np.float32), np.zeros(64, np.float32)
    changed = np.ones(v, np.bool_)
    for _ in range(3):
        _add_up(terms, changed, blocks, large, sums)
        np.testing.assert_array_equal(sums, torch.from_numpy(terms).sum(0).numpy())
        changed = rng.random(v) < 0.01
        terms[changed] *= np.float32(0.5)


def test_rounding_is_numpys() -> None:
    every = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (every[1:] + every[:-1]) / 2
    near = np.concatenate([every, between, np.nextafter(between, 0), np.nextafter(between, 1e6)])
    near = np.concatenate([near, np.array([65519.0, 65519.996, 65520.0, 7e4, 1e9], np.float32)])
    with np.errstate(over="ignore"):
        expected = near.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal([_half(np.float32(x)) for x in near], expected)


def test_weights_beyond_float16_are_refused() -> None:
    tokens = clustered(0, 12, 8, 3)
    loud = replace(tokens, saliency=np.full(12, 300.0), compat=True)
    with pytest.raises(PlanError, match=r"saliency\*\*2 overflows.*300"):
        Scope(2.0).rank(loud)


def replaced(tokens: VisualTokens) -> VisualTokens:
    return VisualTokens(
        tokens.image, tokens.features, tokens.saliency, tokens.separator, compat=True
    )


def test_half_precision_makes_ties_at_alpha_0() -> None:
    """Saliency separates what float16 sums do not: without it many picks are other ones."""
    overlap: dict[float, list[float]] = {0.0: [], 0.5: [], 1.0: []}
    ties: dict[float, list[int]] = {0.0: [], 0.5: [], 1.0: []}
    for seed in range(3):
        tokens = clustered(seed)
        for alpha in overlap:
            exact, half = Scope(alpha).rank(tokens), Scope(alpha).rank(replaced(tokens))
            a, b = ({*r.order[:192].tolist()} for r in (exact, half))
            overlap[alpha].append(len(a & b) / 192)
            ties[alpha].append(int(half.tied[:192].sum()))
    means = {alpha: np.mean(x) for alpha, x in overlap.items()}
    assert 0.85 < means[0.0] < 0.98
    assert min(means[0.5], means[1.0]) > 0.98
    assert np.mean(ties[0.0]) > 3 * np.mean(ties[0.5]) > 0


def test_saliency_ties_where_float16_does() -> None:
    score = np.array([0.1, 0.7, 0.70001, 0.0, 0.9])
    tokens = VisualTokens("0" * 64, np.eye(5), score, np.zeros(5, np.bool_))
    canonical, half = Saliency().rank(tokens), Saliency().rank(replaced(tokens))
    assert canonical.order.tolist() == [4, 2, 1, 0, 3]
    assert half.order.tolist() == [4, 1, 2, 0, 3]
    assert half.tied.tolist() == [False, True, False, False, False]
    assert half.margin[1] == 0.0


def test_glue_is_neither_taken_nor_covered() -> None:
    rng = np.random.default_rng(0)
    features, saliency = rng.normal(size=(12, 8)), rng.random(12)
    separator = np.arange(12) % 4 == 3
    whole = VisualTokens(
        "0" * 64, features, np.where(separator, np.nan, saliency), separator, compat=True
    )
    alone = VisualTokens(
        "0" * 64, features[~separator], saliency[~separator], separator[~separator], compat=True
    )
    places = np.flatnonzero(~separator)
    for selector in (Scope(), Saliency()):
        there = selector.rank(whole).order
        np.testing.assert_array_equal(there[there >= 0], places[selector.rank(alone).order])


def test_similarity_of_zero_rows() -> None:
    found = half_similarity(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert found.tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0, abs=2e-3)]]


def chosen(*select: str) -> list[SelectorChoice]:
    return grid(select, budgets("16"))


def test_what_each_numerics_gives() -> None:
    few = chosen("full", "scope:alpha=0", "random:seed=0", "divprune")
    assert in_numerics(few, "canonical") == few
    assert [c.compat for c in in_numerics(few, "compat")] == [False, True, False, True]
    both = [(c.name, c.compat) for c in in_numerics(few, "both")]
    assert [name for name, on in both if on] == [
        c.name for c in few if "compat" in getattr(c.selector, "numerics", ())
    ]
    with pytest.raises(PlanError, match=r"'compta'.*compat"):
        in_numerics(few, "compta")


def test_conditions_and_rankings_are_told_apart(tiny_llava: Path, tmp_path: Path) -> None:
    wanted = {
        "store": tmp_path, "model": str(tiny_llava), "images": 2, "keep": 16,
        "select": ["scope:alpha=0", "saliency"], "min_mass": 0,
    }  # fmt: skip
    outcome = run.collect("shapes", numerics="both", **wanted)  # type: ignore[arg-type]
    labels = [c.condition.label for c in outcome.plan.conditions]
    assert labels[:2] == ["scope-alpha0-gap_power1-k16", "scope-alpha0-gap_power1-k16-compat"]
    tables = {t.condition.label: t.condition for t in Store(tmp_path).tables()}
    assert set(tables) == set(labels)
    assert tables[labels[0]].numerics is None
    assert tables[labels[1]].numerics == "compat"
    folders = {p.name[:-9] for p in (tmp_path / "rankings").rglob("*-*") if p.is_dir()}
    assert {"scope-alpha0-gap_power1", "scope-alpha0-gap_power1-compat"} <= folders
    wanted.pop("min_mass")
    found = compare_selections("shapes", numerics="both", **wanted)  # type: ignore[arg-type]
    pair = next(p for p in found.pairs if p.other == f"{p.one} numerics=compat")
    assert 0.3 < pair.mean <= 1.0
    from calprune.analyze.study import open_study

    rows = open_study(tmp_path).estimates(["accuracy"])
    assert len(rows[["selector", "parameters"]].astype(str).drop_duplicates()) == 4


def test_selectors_without_compat_are_refused_with_those_that_have(
    tiny_llava: Path, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match=r"divprune has no compat.*saliency, scope"):
        run.prepare(
            "shapes", store=tmp_path, model=str(tiny_llava), images=1, select="divprune",
            keep=16, numerics="compat",
        )  # fmt: skip
