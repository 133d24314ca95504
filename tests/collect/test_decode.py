"""Replies that continue a pack's cache against transformers' own ``generate``, one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import entropy
from torch import Tensor

from calprune.collect import run
from calprune.collect.hf.checkpoint import counts_on, greedily
from calprune.collect.models import ImageRequest, Step, open_adapter
from calprune.collect.models.llava import Llava
from calprune.collect.packed import masks
from calprune.collect.packed.decode import NOTHING, Generated
from calprune.collect.packed.memory import load
from calprune.collect.packed.packs import lay_out
from calprune.collect.packed.reply import Packed
from calprune.collect.packed.routes import Route
from calprune.collect.stages.audit import _audit
from calprune.collect.stages.block_cache import BlockCache
from calprune.collect.stages.kept_tokens import kept_in, rows_of
from calprune.data.storage.container import unpack
from calprune.errors import ModelError, PlanError
from tests.collect.checkpoints import save_checkpoint

TOLERANCE = 1e-4
ROUTES: tuple[Route, ...] = ("tree", "prefix")
KINDS = ("llama", "mistral")
WINDOW = 9  # of the tiny Mistral; replies lose sight of the image, then of their question
PATCHES = 16
CONTIGUOUS, ORIGINAL = "contiguous", "original"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Llava]:
    """Sixteen patches; one decoder sees everything, the other through a window."""
    made: dict[str, Any] = {"llama": {}, "mistral": {"text": "mistral", "sliding_window": WINDOW}}
    root, found = tmp_path_factory.mktemp("decode"), {}
    for kind, changes in made.items():
        folder = save_checkpoint(root / kind, vision_config={"image_size": 56}, **changes)
        adapter = open_adapter(str(folder))
        assert isinstance(adapter, Llava)
        found[kind] = adapter
    return found


@pytest.fixture(scope="module", params=KINDS)
def adapter(adapters: dict[str, Llava], request: pytest.FixtureRequest) -> Llava:
    return adapters[request.param]


@contextmanager
def ending_at(adapter: Llava, ends: Collection[int]) -> Iterator[None]:
    """Random models seldom say their own end token."""
    before, adapter.ends = adapter.ends, frozenset(ends)
    try:
        yield
    finally:
        adapter.ends = before


def row(
    adapter: Llava, k: int, suffixes: Sequence[Sequence[int]], positions: str = CONTIGUOUS
) -> ImageRequest:
    """Some k patches, not the same for each k, with questions of any ids."""
    rng, prefix = np.random.default_rng(k), len(adapter.prompt("?").prefix)
    kept = np.sort(rng.permutation(PATCHES)[:k])
    places = np.arange(k) if positions == CONTIGUOUS else kept
    start = prefix + (k if positions == CONTIGUOUS else PATCHES)
    visual = 3 * rng.normal(size=(k, adapter.width)).astype(np.float32)
    words = tuple(tuple(t) for t in suffixes)
    return ImageRequest(visual, np.zeros(k, bool), (prefix + places)[None], start, words)


@torch.inference_mode()
def embedded(adapter: Llava, asked: ImageRequest, suffix: Sequence[int]) -> Tensor:
    words, prefix = adapter.model.get_input_embeddings(), adapter.prompt("?").prefix
    before, after = (words(torch.tensor(ids, dtype=torch.long)) for ids in (prefix, suffix))
    return torch.cat([before, adapter.project(torch.from_numpy(asked.visual)), after])[None]


def generated(adapter: Llava, asked: ImageRequest, suffix: Sequence[int], most: int) -> Any:
    """By transformers alone, for positions one after another: ids and logits."""
    embeds = embedded(adapter, asked, suffix)
    there = torch.ones(embeds.shape[:2], dtype=torch.long)
    return greedily(adapter.model, adapter.ends, most, inputs_embeds=embeds, attention_mask=there)


@torch.inference_mode()
def spelled_out(adapter: Llava, asked: ImageRequest, suffix: Sequence[int], most: int) -> Any:
    """No cache, no ``generate``: the whole sequence again for each token, at its own positions."""
    embeds, model = embedded(adapter, asked, suffix), adapter.model
    prefix = np.arange(len(adapter.prompt("?").prefix))
    places = [*prefix, *asked.positions[0], *range(asked.start, asked.start + len(suffix))]
    window = adapter.reach["full_attention"].window or 1 << 20
    ids: list[int] = []
    logits: list[NDArray[np.float32]] = []
    while len(ids) < most and not (ids and ids[-1] in adapter.ends):
        at = torch.arange(embeds.shape[1])
        back = at[:, None] - at
        hidden = model.model.language_model(
            inputs_embeds=embeds,
            attention_mask=((back >= 0) & (back < window))[None, None],
            position_ids=torch.tensor([places]),
            use_cache=False,
        ).last_hidden_state[:, -1:]
        logits.append(model.lm_head(hidden)[0, 0].numpy())
        ids.append(int(logits[-1].argmax()))
        new = model.get_input_embeddings()(torch.tensor([[ids[-1]]]))
        embeds = torch.cat([embeds, new], dim=1)
        places.append(places[-1] + 1)
    return np.array(ids), np.stack(logits)


def check(said: Generated, expected: Any, ends: Collection[int]) -> None:
    ids, logits = expected
    assert said.ids.tolist() == ids.tolist()
    assert said.ended == (int(ids[-1]) in ends)
    logs = log_softmax(logits.astype(np.float64), axis=1)
    top = np.sort(logits, axis=1)
    for found, right in (
        (said.logprob, logs.max(axis=1)),
        (said.entropy, entropy(np.exp(logs), axis=1)),
        (said.top2_gap, top[:, -1] - top[:, -2]),
    ):
        assert found.dtype == np.float32
        assert np.abs(found - right).max() < TOLERANCE


# One by one -------------------------------------------------------------------------------------

TAILS = st.lists(
    st.lists(st.integers(300, 303), min_size=1, max_size=5), min_size=1, max_size=4, unique_by=tuple
)
LINES = st.lists(st.tuples(st.integers(0, 8), TAILS), min_size=1, max_size=3)


@settings(max_examples=30)
@given(st.sampled_from(KINDS), st.sampled_from(ROUTES), LINES, st.data())
def test_packed_replies_are_generates(
    adapters: dict[str, Llava], kind: str, route: Route, shapes: Any, data: st.DataObject
) -> None:
    """Any tries in one batch, any limits, and ends that finish questions at different steps."""
    adapter = adapters[kind]
    rows = [row(adapter, k, suffixes) for k, suffixes in shapes]
    limits = [data.draw(st.tuples(*[st.integers(0, 6)] * len(r.suffixes))) for r in rows]
    packed = Packed(adapter, tokens=1 << 20, route=route)
    words = sorted({int(i) for g in packed.reply(rows, 6).generated for i in g.ids})
    ends = data.draw(st.sets(st.sampled_from(words), max_size=3))
    with ending_at(adapter, ends):
        reply = packed.reply(rows, limits)
        questions = [
            (r, suffix, most)
            for r, some in zip(rows, limits, strict=True)
            for suffix, most in zip(r.suffixes, some, strict=True)
        ]
        for said, (r, suffix, most) in zip(reply.generated, questions, strict=True):
            if most:
                check(said, generated(adapter, r, suffix, most), ends)
            else:
                assert said.ids.shape == (0,)
                assert not said.ended


@pytest.mark.parametrize("route", ROUTES)
def test_replies_go_on_where_their_questions_stand(adapter: Llava, route: Route) -> None:
    """Positions with gaps, spelled out without cache and ``generate``; a window that binds."""
    suffixes = [[300, 301, 302], [300, 301], [303] * 9]
    rows = [row(adapter, k, suffixes, ORIGINAL) for k in (3, 9)]
    reply = Packed(adapter, tokens=1 << 20, route=route).reply(rows, 8)
    alone = [spelled_out(adapter, r, suffix, 8) for r in rows for suffix in r.suffixes]
    for said, expected in zip(reply.generated, alone, strict=True):
        check(said, expected, adapter.ends)
    moved = Packed(adapter).reply([replace(r, start=r.start - 1) for r in rows], 8).generated
    assert any((a.logprob != b.logprob).all() for a, b in zip(reply.generated, moved, strict=True))


def test_the_reference_counts_on_from_gaps_in_positions(adapter: Llava) -> None:
    """``generate`` at original positions against the same sequence spelled out."""
    picture = np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8)
    kept, question = np.array([1, 5, 6, 14]), "Is there a dog in the image?"
    seen, prompt = adapter.encode([picture])[0], adapter.prompt(question)
    prefix = len(prompt.prefix)
    places, start = (prefix + kept)[None], prefix + PATCHES
    asked = ImageRequest(
        seen.features["patches"][kept], np.zeros(4, bool), places, start, (prompt.suffix,)
    )
    ids, logits = adapter.generate(picture, question, kept, ORIGINAL, 6)
    expected, right = spelled_out(adapter, asked, prompt.suffix, 6)
    assert (ids.dtype, logits.dtype) == (np.int64, np.float32)
    assert ids.tolist() == expected.tolist()
    assert np.abs(logits - right).max() < TOLERANCE
    with ending_at(adapter, {int(ids[2])}):
        until = ids.tolist().index(ids[2]) + 1
        again, fewer = adapter.generate(picture, question, kept, ORIGINAL, 6)
        assert again.tolist() == ids[:until].tolist()
        assert len(fewer) == until


def test_whether_generate_counts_on_by_itself(adapters: dict[str, Llava]) -> None:
    """Told by the release; what it really does shows in what the decoder is given."""
    adapter, calls = adapters["llama"], list[Tensor]()
    embeds = embedded(adapter, row(adapter, 2, [[300]]), [300, 301])
    n = embeds.shape[1]
    hook = adapter.model.model.language_model.register_forward_pre_hook(
        lambda _module, _inputs, named: calls.append(named["position_ids"]), with_kwargs=True
    )
    try:
        greedily(
            adapter.model,
            (),
            3,
            inputs_embeds=embeds,
            attention_mask=torch.ones(1, n, dtype=torch.long),
            position_ids=5 + torch.arange(n)[None],
        )
    finally:
        hook.remove()
    last = [int(ids[0, -1]) for ids in calls]
    assert last == [n + 4, n + 5, n + 6] if counts_on() else [n + 4] * 3


# Limits, ends and batches -----------------------------------------------------------------------

MANY = [[300, 301, 302], [300, 301], [303] * 4, [302, 301]]


@pytest.mark.parametrize("route", ROUTES)
def test_a_shorter_limit_gives_the_beginning_of_a_longer_one(adapter: Llava, route: Route) -> None:
    """Bit by bit: batches do not depend on limits."""
    rows = [row(adapter, k, MANY[: 2 + k % 3]) for k in (0, 3, 8)]
    packed = Packed(adapter, tokens=40, route=route)
    with ending_at(adapter, ()):
        whole = packed.reply(rows, 8).generated
        ends = {int(whole[0].ids[5]), int(whole[-1].ids[2])}
    with ending_at(adapter, ends):
        short, long = (packed.reply(rows, most).generated for most in (3, 8))
    assert any(g.ended and len(g.ids) > 3 for g in long)
    for a, b in zip(short, long, strict=True):
        for name in ("ids", "logprob", "entropy", "top2_gap"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name)[:3])
        assert a.ended == (b.ended and len(b.ids) <= 3)


def test_closed_questions_stay_as_they_are(adapter: Llava) -> None:
    rows = [row(adapter, k, MANY) for k in (2, 5)]
    packed = Packed(adapter)
    closed, mixed = packed.reply(rows), packed.reply(rows, [(0, 4, 0, 1), (0, 0, 0, 0)])
    np.testing.assert_array_equal(closed.logits, mixed.logits)
    np.testing.assert_array_equal(closed.tokens, mixed.tokens)
    assert closed.generated == (NOTHING,) * 8
    assert [len(g.ids) for g in mixed.generated] == [0, 4, 0, 1, 0, 0, 0, 0]
    assert mixed.generated[1].ids[0] == closed.logits[1].argmax()
    for wrong in ([(1, 1, 1)] * 2, [(1, 1, 1, -1)] * 2, [()] * 2, [(1, 1, 1, 1)]):
        with pytest.raises(ValueError, match=r"limits|shorter"):
            packed.reply(rows, wrong)


@contextmanager
def stepping(adapter: Llava, most: int = 1 << 20) -> Iterator[list[tuple[int, ...]]]:
    """Shapes (b, s) of forwards; lines and columns beyond ``most`` do not fit once visual is in."""
    forward, shapes = adapter.forward, list[tuple[int, ...]]()

    def spy(step: Step) -> Tensor:
        shapes.append(tuple(step.ids.shape))
        if not len(step.visual) and step.ids.shape[0] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(step)

    adapter.forward = spy  # type: ignore[method-assign]
    try:
        yield shapes
    finally:
        del adapter.forward


def test_what_is_finished_takes_no_part(adapter: Llava) -> None:
    """No step after the last token; questions leave their line, lines leave the batch."""
    rows = [row(adapter, k, MANY) for k in (2, 5, 6)]
    packed = Packed(adapter, tokens=1 << 20, route="tree")
    packed.prefix_cache(1)
    with ending_at(adapter, ()), stepping(adapter) as shapes:
        packed.reply(rows, [(0, 1, 0, 1), (3, 5, 0, 2), (2, 0, 0, 3)])
    assert shapes[1:] == [(2, 3), (2, 2), (1, 1), (1, 1)]
    with stepping(adapter) as shapes:
        packed.reply(rows, 1)
    assert len(shapes) == 1


def test_memory_that_runs_out_in_the_middle(adapter: Llava) -> None:
    rows = [row(adapter, k, MANY) for k in (2, 5, 6, 7, 3)]
    expected = Packed(adapter, tokens=1 << 20).reply(rows, 5)
    packed = Packed(adapter, tokens=1 << 20)
    packed.prefix_cache(1)
    with stepping(adapter, most=2):
        found = packed.reply(rows, 5)
    assert packed.tokens <= 2 * max(load(lay_out(r)) for r in rows), "learnt"
    for a, b in zip(found.generated, expected.generated, strict=True):
        assert a.ids.tolist() == b.ids.tolist()
        assert np.abs(a.logprob - b.logprob).max() < TOLERANCE
    with stepping(adapter, most=0), pytest.raises(PlanError, match="memory on cpu asking"):
        Packed(adapter, route="tree").reply([row(adapter, 2, MANY)], 5)


def test_what_layers_let_replies_see_is_checked(
    adapter: Llava, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = masks.masks_of

    def hiding(pack: Any, past: masks.Past, *rest: Any) -> Any:
        mask = honest(pack, past, *rest)
        if past.seen.ndim == 3:
            mask[..., -2] = False
        return mask

    rows = [row(adapter, 4, [[300, 301]])]
    packed = Packed(adapter, route="tree")
    packed.reply(rows, 3)
    monkeypatch.setattr(masks, "masks_of", hiding)
    with pytest.raises(ModelError, match=r"a layer let replies see \[\d+\] tokens, \[\d+\] prom"):
        packed.reply(rows, 3)


def test_a_reply_that_goes_astray(adapter: Llava, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, calls = adapter.lm_head, list[int]()

    def broken(hidden: Tensor) -> NDArray[np.float32]:
        calls.append(len(hidden))
        return honest(hidden) * np.float32(1 if len(calls) < 3 else np.nan)

    monkeypatch.setattr(adapter, "lm_head", broken)
    with pytest.raises(ModelError, match=r"token 3 of a reply has a logit that is not finite"):
        Packed(adapter).reply([row(adapter, 4, MANY)], 5)


# Audits -----------------------------------------------------------------------------------------


def test_an_audit_follows_replies(tiny_llava: Path, tmp_path: Path) -> None:
    """As if some questions had been open; without answers there is nothing to differ in."""
    options: Any = {"store": tmp_path, "model": str(tiny_llava), "images": 1}
    options |= {"select": "random:seed=0", "keep": 8}
    run.collect("shapes", min_mass=0, **options)
    plan = run.prepare("shapes", **options)
    (planned,) = plan.conditions
    sealed = unpack(plan.store.logits(planned.condition), "calprune.logits")
    blocks = BlockCache(plan)
    n = len(sealed.arrays["example/id"])
    seen = blocks.features(0).images
    rows = rows_of(plan, planned, 0, seen, kept_in(plan, planned, 0, seen, blocks))
    said = plan.packed.reply(rows, 4).generated
    source = np.cumsum([0, *(len(d) for d in plan.distinct)])
    asked = [source[i] + j for i, asks in enumerate(plan.asks) for j in asks]
    ids = [said[i].ids[: row % 5] for row, i in enumerate(asked)]

    def audited(**changed: Any) -> Any:
        offset = np.cumsum([0, *(len(i) for i in ids)], dtype=np.int64)
        arrays = sealed.arrays | {"gen/id": np.concatenate(ids), "gen/offset": offset} | changed
        return _audit(plan, planned, blocks, n, replace(sealed, arrays=arrays)).arrays

    honest = audited()
    assert not honest["delta/flipped"].any()
    assert honest["delta/answer"].max() < TOLERANCE
    ids[3] = np.append(ids[3][:-1], ids[3][-1] ^ 1)
    assert audited()["delta/flipped"].nonzero()[0].tolist() == [3]
    none = audited(
        **{
            "answer/token": np.zeros((0, 1), np.int32),
            "logit/answer": np.zeros((n, 0, 1), np.float32),
            "example/offered": np.zeros((n, 0), np.bool_),
        }
    )
    assert none["delta/flipped"].nonzero()[0].tolist() == [3]
    assert none["delta/answer"].tolist() == [0.0] * n
    assert none["delta/log_z"].max() < TOLERANCE
    unoffered = audited(**{"example/offered": np.zeros_like(sealed.arrays["example/offered"])})
    assert unoffered["delta/flipped"].nonzero()[0].tolist() == [3]
