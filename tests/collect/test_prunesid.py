"""PruneSID against a re-implementation in torch and plain lists, and its parts by themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.grid import grid
from calprune.collect.selector import guided
from calprune.collect.selectors import CLS, Merges, VisualTokens, prunesid
from calprune.collect.selectors.prunesid import PruneSID, _groups, _quotas, _states
from calprune.data.random_draws import Draws
from calprune.errors import PlanError
from tests.collect.merging_tokens import KINDS, SALIENCIES, falling, signalled

SEEDS = st.integers(0, 2**32)
SHAPES = st.tuples(st.integers(1, 7), st.integers(3, 7))


def groups_by_hand(tokens: VisualTokens, count: int, seed: int) -> list[int]:
    """Randomised PCA of the transposed sigmoid, with an orthonormal basis after every product."""
    p = torch.sigmoid(torch.from_numpy(tokens.features).double()).T
    p = p - p.mean(dim=0)
    q = min(count, *p.shape)
    sketch = torch.from_numpy(Draws(seed, int(tokens.image[:16], 16)).normals(p.shape[0], q))
    basis = torch.linalg.qr(p.T @ sketch)[0]
    for _ in range(2):
        basis = torch.linalg.qr(p @ basis)[0]
        basis = torch.linalg.qr(p.T @ basis)[0]
    _, size, turn = torch.linalg.svd(p @ basis, full_matrices=False)
    kept = size > 1e-6 * max(0.5, float(size[0]))  # half of ours: a sigmoid is half a tanh
    weight = (basis @ turn.T)[:, kept].abs()
    if weight.shape[1] == 0:
        return [0] * len(tokens.features)
    near = weight >= weight.amax(dim=1, keepdim=True) * (1 - 1e-9) - 1e-12
    return [row.index(True) for row in near.tolist()]


def quotas_by_hand(accepted: list[int], size: list[int], k: int) -> list[int]:
    n = torch.tensor(accepted)
    low = [min(1, c) for c in size]
    high = [min(5 * ((k + 63) // 64), c, a) for c, a in zip(size, accepted, strict=True)]
    while sum(high) < k:
        high = [min(h + 1, c) for h, c in zip(high, size, strict=True)]
    rest = max(0, k - sum(low) - 1)
    edges = [0, *torch.round(torch.cumsum(n / n.sum(), 0) * rest).long().tolist()]
    quota = [lo + b - a for lo, a, b in zip(low, edges, edges[1:], strict=False)]
    quota = [min(q, h) for q, h in zip(quota, high, strict=True)]
    short = k - 1 - sum(quota)
    for g in sorted(range(len(size)), key=lambda g: (-accepted[g], g)):
        more = min(short, high[g] - quota[g])
        quota[g], short = quota[g] + more, short - more
    return quota


def picked_by_hand(tokens: VisualTokens, k: int, group: list[int]) -> list[int]:
    """Patches in the order in which they are fed, given their groups."""
    s, a, v = tokens.similarity.astype(np.float64), tokens.saliency, len(group)
    pairs = [s[u, w] for u in range(v) for w in range(u + 1, v)]
    threshold = k / 32 * float(np.mean(pairs))
    members = [[u for u in falling(a) if group[u] == g] for g in range(max(group) + 1)]
    accepted: list[list[int]] = []
    for own in members:
        kept: list[int] = []
        left = list(own)
        while left:
            best, *left = left
            kept.append(best)
            left = [u for u in left if s[best, u] <= threshold]
        accepted.append(kept)
    quotas = quotas_by_hand([len(x) for x in accepted], [len(x) for x in members], k)
    out = []
    for own, kept, quota in zip(members, accepted, quotas, strict=True):
        out += (kept + [u for u in own if u not in kept])[:quota]
    return out


@settings(max_examples=300)
@given(SEEDS, SHAPES, st.sampled_from(KINDS), st.sampled_from(SALIENCIES), st.data())
def test_prunesid_follows_its_rule(
    seed: int, shape: tuple[int, int], kind: str, saliency: str, data: st.DataObject
) -> None:
    tokens = signalled(seed, shape, kind, saliency, d=data.draw(st.sampled_from([3, 12, 40])))
    v = len(tokens.features)
    k = data.draw(st.integers(2, v - 1))
    merged = PruneSID(seed=seed % 3).merge(tokens, k)
    picks = merged.token[1:].tolist()
    assert merged.token[0] == CLS
    assert len(picks) == len(set(picks)) == k - 1
    assert (merged.weight == 1.0).all()
    assert (np.diff(merged.offset) == 1).all()
    assert picks == picked_by_hand(tokens, k, groups_by_hand(tokens, max(1, k // 4), seed % 3))


@pytest.mark.parametrize("k", [64, 128, 192])
def test_at_full_size(k: int) -> None:
    tokens = signalled(7, (24, 24), "clustered", d=128)
    group = groups_by_hand(tokens, k // 4, 0)
    assert PruneSID().merge(tokens, k).token[1:].tolist() == picked_by_hand(tokens, k, group)


def test_every_budget_is_met() -> None:
    for k in range(1, 30):
        merged = PruneSID().merge(signalled(k), k)
        assert merged.token[0] == CLS
        assert len(np.unique(merged.token)) == len(merged) == k


def test_where_few_components_matter_groups_are_those_of_torch() -> None:
    """Tokens of six kinds, of unequal number: six components matter, which any good PCA finds."""
    rng = np.random.default_rng(0)
    kinds = np.kron(np.eye(6, 7), np.ones(10)) - 0.5
    own = rng.permutation(np.repeat(np.arange(6), [3, 5, 7, 11, 13, 17]))
    view = 4.0 * kinds[own] + 1e-6 * rng.normal(size=(56, 70))
    centred = torch.sigmoid(torch.from_numpy(view)).T
    torch.manual_seed(0)
    theirs = torch.pca_lowrank(centred, q=6, center=True, niter=2)[2].abs().argmax(dim=1)
    states = _states(view)
    ours = _groups(states, states @ states.T, 6, Draws(0))
    assert len(np.unique(ours)) > 3
    assert ours.tolist() == theirs.tolist()


def components_from_states(
    states: NDArray[np.float64], count: int, draws: Draws
) -> NDArray[np.float64]:
    """Two products of states in every iteration, where ours takes one of their products."""
    basis = np.linalg.qr(states @ draws.normals(states.shape[1], count)).Q
    for _ in range(2):
        basis = np.linalg.qr(states @ (states.T @ basis)).Q
    _, size, turn = np.linalg.svd(states.T @ basis, full_matrices=False)
    found: NDArray[np.float64] = basis @ turn[size > 1e-6 * max(1.0, size[0])].T
    return found


@pytest.mark.parametrize("spread", [0.02, 0.7])
@pytest.mark.parametrize("kinds", [6, 40, 400])
def test_products_of_states_lead_to_the_same_groups(
    kinds: int, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(kinds)
    for seed in range(3):
        view = rng.normal(size=(kinds, 96))[rng.integers(0, kinds, 576)]
        states = _states(view + spread * rng.normal(size=(576, 96)))
        for count in (16, 48):
            ours = _groups(states, states @ states.T, count, Draws(seed))
            with monkeypatch.context() as patch:
                patch.setattr(
                    prunesid, "_components", lambda s, _, n, d: components_from_states(s, n, d)
                )
                plain = _groups(states, states, count, Draws(seed))
            np.testing.assert_array_equal(ours, plain)


@settings(max_examples=300)
@given(SEEDS)
def test_quotas_are_torchs_bit_for_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(0, 30, size=rng.integers(1, 50))
    size[0] += 1
    accepted = rng.integers(np.minimum(size, 1), size + 1)
    room = int(size.sum()) - 1
    if room < 2:
        return
    k = int(rng.integers(max(2, min(room, 4 * len(size))), room + 1)) if room > 2 else 2
    if np.count_nonzero(size) > max(1, k // 4):  # there are K / 4 groups at most
        return
    quota = _quotas(accepted, size, k)
    assert quota.tolist() == quotas_by_hand(accepted.tolist(), size.tolist(), k)
    assert quota.sum() == k - 1
    assert (quota <= size).all()
    assert (quota >= np.minimum(size, 1)).all()


def test_picks_move_with_the_tokens() -> None:
    """The sketch is of channels, so that the order of tokens plays no part without ties."""
    tokens = signalled(8)
    turn = np.random.default_rng(1).permutation(30)
    moved = replace(
        tokens, features=tokens.features[turn], saliency=tokens.saliency[turn], _known={}
    )
    a, b = (PruneSID().merge(t, 16).token[1:] for t in (tokens, moved))
    assert turn[b].tolist() == a.tolist()


def test_seed_and_image_decide_the_draw() -> None:
    def picks(seed: int, image: str) -> list[int]:
        tokens = replace(signalled(9, (12, 12)), image=image)
        return PruneSID(seed).merge(tokens, 64).token.tolist()

    assert picks(0, "0" * 64) == picks(0, "0" * 64)
    assert picks(0, "0" * 64) != picks(1, "0" * 64)
    assert picks(0, "0" * 64) != picks(0, "1" * 64)


def test_one_token_is_cls() -> None:
    assert PruneSID().merge(signalled(), 1).token.tolist() == [CLS]


def test_constant_tokens_are_one_group_by_attention() -> None:
    tokens = signalled(10, kind="constant")
    assert PruneSID().merge(tokens, 12).token[1:].tolist() == falling(tokens.saliency)[:11]
    still = replace(
        tokens, features=np.zeros_like(tokens.features), saliency=np.zeros(30), _known={}
    )
    assert PruneSID().merge(still, 12).token[1:].tolist() == list(range(11))


def test_large_states_do_not_overflow() -> None:
    tokens = signalled(11)
    large = replace(tokens, features=tokens.features * np.float32(1e6), _known={})
    assert len(PruneSID().merge(large, 16)) == 16


def test_it_is_a_drawn_merge() -> None:
    assert [c.seed for c in grid(["prunesid"])[::3]] == [0, 1, 2]
    assert isinstance(PruneSID(), Merges)
    assert not guided(PruneSID())


@pytest.mark.parametrize(
    ("select", "message"), [("prunesid:seed=-1", ">= 0"), ("prunesid:seed=x", "whole number")]
)
def test_bad_parameters_are_refused(select: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        grid([select])


def test_cls_cannot_stand_beside_projected_tokens() -> None:
    tokens = signalled()
    projected = replace(tokens, features=tokens.signals["projected"], _known={})
    with pytest.raises(PlanError, match=r"prunesid: .* after the projector"):
        PruneSID().merge(projected, 8)
