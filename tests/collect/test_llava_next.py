"""LLaVA-NeXT: crops, row ends, and what 640 of 2,880 means."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor

from calprune.collect import run
from calprune.collect.models import ModelOptions, open_adapter
from calprune.collect.models.llava_next import CONVENTIONS, LlavaNext
from calprune.data.condition import Budget
from calprune.data.storage.reading import check_file
from calprune.data.storage.store import Store
from calprune.errors import ModelError, PlanError
from tests.collect.checkpoints import MEAN, PINPOINTS, save_checkpoint

# Packed counts of transformers' own functions, by height and width.
PACKED = {
    (480, 640): 2340,
    (640, 480): 2352,
    (427, 640): 2144,
    (672, 672): 2928,
    (1000, 1000): 2928,
    (300, 1000): 2182,
    (1080, 1920): 1948,
}
# Of images whose sides both fit into one tile, and of one that does not: tokens as the original
# code packs them (LLaVA's ``unpad_image`` and a newline a row), and as transformers does.
SMALL = {
    (200, 300): (976, 1464),
    (300, 200): (1476, 984),
    (240, 320): (1026, 1368),
    (336, 336): (1176, 1176),
    (480, 640): (2340, 2340),
}
CROPS = {(336, 336): 3, (480, 640): 5, (300, 1000): 4, (1000, 300): 4, (336, 600): 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("next") / "next", family="llava_next")


@pytest.fixture(scope="module")
def by_picture(folder: Path) -> dict[str, LlavaNext]:
    opened = {p: open_adapter(str(folder), ModelOptions(picture=p)) for p in CONVENTIONS}
    return {p: a for p, a in opened.items() if isinstance(a, LlavaNext)}


@pytest.mark.parametrize(("size", "tokens"), PACKED.items())
def test_frames_have_transformers_own_token_counts(
    by_picture: dict[str, LlavaNext], size: tuple[int, int], tokens: int
) -> None:
    separator = by_picture["hf"].token_layout(size)
    assert len(separator) == tokens
    assert len(by_picture["packed"].token_layout(size)) == tokens
    assert not by_picture["packed"].token_layout(size).separator.any()
    assert separator.separator.sum() == (separator.cell[:, 0] == -1).sum() > 0


@pytest.mark.parametrize(("size", "tokens"), SMALL.items())
def test_small_pictures_are_packed_as_the_original_code_does(
    by_picture: dict[str, LlavaNext], size: tuple[int, int], tokens: tuple[int, int]
) -> None:
    assert (
        len(by_picture["packed"].token_layout(size)),
        len(by_picture["hf"].token_layout(size)),
    ) == tokens


def best_canvas(width: int, height: int) -> tuple[int, int]:
    """Width and height of the canvas, by the rule of LLaVA-1.6's paper and code, written anew.

    As large as possible an area of the picture itself, then as little as possible left black; the
    first of equals, where pinpoints are read as (width, height).
    """
    found = []
    for at, (wide, high) in enumerate(PINPOINTS):
        scale = min(wide / width, high / height)
        used = min(int(width * scale) * int(height * scale), width * height)
        found.append((-used, wide * high - used, at))
    wide, high = PINPOINTS[min(found)[2]]
    return wide, high


@given(st.integers(5, 700), st.integers(5, 700))
@example(200, 300)
@example(336, 336)
@example(337, 336)
def test_the_grid_is_the_original_codes(
    by_picture: dict[str, LlavaNext], width: int, height: int
) -> None:
    small = max(width, height) <= 336
    tiles = {name: adapter._tiles((height, width)) for name, adapter in by_picture.items()}
    wide, high = best_canvas(width, height)
    for name in ("split", "per-crop", "packed"):
        assert tiles[name] == (high // 336, wide // 336)
        assert by_picture[name].grid_of([(height, width)]) == "width-first" * small
    assert (tiles["hf"] != tiles["split"]) == small
    assert by_picture["hf"].grid_of([(height, width)]) == ""


@pytest.mark.parametrize("picture", ["split", "packed"])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (301, 77), (640, 427)])
def test_tiles_are_cut_as_the_original_code_cuts_them(
    by_picture: dict[str, LlavaNext], picture: str, size: tuple[int, int]
) -> None:
    """The whole squeezed into a square, then tiles of it scaled into the canvas and centred."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    wide, high = best_canvas(*size)
    scale = min(wide / size[0], high / size[1])
    inner = [min(most, math.ceil(n * scale)) for n, most in zip(size, (wide, high), strict=True)]
    canvas = Image.new("RGB", (wide, high))
    canvas.paste(image.resize(inner), ((wide - inner[0]) // 2, (high - inner[1]) // 2))
    corners = [(x, y) for y in range(0, high, 336) for x in range(0, wide, 336)]
    cut = [canvas.crop((x, y, x + 336, y + 336)) for x, y in corners]
    std = (0.26862954, 0.26130258, 0.27577711)
    expected = [(np.asarray(c) / 255 - MEAN) / std for c in (image.resize((336, 336)), *cut)]
    found = by_picture[picture].crops(image).numpy()
    np.testing.assert_allclose(found, np.stack(expected).transpose(0, 3, 1, 2), atol=1e-5)


def of_sizes(root: Path, *sizes: tuple[int, int]) -> str:
    """A ``file:`` benchmark about pictures of these widths and heights."""
    root.mkdir()
    rows = []
    for i, size in enumerate(sizes):
        Image.new("RGB", size, (i, 0, 0)).save(root / f"{i}.png")
        rows.append({"image": f"{i}.png", "question": f"A dog, {i}?", "label": "yes"})
    (root / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return f"file:{root / 'q.jsonl'}"


def test_the_key_says_which_grid_where_it_makes_a_difference(folder: Path, tmp_path: Path) -> None:
    """Conditions whose pictures are all large keep the keys that they had."""
    large = of_sizes(tmp_path / "large", (640, 480), (337, 40))
    mixed = of_sizes(tmp_path / "mixed", (640, 480), (300, 200))
    for picture in CONVENTIONS:
        usual = f"LlavaNextImageProcessor:pil/{picture}"
        follows = picture not in ("hf", "fixed")
        for bench, pixels in ((large, usual), (mixed, usual + "+width-first" * follows)):
            plan = run.prepare(bench, model=str(folder), picture=picture, select="full")
            assert plan.conditions[0].condition.pixels == plan.features.manifest["pixels"] == pixels
            assert plan.conditions[0].condition.picture == picture


@pytest.mark.parametrize(("size", "crops"), CROPS.items())
def test_grids_are_natural_or_fixed(
    by_picture: dict[str, LlavaNext], size: tuple[int, int], crops: int
) -> None:
    for picture in ("split", "per-crop"):
        assert list(by_picture[picture].token_layout(size).crops.values()) == [576] * crops
    assert list(by_picture["fixed"].token_layout(size).crops.values()) == [576] * 5


@given(st.integers(10, 1500), st.integers(10, 1500))
def test_every_patch_is_there_once_and_row_ends_are_no_patches(height: int, width: int) -> None:
    adapter = LlavaNext.__new__(LlavaNext)
    adapter.grid, adapter.pinpoints = 24, [[336, 672], [672, 336], [672, 672], [1008, 336]]
    adapter.vision = type("Vision", (), {"image_size": 336})
    for convention in CONVENTIONS.values():
        adapter.convention = convention
        layout = adapter.token_layout((height, width))
        patch = layout.cell[:, 0] >= 0
        assert len(np.unique(layout.cell[patch], axis=0)) == patch.sum()
        assert (layout.cell[~patch] == -1).all()
        assert np.isnan(layout.box[~patch]).all()
        assert (layout.separator <= ~patch).all()
        if not convention.unpad:
            assert patch.all()
            assert len(layout) % 576 == 0
        elif 0.2 < height / width < 5:
            # unpadded tiles show the image and nothing but the image, up to a patch's rounding
            side = max(height, width) / 24
            box = layout.box[patch]
            assert box[:, :2].min() > -side
            assert (box[:, 2] < width + side).all()
            assert (box[:, 3] < height + side).all()


def test_budgets_are_counted_as_the_convention_says() -> None:
    five, three = [576] * 5, [576] * 3
    assert Budget("count", 640, "split").shares(five) == [128] * 5
    assert Budget("count", 640, "split").shares(three) == [213] * 3
    assert Budget("count", 128, "crop").shares(three) == [128] * 3
    assert Budget("count", 640).shares(five) == [640]
    assert Budget("ratio", 0.25, "split").shares(three) == [144] * 3
    assert Budget("count", 2400).shares([1176]) == [1176]


def collected(folder: Path, store: Path, **options: Any) -> dict[str, Any]:
    run.collect(
        "shapes",
        store=store,
        model=str(folder),
        images=2,
        select=["scope:alpha=0", "random:seed=0"],
        min_mass=0,
        **options,
    )
    found = {}
    for path in Store(store).logit_files():
        sealed = check_file(path)
        found[sealed.manifest["selector"]] = sealed
    return found


@pytest.mark.parametrize(
    ("picture", "keep", "tokens"),
    [
        ("split", 640, 639),  # shapes are square: 3 crops, 213 each
        ("fixed", 640, 640),
        ("per-crop", 128, 384),
        ("packed", 640, 640),
        ("hf", 640, 640 + 24),  # and a row end for each of the mosaic's 24 rows
    ],
)
def test_true_token_counts_are_recorded(
    folder: Path, tmp_path: Path, picture: str, keep: int, tokens: int
) -> None:
    for name, sealed in collected(folder, tmp_path, picture=picture, keep=keep).items():
        scope = CONVENTIONS[picture].scope
        assert sealed.manifest["budget"] == {"kind": "count", "value": keep, "scope": scope}
        grid = "" if picture in ("fixed", "hf") else "+width-first"  # shapes are small
        assert sealed.manifest["pixels"] == f"LlavaNextImageProcessor:pil/{picture}{grid}"
        assert (sealed.arrays["run/visual"] == tokens).all(), name
        assert ((sealed.arrays["image/kept"] >= 0).sum(axis=1) == tokens).all()


def test_selection_is_per_crop_where_the_budget_is(folder: Path, tmp_path: Path) -> None:
    kept = collected(folder, tmp_path, keep=300)["random"].arrays["image/kept"][0]
    adapter = open_adapter(str(folder))
    crop = adapter.token_layout((168, 168)).cell[kept, 0]
    assert np.unique(crop, return_counts=True)[1].tolist() == [100, 100, 100]
    places = [set((kept[crop == c] % 576).tolist()) for c in range(3)]
    assert places[0] != places[1], "crops draw their own tokens"


def test_conventions_are_other_conditions(folder: Path, tmp_path: Path) -> None:
    for picture in ("split", "hf"):
        collected(folder, tmp_path, picture=picture, keep=640)
    assert len({t.condition.key for t in Store(tmp_path).tables()}) == 4


def test_blind_keeps_no_row_ends_either(folder: Path, tmp_path: Path) -> None:
    run.collect(
        "shapes",
        store=tmp_path,
        model=str(folder),
        images=1,
        select=["blind", "random:seed=0"],
        keep=[0],
        picture="hf",
        min_mass=0,
    )
    assert all((t.visual == 0).all() for t in Store(tmp_path).tables())


def test_the_least_ratio_keeps_one_token_of_each_pool(folder: Path, tmp_path: Path) -> None:
    found = collected(folder, tmp_path, keep="0.1%")
    assert (found["random"].arrays["run/visual"] == 3).all()


def test_the_studys_grid_keeps_the_same_shares(folder: Path) -> None:
    def kept(**options: Any) -> set[float]:
        plan = run.prepare("shapes", model=str(folder), images=1, **options)
        budgets = [c.condition.budget for c in plan.conditions]
        return {b.value for b in budgets if b.kind == "count"}

    assert kept() == {160, 320, 640, 960}
    assert kept(select="scope") == {320, 640, 960}
    assert kept(picture="per-crop") == {32, 64, 128, 192}
    assert kept(select="scope", keep=[7]) == {7}
    cost = run.estimate_cost("pope", model="llava-next-vicuna-7b")
    assert "scope:alpha=1 @160" in {c["condition"] for c in cost["conditions"]}


def test_requests_that_make_no_sense(folder: Path) -> None:
    options: dict[str, Any] = {"model": str(folder), "images": 1, "select": "scope"}
    with pytest.raises(PlanError, match=r"cannot keep 577.*have 576 at most under --picture per"):
        run.prepare("shapes", keep=577, picture="per-crop", **options)
    with pytest.raises(PlanError, match=r"way to show a picture 'spit'.*split"):
        run.prepare("shapes", keep=1, picture="spit", **options)
    with pytest.raises(PlanError, match=r"1729.*shapes have 1728"):
        run.prepare("shapes", keep=1729, **options)
    with pytest.raises(PlanError, match="over up to 5 crops leaves none for each"):
        run.prepare("shapes", keep=4, **options)
    with pytest.raises(PlanError, match=r"'split'.*not 'crop'"):
        run.prepare("shapes", keep=[Budget("count", 8, "crop")], **options)


def test_full_equals_generate_from_pixels_and_text(folder: Path) -> None:
    """Nothing of ours on the other side: processor, placeholder expansion, eager attention."""
    import torch
    from PIL import Image
    from transformers import LlavaNextForConditionalGeneration

    from calprune.collect.models import ImageRequest
    from calprune.collect.packed.reply import Packed

    adapter = open_adapter(str(folder), ModelOptions(picture="hf", template="hf"))
    picture = np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    seen = adapter.encode([picture])[0]
    prompt = adapter.prompt("Is there a dog in the image?")
    places = adapter.positions(len(prompt.prefix), seen.layout)
    row = ImageRequest(
        seen.features["patches"],
        seen.layout.separator,
        places[:, len(prompt.prefix) : -1],
        int(places[0, -1]),
        (prompt.suffix,),
    )
    processor = AutoProcessor.from_pretrained(folder)
    reference = LlavaNextForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    content = [{"type": "image"}, {"type": "text", "text": "Is there a dog in the image?"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(images=Image.fromarray(picture), text=text, return_tensors="pt")
    answer = reference.generate(
        **inputs,
        max_new_tokens=1,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    packed = Packed(adapter).reply([row]).logits[0]
    assert np.abs(answer.logits[0][0].numpy() - packed).max() < 1e-4


def test_a_processor_that_cuts_other_crops(tmp_path: Path) -> None:
    folder = save_checkpoint(
        tmp_path / "odd", family="llava_next", vision_config={"image_size": 224}
    )
    import json

    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    settings |= {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
    path.write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"gives 336 pixels a side.*takes 224"):
        open_adapter(str(folder))
