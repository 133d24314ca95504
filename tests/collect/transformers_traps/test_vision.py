"""Where transformers goes wrong without a word, or changed between releases: the vision tower.

One part a trap, numbered together with those of the decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from calprune.collect.hf.clip import see
from calprune.collect.models import ModelOptions, open_adapter
from calprune.collect.models.llava import Llava
from calprune.collect.models.llava_next import LlavaNext
from tests.collect.checkpoints import save_checkpoint

LAYERS = pytest.mark.parametrize("layer", [-1, -2, -3])


@pytest.fixture(scope="module")
def next_adapter(tmp_path_factory: pytest.TempPathFactory) -> LlavaNext:
    made = save_checkpoint(
        tmp_path_factory.mktemp("traps") / "next",
        family="llava_next",
        vision_config={"image_size": 56},
        image_grid_pinpoints=[[56, 112], [112, 56], [112, 112]],
    )
    opened = open_adapter(str(made), ModelOptions(picture="split"))
    assert isinstance(opened, LlavaNext)
    return opened


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (40, 70, 3), dtype=np.uint8)


def pixels() -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 56, 56))).float()


# 4. output_attentions is answered with nothing under sdpa --------------------------------------


@LAYERS
def test_cls_attention_is_eagers_without_asking_for_it(
    adapter: Llava, eager: Any, layer: int
) -> None:
    """[], None or a list of None, by version: queries and keys are tapped instead."""
    tower = adapter.model.model.vision_tower
    with torch.inference_mode():
        out = eager.model.vision_tower(pixel_values=pixels(), output_attentions=True)
    expected = out.attentions[layer][:, :, 0, 1:].sum(1)
    assert expected.std() > 0.01
    np.testing.assert_allclose(see(tower, pixels(), layer)[1], expected, atol=1e-6)
    assert tower.config._attn_implementation == "sdpa"


# 5. vision_tower.vision_model.encoder became vision_tower.encoder ------------------------------


class Wrapped(nn.Module):
    """The tower as it was before transformers 5.1."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.vision_model = inner

    def forward(self, **named: Any) -> Any:
        return self.vision_model(**named)


def test_towers_of_both_layouts_are_seen_alike(adapter: Llava) -> None:
    tower = adapter.model.model.vision_tower
    inner = getattr(tower, "vision_model", tower)
    patches, saliency = see(tower, pixels(), -2)
    for other in (inner, Wrapped(inner)):
        again = see(other, pixels(), -2)
        assert torch.equal(again[0], patches)
        assert torch.equal(again[1], saliency)


# 6. get_image_features: a list, then an object; hidden states mostly gone ----------------------


def test_image_features_in_every_shape_that_releases_give(
    adapter: Llava, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that is indexed like the list it was gives features before the projector."""
    seen = adapter.encode([picture()])[0]
    expected = adapter.project(torch.from_numpy(seen.features["patches"])).detach()
    assert adapter.whole(picture()).shape == (16, adapter.shape.hidden)
    torch.testing.assert_close(adapter.whole(picture()), expected, atol=1e-5, rtol=0)
    other = BaseModelOutputWithPooling(torch.zeros(1, 16, 32), [expected])
    for given in ([expected], expected[None], other):
        monkeypatch.setattr(adapter.model, "get_image_features", lambda given=given, **_: given)
        assert torch.equal(adapter.whole(picture()), expected)


def test_the_tower_itself_gives_every_hidden_state(next_adapter: LlavaNext) -> None:
    """LLaVA-NeXT's mosaics are made of them; through the model most of them are None."""
    tower = next_adapter.model.model.vision_tower
    with torch.inference_mode():
        states = tower(pixels(), output_hidden_states=True).hidden_states
    assert [type(s) for s in states] == [Tensor] * (1 + next_adapter.vision.num_hidden_layers)
    whole, seen = next_adapter.whole(picture()), next_adapter.encode([picture()])[0]
    rows = next_adapter.project(torch.from_numpy(seen.features["patches"])).detach()
    torch.testing.assert_close(whole, rows, atol=1e-5, rtol=0)


# 10. Which hidden states the post layer norm has touched ---------------------------------------


@LAYERS
def test_patches_are_the_hidden_states_of_that_name(adapter: Llava, layer: int) -> None:
    """[-1] is before the last norm, [-2] what layer −2 puts out; a tap must count alike."""
    tower = adapter.model.model.vision_tower
    inner = getattr(tower, "vision_model", tower)
    with torch.inference_mode():
        states = tower(pixel_values=pixels(), output_hidden_states=True).hidden_states
        assert (inner.post_layernorm(states[-1]) - states[-1]).abs().max() > 0.1
        found = see(tower, pixels(), layer)[0]
    torch.testing.assert_close(found, states[layer][:, 1:], atol=1e-6, rtol=0)
