"""Auxiliary features against what transformers' own eager attention, states and CLIPModel give.

The tower has 24 narrow blocks and 16 patches a crop, so that blocks can be counted as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoTokenizer, CLIPModel

from calprune.collect import run
from calprune.collect.grid import SelectorChoice
from calprune.collect.hf import clip
from calprune.collect.hf.clip_model import ClipModel
from calprune.collect.hf.clip_signals import ClipSignals, own_words
from calprune.collect.models import ModelOptions, open_adapter
from calprune.collect.models._llava_base import ClipLlama
from calprune.collect.packed.reply import Packed
from calprune.collect.selectors import Ranking, VisualTokens, in_order
from calprune.collect.stages.encode import encode
from calprune.collect.stages.features import read_signals
from calprune.collect.stages.planning import make_plan
from calprune.data.condition import Budget
from calprune.data.pictures import open_picture
from calprune.data.questions import open_questions
from calprune.data.storage.store import Store
from calprune.errors import PlanError
from calprune.testing.adapters import conformance
from tests.collect.checkpoints import Family, save_checkpoint
from tests.collect.clip_checkpoint import save_clip

TOWER = {"image_size": 56, "num_hidden_layers": 24}
PINPOINTS = [[56, 112], [112, 56], [112, 112]]
HEADS, D = 2, 32
OF_IMAGES = ("cls-last3", "cls-token", "joint", "keys", "projected", "received", "received-early")
OF_TEXT = ("text-clip", "text-words")
SHORT = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."
QUESTIONS = (f"Is there a dog in the image?{SHORT}", f"What is this?\nA. a dog{LETTER}")
LONG = "Is the dog on the table? " * 16
WAYS = (
    ("llava", "pad"),
    ("llava", "crop"),
    *(("llava_next", picture) for picture in ("split", "fixed", "per-crop", "packed", "hf")),
)
EXAMPLE = "openai/clip-vit-large-patch14-336"

Way = tuple[Family, str]
Signals = dict[str, NDArray[np.floating]]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip") / "clip", D)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("signals")
    tiles = {"image_grid_pinpoints": PINPOINTS}
    return {
        "llava": save_checkpoint(root / "llava", vision_config=TOWER),
        "llava_next": save_checkpoint(root / "n", "llava_next", vision_config=TOWER, **tiles),
    }


@pytest.fixture(scope="module")
def eager(folders: dict[str, Path]) -> dict[str, Any]:
    """Transformers' own models, with attention that can be asked for."""
    options: dict[str, Any] = {"dtype": torch.float32, "attn_implementation": "eager"}
    read = AutoModelForImageTextToText.from_pretrained
    return {family: read(folder, **options) for family, folder in folders.items()}


@pytest.fixture(scope="module")
def reference(clip_folder: Path) -> Any:
    return CLIPModel.from_pretrained(clip_folder, attn_implementation="eager")


def opened(folder: Path, clip_folder: Path, picture: str = "", **options: Any) -> ClipLlama:
    asked = ModelOptions(picture=picture, clip=str(clip_folder), **options)
    adapter = open_adapter(str(folder), asked, download=False)
    assert isinstance(adapter, ClipLlama)
    return adapter


def pictures() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*s, 3), dtype=np.uint8) for s in ((60, 100), (90, 50))]


def inner(tower: Any) -> Any:
    return getattr(tower, "vision_model", tower)


def close(found: Any, right: Any, name: str) -> None:
    """As close as 24 blocks of rounding leave it."""
    largest = float(np.abs(np.asarray(right)).max())
    np.testing.assert_allclose(found, right, atol=1e-5 * largest, rtol=0, err_msg=name)


@torch.inference_mode()
def expected(model: Any, reference: Any, pixels: Tensor) -> dict[str, Tensor]:
    """Rows (crops, 16, width) of every signal, by transformers alone."""
    tower = model.model.vision_tower
    block = inner(tower).encoder.layers[22]
    normed: list[Tensor] = []
    hook = block.self_attn.k_proj.register_forward_hook(lambda _m, _i, out: normed.append(out))
    out = tower(pixel_values=pixels, output_hidden_states=True, output_attentions=True)
    hook.remove()
    states, keys = out.hidden_states[-2], normed[0]
    by_head = torch.stack(keys.chunk(HEADS, dim=-1)).mean(0)
    joint = reference.visual_projection(inner(tower).post_layernorm(states[:, 1:]))
    last = sum(out.attentions[i][:, :, 0, 1:].mean(1) for i in (20, 21, 22))
    return {
        "keys": by_head[:, 1:],
        "cls-last3": last[..., None],
        "received-early": out.attentions[8].mean((1, 2))[:, 1:, None],
        "received": out.attentions[-2].mean((1, 2))[:, 1:, None],
        "projected": model.model.multi_modal_projector(states[:, 1:]),
        "cls-token": states[:, 0],
        "joint": joint,
    }


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_signals_of_images_are_transformers_own(
    folders: dict[str, Path],
    clip_folder: Path,
    eager: dict[str, Any],
    reference: Any,
    way: Way,
) -> None:
    family, picture = way
    adapter = opened(folders[family], clip_folder, picture)
    assert set(adapter.measures) - {"features", "saliency"} == {*OF_IMAGES, *OF_TEXT}
    for image, found in zip(pictures(), adapter.measure(pictures(), OF_IMAGES), strict=True):
        layout = adapter.token_layout(image.shape[:2])
        crop, row, column = layout.cell.T
        patch, place = crop >= 0, 4 * row + column
        wanted = expected(eager[family], reference, adapter.crops(open_picture(image)))
        assert sorted(found) == sorted(OF_IMAGES)
        close(found["cls-token"], wanted.pop("cls-token"), "cls-token")
        for name, rows in wanted.items():
            assert found[name].shape == (len(layout), rows.shape[-1]), name
            right = rows.numpy()[crop[patch], place[patch]]
            assert right.std() > 1e-3, f"{name} says nothing"
            close(found[name][patch], right, name)
            if name != "projected":
                assert not found[name][~patch].any(), f"{name} of a row's end"
        ends = found["projected"][~patch]
        if len(ends):
            newline = eager[family].model.image_newline.detach() * (picture == "packed")
            np.testing.assert_array_equal(ends, np.broadcast_to(newline, ends.shape))
        if picture == "packed":
            whole = adapter.whole(image)
            close(found["projected"], whole, "projected")


def test_blocks_of_towers_of_any_depth() -> None:
    named = {}
    for depth in (2, 3, 5, 24):
        tower: Any = SimpleNamespace(
            layer=-2, clip=None, vision=SimpleNamespace(num_hidden_layers=depth)
        )
        named[depth] = ClipSignals(tower).described()
    early = {depth: found["received-early"] for depth, found in named.items()}
    assert early == {
        2: "received@-2:mean",
        3: "received@-2:mean",
        5: "received@-4:mean",
        24: "received@-16:mean",
    }
    assert named[24]["cls-last3"] == "cls@-4..-2:mean"
    assert named[3]["cls-last3"] == "cls@-3..-2:mean"
    assert named[24]["keys"] == "keys@-2:mean"


@pytest.mark.parametrize("layer", [1, 5, -1])
def test_other_layers_than_the_penultimate(
    tmp_path: Path, eager: dict[str, Any], layer: int
) -> None:
    """``received-early`` may then lie behind all others."""
    tower = {"image_size": 56, "num_hidden_layers": 6}
    folder = save_checkpoint(tmp_path / "l", vision_config=tower, vision_feature_layer=layer)
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    adapter = open_adapter(str(folder))
    assert isinstance(adapter, ClipLlama)
    pixels = adapter.crops(open_picture(pictures()[0]))
    with torch.inference_mode():
        out = model.model.vision_tower(
            pixel_values=pixels, output_hidden_states=True, output_attentions=True
        )
    (found,) = adapter.measure(pictures()[:1], ["received-early", "received", "cls-token"])
    block = layer if layer < 0 else layer - 1  # hidden_states[0] is before the first block
    for name, at in (("received-early", 2), ("received", block)):
        right = out.attentions[at].mean((1, 2))[0, 1:, None]
        np.testing.assert_allclose(found[name], right, atol=1e-6)
    close(found["cls-token"], out.hidden_states[layer][:, 0], "cls-token")


def test_attention_of_many_queries_is_read_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    q, k = (torch.from_numpy(rng.normal(size=(3, 150, 8))).float() for _ in range(2))
    whole = clip._attention(q, k, 2).mean((1, 2))[:, 1:]
    sizes: list[int] = []
    honest = clip._attention

    def counted(part: Tensor, keys: Tensor, heads: int) -> Tensor:
        sizes.append(part.shape[1])
        return honest(part, keys, heads)

    monkeypatch.setattr(clip, "_attention", counted)
    torch.testing.assert_close(clip.received_attention(q, k, 2), whole, atol=1e-7, rtol=0)
    assert sizes == [64, 64, 22]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(folders: dict[str, Path], clip_folder: Path, dtype: str) -> None:
    """Attention is float32 and never rounded; wide signals are as the tower has them."""
    exact = opened(folders["llava_next"], clip_folder).measure(pictures(), OF_IMAGES)[0]
    half = opened(folders["llava_next"], clip_folder, dtype=dtype)
    found = half.measure(pictures(), OF_IMAGES)[0]
    wide = np.float16 if dtype == "float16" else np.float32
    for name in OF_IMAGES:
        is_wide = name in ("projected", "cls-token", "joint")
        assert found[name].dtype == (wide if is_wide else np.float32), name
        spread = np.abs(exact[name]).max()
        assert np.abs(found[name].astype(np.float32) - exact[name]).max() < 0.2 * spread, name
    for name in ("received", "received-early", "cls-last3"):
        assert (found[name].astype(dtype if dtype == "float16" else "float16") != found[name]).any()
    words = half.phrase(QUESTIONS, OF_TEXT)[0]
    assert words["text-words"].dtype == wide
    assert words["text-clip"].dtype == np.float32


# Questions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "own"),
    [
        (f"Is it?{SHORT}", "Is it?"),
        (f"Which?\nA. a dog\nB. a cat{LETTER}", "Which?\nA. a dog\nB. a cat"),
        ("Context: snow.\nWhy?", "Context: snow.\nWhy?"),
        (f"Is it?{SHORT} Please.", f"Is it?{SHORT} Please."),
        (SHORT, SHORT),
        ("", ""),
    ],
)
def test_own_words_are_without_the_answer_format(question: str, own: str) -> None:
    assert own_words(question) == own


def test_words_are_embedded_as_the_language_model_does(
    folders: dict[str, Path], eager: dict[str, Any]
) -> None:
    adapter = open_adapter(str(folders["llava"]))
    tokenizer = AutoTokenizer.from_pretrained(folders["llava"])
    embed = eager["llava"].get_input_embeddings()
    found = adapter.phrase(QUESTIONS, ["text-words"])
    own = ("Is there a dog in the image?", "What is this?\nA. a dog")
    for text, signals in zip(own, found, strict=True):
        ids = tokenizer(text)["input_ids"][1:]  # without the mark of the beginning
        np.testing.assert_array_equal(
            signals["text-words"], embed(torch.tensor(ids)).detach().float()
        )
    assert adapter.phrase([], ["text-words"]) == []
    assert adapter.phrase(QUESTIONS, []) == [{}, {}]


# Laws and plans ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [("llava", "pad"), ("llava_next", "hf")], ids="-".join)
def test_conformance_covers_signals(folders: dict[str, Path], clip_folder: Path, way: Way) -> None:
    adapter = opened(folders[way[0]], clip_folder, way[1])
    worst = conformance(adapter, pictures(), QUESTIONS)
    assert worst["signals"] < 1e-4


@dataclass(frozen=True)
class Curious:
    """A selector that needs whatever there is."""

    title: ClassVar[str] = "needs everything"
    needs: ClassVar[frozenset[str]] = frozenset({*OF_IMAGES, *OF_TEXT, "features"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def rank(self, tokens: VisualTokens) -> Ranking:
        return in_order(tokens.candidates, len(tokens.separator))


def curious_plan(adapter: ClipLlama, store: Path) -> Any:
    questions = open_questions("shapes", images=3)
    chosen = [SelectorChoice("curious", Curious(), Budget("count", 8))]
    return make_plan(Store(store), questions, Packed(adapter), chosen)


@pytest.mark.parametrize("family", ["llava", "llava_next"])
def test_signals_are_sealed_and_read_again(
    folders: dict[str, Path], clip_folder: Path, tmp_path: Path, family: str
) -> None:
    adapter = opened(folders[family], clip_folder)
    plan = curious_plan(adapter, tmp_path)
    assert list(encode(plan, plan.conditions)) == [0]
    found = read_signals(plan, 0, plan.signals(plan.conditions))
    images = [plan.questions.picture(i) for i in plan.questions.images]
    for i, measured in enumerate(adapter.measure(images, OF_IMAGES)):
        for name in OF_IMAGES:
            np.testing.assert_allclose(found[i, -1][name], measured[name], atol=1e-6)
        for q, phrased in enumerate(adapter.phrase(plan.distinct[i], OF_TEXT)):
            for name in OF_TEXT:
                np.testing.assert_allclose(found[i, q][name], phrased[name], atol=1e-5)


def test_another_clip_model_is_another_condition(
    folders: dict[str, Path], clip_folder: Path, tmp_path: Path
) -> None:
    other = save_clip(tmp_path / "other", D, seed=1)
    plans = [
        curious_plan(opened(folders["llava"], beside), tmp_path) for beside in (clip_folder, other)
    ]
    a, b = (plan.conditions[0].condition for plan in plans)
    assert a.key != b.key
    mark = ClipModel(str(clip_folder), D, "m", "cpu", download=False).mark
    assert f"joint@-2/{mark}" in str(a.features)
    assert f"segments/{mark}" in str(a.features)
    assert plans[0].features.key == plans[1].features.key
    for name in Curious.needs - {"features"}:
        same = plans[0].signal(name).key == plans[1].signal(name).key
        assert same == (name not in ("joint", "text-clip")), name


KEYS = {
    "full": "9b2eecad05f2382ddce8318c1f69cdeb9ddb4af0728f80d50ae38786b66a4131",
    "saliency": "536ca00cfce815096441952a0dc0d747eed7d0e55b1c174263d5532822023b97",
    "scope": "26fc69b918ae4ad86cd2a350f4a0c9eb873bd4879ab51d4cc4ccf3f87edf3ad5",
}
FEATURES = "87593a2d8797d323c211c7a65f57ab9a95cabb74248edbd351ca4b562e27c93d"
RANKING = "bdb9361da5f8b802aa7004107362b968070eeb2e6f22edf99e5b9d348ea49d6e"


def test_keys_of_the_embedded_model_are_what_they_were(tmp_path: Path) -> None:
    """Before there were auxiliary features: caches that exist stay valid, --clip or not."""
    clip_folder = save_clip(tmp_path / "clip", 128)
    for beside in ("", str(clip_folder)):
        plan = run.prepare(
            "shapes",
            store=tmp_path,
            select=[*KEYS],
            keep=64,
            images=4,
            device="cpu",
            clip=beside,
        )
        assert {c.condition.selector: c.condition.key for c in plan.conditions} == KEYS
        assert plan.features.key == FEATURES
        scope = next(c for c in plan.conditions if c.name == "scope")
        assert plan.selection(scope).key == RANKING


# What cannot be used ----------------------------------------------------------------------------


def test_signals_that_there_are_not(folders: dict[str, Path], tmp_path: Path) -> None:
    adapter: Any = open_adapter(str(folders["llava"]))
    assert {"joint", "text-clip"}.isdisjoint(adapter.measures)
    with pytest.raises(PlanError, match=r"signal 'key'.*keys"):
        adapter.measure(pictures(), ["key"])
    for name in ("joint", "features"):
        with pytest.raises(PlanError, match=f"unknown signal '{name}'.*projected"):
            adapter.measure(pictures(), [name])
    with pytest.raises(PlanError, match="unknown signal 'text-clip'"):
        adapter.phrase(QUESTIONS, ["text-clip"])
    with pytest.raises(
        PlanError, match=r"'joint' and 'text-clip'.*name the CLIP model.*--clip REPOSITORY; selec"
    ):
        curious_plan(adapter, tmp_path)


def test_a_question_without_words(folders: dict[str, Path]) -> None:
    adapter = open_adapter(str(folders["llava"]))
    with pytest.raises(PlanError, match="no token of its vocabulary in the question ''"):
        adapter.phrase([""], ["text-words"])
