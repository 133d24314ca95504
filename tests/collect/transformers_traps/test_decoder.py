"""Where transformers goes wrong without a word, or changed between releases: the decoder.

A test fails if calprune falls into the trap, or if a release takes away what it relies on.
Traps 4, 5, 6 and 10 are the vision tower's.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AttentionInterface, DynamicCache, LlavaForConditionalGeneration
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from calprune.collect.hf.checkpoint import Checkpoint
from calprune.collect.hf.names import find
from calprune.collect.models import EncodedImage, ImageRequest
from calprune.collect.models.llava import Llava
from calprune.collect.packed import masks
from calprune.collect.packed.packs import cut, lay_out
from calprune.collect.packed.reply import Packed
from calprune.errors import ModelError

COLLECT = Path(inspect.getfile(Checkpoint)).parent.parent
TOLERANCE = 1e-4
QUESTIONS = ("Is there a dog in the image?", "Is there a red circle?", "What is this?\nA. a dog")
FEW = np.array([1, 5, 6, 14])
NONE, ALL = np.arange(0), np.arange(16)
ROUTES = pytest.mark.parametrize("route", ["tree", "prefix"])


def drawn(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (40, 70, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def seen(adapter: Llava) -> list[EncodedImage]:
    return adapter.encode([drawn(0), drawn(1)])


def row(
    adapter: Llava,
    seen: EncodedImage,
    kept: NDArray[np.int64],
    questions: Sequence[str] = QUESTIONS,
) -> ImageRequest:
    """What is kept at its original positions, with gaps."""
    prefix = len(adapter.prompt("?").prefix)
    suffixes = tuple(adapter.prompt(q).suffix for q in questions)
    separator, start = np.zeros(len(kept), dtype=bool), prefix + len(seen.layout)
    return ImageRequest(
        seen.features["patches"][kept], separator, (prefix + kept)[None], start, suffixes
    )


@contextmanager
def heard(module: nn.Module) -> Iterator[list[dict[str, Any]]]:
    """What a module is called with by name."""
    calls: list[dict[str, Any]] = []
    hook = module.register_forward_pre_hook(
        lambda _module, _inputs, named: calls.append(named), with_kwargs=True
    )
    try:
        yield calls
    finally:
        hook.remove()


# 1. Position ids with gaps and no mask are taken for several packed sequences ------------------


@torch.inference_mode()
def hiding(eager: Any, visual: Tensor, prompt: Any, kept: NDArray[np.int64]) -> NDArray[Any]:
    """The whole sequence without gaps; what is dropped is hidden by an additive mask."""
    embed = eager.get_input_embeddings()
    prefix, suffix = (embed(torch.tensor(ids)) for ids in (prompt.prefix, prompt.suffix))
    embeds, n = torch.cat([prefix, visual, suffix])[None], len(prefix) + len(visual) + len(suffix)
    shown = torch.ones(n, n, dtype=torch.bool).tril()
    shown[:, len(prefix) + np.setdiff1d(np.arange(len(visual)), kept)] = False
    shown |= torch.eye(n, dtype=torch.bool)
    mask = torch.zeros(1, 1, n, n).masked_fill(~shown, torch.finfo(torch.float32).min)
    text = eager.model.language_model
    hidden = text(inputs_embeds=embeds, attention_mask=mask, position_ids=torch.arange(n)[None])
    logits: NDArray[Any] = eager.lm_head(hidden.last_hidden_state[0, -1]).numpy()
    return logits


@ROUTES
def test_gaps_in_positions_hide_nothing(
    adapter: Llava, seen: list[EncodedImage], eager: Any, route: Any
) -> None:
    """Tokens before a gap would become invisible: packed and reference against hiding."""
    reply = Packed(adapter, route=route).reply([row(adapter, seen[0], FEW)])
    prefix, visual = len(adapter.prompt("?").prefix), adapter.whole(drawn(0))
    for i, question in enumerate(QUESTIONS):
        prompt = adapter.prompt(question)
        expected = hiding(eager, visual, prompt, FEW)
        assert np.abs(reply.logits[i] - expected).max() < TOLERANCE
        (reference,) = adapter.generate(drawn(0), question, FEW, "original")[1]
        assert np.abs(reference - expected).max() < TOLERANCE
        assert (reply.tokens[i] == prefix + len(FEW) + len(prompt.suffix)).all()


def test_no_forward_goes_without_a_mask(
    adapter: Llava, seen: list[EncodedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prefix, both routes and the reference: only with a mask are positions one sequence's."""
    with heard(adapter.model.model.language_model) as calls:
        Packed(adapter, route="tree").reply([row(adapter, seen[0], FEW)])
        Packed(adapter, route="prefix").reply([row(adapter, seen[0], FEW)])
    assert len(calls) >= 4
    assert all(call["attention_mask"] is not None for call in calls)
    generate, asked = adapter.model.generate, []

    def spy(**named: Any) -> Any:
        asked.append(named)
        return generate(**named)

    monkeypatch.setattr(adapter.model, "generate", spy)
    adapter.generate(drawn(0), QUESTIONS[0], FEW, "original")
    assert [call["attention_mask"].all() for call in asked] == [True]
    assert asked[0]["attention_mask"].shape == asked[0]["position_ids"].shape


# 2. Eager attention adds a boolean mask instead of applying it ---------------------------------


def test_a_model_that_came_with_eager_attention_is_refused(folder: Path) -> None:
    """A boolean mask would be added as 0 and 1, and every answer be wrong by a little."""

    class Eager(LlavaForConditionalGeneration):
        @classmethod
        def from_pretrained(cls, *args: Any, **options: Any) -> Any:
            options["attn_implementation"] = "eager"
            return LlavaForConditionalGeneration.from_pretrained(*args, **options)

    with pytest.raises(ModelError, match="attention is eager, not sdpa"):
        Checkpoint(find(str(folder))).weights(Eager, "float32", "cpu")


def test_masks_are_boolean_and_only_sdpa_reads_them(
    adapter: Llava, seen: list[EncodedImage]
) -> None:
    """The back-end is asserted for the layers themselves, not only for the model on top."""
    layers = adapter.layers()
    assert {layer.self_attn.config._attn_implementation for layer in layers} == {"sdpa"}
    with heard(layers[-1]) as calls:
        Packed(adapter).reply([row(adapter, seen[0], FEW)])
    assert {call["attention_mask"].dtype for call in calls} == {torch.bool}


# 3. Attention under another name is given no mask ----------------------------------------------


@pytest.mark.parametrize("given", ["nothing", "ones", "narrow"])
def test_a_layer_without_the_packs_mask_is_refused(
    adapter: Llava, seen: list[EncodedImage], given: str
) -> None:
    """Transformers drops masks that it thinks nobody needs; logits would look like logits."""
    lines = [lay_out(row(adapter, seen[0], FEW))]
    pack, n = cut(lines, "all"), len(lines[0])
    mask = masks.masks_of(pack, masks.Past.prefix(1, 0), adapter.reach, "cpu")
    assert isinstance(mask, Tensor)
    ones = torch.ones(1, n, dtype=torch.long)
    wrong: Any = {"nothing": None, "ones": ones, "narrow": mask[..., : n - 1]}[given]
    step = Packed(adapter).step(lines, pack, wrong, DynamicCache())
    last = torch.tensor([(0, c) for c in lines[0].last])
    with (
        masks.counting(adapter.layers(), pack.visual, last),
        pytest.raises(ModelError, match="not given the pack's mask"),
    ):
        adapter.forward(step)


def test_a_mask_that_transformers_made_itself_shows_in_the_counts(
    adapter: Llava, seen: list[EncodedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On top of a cache it makes a causal one of the right size: questions see one another."""
    asked = row(adapter, seen[0], FEW)
    promised = [Packed(adapter).prefix_length + len(FEW) + len(suffix) for suffix in asked.suffixes]
    packed = Packed(adapter, route="tree")
    packed.prefix_cache(1)
    assert (packed.reply([asked]).tokens == np.array(promised)[:, None]).all()
    monkeypatch.setattr(masks, "masks_of", lambda *_: None)
    found = packed.reply([asked])
    assert (found.tokens >= np.array(promised)[:, None]).all()
    assert (found.tokens.max(0) > max(promised)).all()


def test_a_mask_of_four_axes_reaches_attention_of_any_name(
    adapter: Llava, seen: list[EncodedImage]
) -> None:
    """Only masks that transformers would build itself get lost under an unknown name."""
    text = adapter.model.model.language_model
    rows = [row(adapter, seen[0], FEW), row(adapter, seen[1], ALL)]
    right = Packed(adapter).reply(rows)
    AttentionInterface.register("unknown_name", sdpa_attention_forward)
    text.config._attn_implementation = "unknown_name"
    try:
        found = Packed(adapter).reply(rows)
    finally:
        text.config._attn_implementation = "sdpa"
    np.testing.assert_array_equal(found.logits, right.logits)
    np.testing.assert_array_equal(found.tokens, right.tokens)


# 7. DynamicCache.crop means another thing in each release --------------------------------------


@ROUTES
def test_asking_twice_gives_the_same(adapter: Llava, seen: list[EncodedImage], route: Any) -> None:
    """Each pack starts from a fresh cache; nothing of the one before is left in the prefix's."""
    packed = Packed(adapter, route=route)
    rows = [row(adapter, seen[0], FEW), row(adapter, seen[1], ALL)]
    first = packed.reply(rows)
    prefix = packed.prefix_cache(1)
    alone = packed.reply(rows[:1])
    again = packed.reply(rows)
    np.testing.assert_array_equal(again.logits, first.logits)
    np.testing.assert_array_equal(again.tokens, first.tokens)
    assert np.abs(alone.logits - first.logits[: len(QUESTIONS)]).max() < TOLERANCE
    for now, before in zip(packed.prefix_cache(1).layers, prefix.layers, strict=True):
        assert torch.equal(now.keys, before.keys)
        assert torch.equal(now.values, before.values)


def test_caches_of_the_head_are_filled_and_share_nothing(adapter: Llava) -> None:
    packed = Packed(adapter)
    one, other = packed.prefix_cache(2), packed.prefix_cache(2)
    longer = torch.zeros(2, *one.layers[0].keys.shape[1:])
    one.update(longer, longer, 0)
    assert one.layers[0].keys.shape[2] == 2 * packed.prefix_length
    assert other.get_seq_length() == packed.prefix_length
    assert len(other.layers) == len(adapter.layers())
    assert other.layers[0].keys.abs().sum() > 0


# 8. Shortcuts and arguments that come and go ---------------------------------------------------


def test_what_the_decoder_is_given_it_knows_by_name(
    adapter: Llava, seen: list[EncodedImage]
) -> None:
    """A renamed argument would vanish in ``**kwargs``."""
    text = adapter.model.model.language_model
    with heard(text) as calls:
        Packed(adapter).reply([row(adapter, seen[0], FEW)])
    asked = {name for call in calls for name in call}
    assert len(asked) == 5
    assert asked <= set(inspect.signature(type(text).forward).parameters)


def test_parts_are_where_every_release_has_them(adapter: Llava) -> None:
    model = adapter.model
    assert adapter.layers() is model.model.language_model.layers
    assert model.get_input_embeddings() is model.model.language_model.embed_tokens
    for part in (model.lm_head, model.model.vision_tower, model.model.multi_modal_projector):
        assert isinstance(part, nn.Module)


# 9. is_causal is dropped as soon as there is a mask --------------------------------------------


@ROUTES
def test_masks_carry_causality_themselves(
    adapter: Llava, seen: list[EncodedImage], route: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reaches the kernel: a mask that hides what comes later, or the flag from the start."""
    kernel, calls = torch.nn.functional.scaled_dot_product_attention, []

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, **named: Any) -> Tensor:
        calls.append((q.shape[2], k.shape[2], attn_mask, named.get("is_causal", False)))
        return kernel(q, k, v, attn_mask=attn_mask, **named)

    adapter.layers()
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
    rows = [row(adapter, seen[0], FEW), row(adapter, seen[1], ALL)]
    Packed(adapter, route=route).reply(rows)
    assert len(calls) % len(adapter.layers()) == 0
    assert any(mask is not None for _, _, mask, _ in calls)
    for q, k, mask, causal in calls:
        assert causal == (mask is None)
        if mask is None:
            assert q == k
        else:
            assert mask.shape[-2:] == (q, k)
            assert not mask.triu(k - q + 1).any()


def test_a_question_cannot_see_its_continuation(adapter: Llava, seen: list[EncodedImage]) -> None:
    longer = row(adapter, seen[0], FEW)
    suffix = longer.suffixes[0]
    whole = ImageRequest(
        longer.visual, longer.separator, longer.positions, longer.start, (suffix[:-2], suffix)
    )
    first = ImageRequest(
        longer.visual, longer.separator, longer.positions, longer.start, (suffix[:-2],)
    )
    both, alone = (Packed(adapter).reply([r]).logits for r in (whole, first))
    assert np.abs(both[0] - alone[0]).max() < TOLERANCE
    assert np.abs(both[1] - alone[0]).max() > 100 * TOLERANCE


# 11. logits_to_keep cannot gather, and create_causal_mask changes its arguments ----------------


def test_rows_of_different_lengths_are_gathered_by_hand(
    adapter: Llava, seen: list[EncodedImage], eager: Any
) -> None:
    """Logits of each question's own last position, from a float32 head."""
    questions = ("Why?", "Is there a red circle or a blue square in the image? Answer the question")
    rows = [row(adapter, seen[i], k, questions) for i, k in enumerate((FEW, ALL))]
    packed = Packed(adapter)
    lines = [lay_out(r) for r in rows]
    assert len({c for x in lines for c in x.last}) == 4
    reply = packed.reply(rows)
    hidden, _ = packed.hidden(lines)
    with torch.inference_mode():
        np.testing.assert_allclose(reply.logits, adapter.model.lm_head(hidden), atol=1e-5)
    for i, kept in enumerate((FEW, ALL)):
        visual = adapter.whole(drawn(i))
        for j, question in enumerate(questions):
            expected = hiding(eager, visual, adapter.prompt(question), kept)
            assert np.abs(reply.logits[2 * i + j] - expected).max() < TOLERANCE


def test_names_that_mean_another_thing_by_release_are_not_used() -> None:
    """Also those of the other traps that can be seen in the source."""
    unsafe = {"create_causal_mask", "logits_to_keep", "cache_position", "output_attentions"}
    for path in COLLECT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            used = {getattr(node, key, None) for key in ("arg", "attr", "id", "name")}
            assert not used & unsafe, f"{path}: {used}"


# 12. A row of the mask in which nothing may be seen --------------------------------------------


@ROUTES
def test_padding_never_gives_nan(adapter: Llava, seen: list[EncodedImage], route: Any) -> None:
    """No visual token in one line, all in the next, one short question against three."""
    rows = [row(adapter, seen[0], NONE, ("Why?",)), row(adapter, seen[1], ALL)]
    packed = Packed(adapter, tokens=1 << 20, route=route)
    states: list[Tensor] = []
    hook = adapter.model.model.language_model.norm.register_forward_hook(
        lambda _module, _inputs, out: states.append(out)
    )
    try:
        with heard(adapter.layers()[0]) as calls:
            reply = packed.reply(rows)
    finally:
        hook.remove()
    assert len(states[-1]) == 2
    for state, call in zip(states, calls, strict=True):
        assert state.isfinite().all(), "also where padding stands"
        mask = call["attention_mask"]
        if mask is not None:
            own = mask.diagonal(mask.shape[-1] - mask.shape[-2], -2, -1)
            assert own.all(), "also padding sees itself"
    assert np.isfinite(reply.logits).all()
    assert (reply.visual == np.array([[0], [16], [16], [16]])).all()


# 13. Padding on the right is exact, on the left it needs other positions ------------------------


@ROUTES
def test_padding_moves_no_answer(adapter: Llava, seen: list[EncodedImage], route: Any) -> None:
    """Whatever side the tokenizer would pad on: packs pad on the right and keep positions."""
    assert adapter.checkpoint.tokenizer.padding_side == "left"
    short, long = row(adapter, seen[0], FEW, ("Why?",)), row(adapter, seen[1], ALL)
    pack = cut([lay_out(short), lay_out(long)], "all")
    n = int(pack.length[0])
    assert n < int(pack.length[1]) == pack.ids.shape[1]
    np.testing.assert_array_equal(pack.positions[:, 0, :n], lay_out(short).positions)
    alone = Packed(adapter, route=route).reply([short])
    both = Packed(adapter, tokens=1 << 20, route=route).reply([short, long])
    assert np.abs(both.logits[0] - alone.logits[0]).max() < TOLERANCE
    np.testing.assert_array_equal(both.tokens[0], alone.tokens[0])
    (reference,) = adapter.generate(drawn(0), "Why?", FEW, "original")[1]
    assert np.abs(both.logits[0] - reference).max() < TOLERANCE
