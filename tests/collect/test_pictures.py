"""Images as people have them: every mode, odd sizes, broken files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from calprune.collect import run
from calprune.collect.models import ModelOptions, open_adapter
from calprune.data.benchmark import upright
from calprune.data.pictures import open_picture, pad_to_square, size_of, turned
from calprune.data.questions import open_questions
from calprune.data.storage.store import Store
from calprune.errors import BenchmarkError, PlanError
from tests.collect.checkpoints import save_checkpoint

MEAN = (0.48145466, 0.4578275, 0.40821073)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("pictures") / "llava")


def drawn(path: Path, mode: str, size: tuple[int, int] = (40, 30)) -> Path:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", "jpg"), ("CMYK", "jpg"), ("P", "png"), ("L", "png"), ("RGBA", "png"), ("1", "png")],
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    opened = open_picture(drawn(tmp_path / f"x.{suffix}", mode))
    assert (opened.mode, opened.size) == ("RGB", (40, 30))


def see_through(path: Path) -> tuple[Path, Image.Image]:
    """A square picture of four colours, one of them transparent, and what its pixels are."""
    rng = np.random.default_rng(1)
    index = rng.integers(0, 4, (336, 336), dtype=np.uint8)
    colours = [(250, 10, 10), (10, 200, 30), (20, 30, 220), (90, 90, 90)]
    plain = Image.fromarray(np.array(colours, dtype=np.uint8)[index])
    if path.stem == "rgb":
        plain.save(path, transparency=colours[1])
        return path, plain
    palette = Image.fromarray(index)
    palette.putpalette([value for colour in colours for value in colour])
    palette.save(path, transparency=1)
    return path, plain


@pytest.mark.parametrize("name", ["palette.png", "rgb.png", "palette.gif"])
@pytest.mark.parametrize("picture", ["pad", "crop"])
def test_a_transparent_colour_is_the_colour_that_it_is(
    folder: Path, tmp_path: Path, name: str, picture: str
) -> None:
    """As LLaVA's own loaders leave it, and whichever transformers is installed."""
    path, plain = see_through(tmp_path / name)
    with Image.open(path) as kept:
        assert "transparency" in kept.info
    adapter = open_adapter(str(folder), ModelOptions(picture=picture))
    crops = adapter.crops(open_picture(path))  # type: ignore[attr-defined]
    assert torch.equal(crops, adapter.crops(plain))  # type: ignore[attr-defined]
    std = (0.26862954, 0.26130258, 0.27577711)
    expected = ((np.asarray(plain) / 255 - MEAN) / std).transpose(2, 0, 1)
    np.testing.assert_allclose(crops[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["palette.png", "rgb.png", "palette.gif"])
def test_a_transparent_colour_is_what_it_is_in_tiles(tmp_path: Path, name: str) -> None:
    adapter = open_adapter(str(save_checkpoint(tmp_path / "next", family="llava_next")))
    path, plain = see_through(tmp_path / name)
    found = adapter.crops(open_picture(path))  # type: ignore[attr-defined]
    assert torch.equal(found, adapter.crops(plain))  # type: ignore[attr-defined]
    (seen, same) = adapter.encode([path, np.asarray(plain)])
    np.testing.assert_array_equal(seen.features["patches"], same.features["patches"])


def test_padding_is_the_originals(tmp_path: Path) -> None:
    """Mean colour of CLIP, the odd pixel at the end, squares untouched."""
    image = Image.fromarray(np.full((3, 8, 3), 255, dtype=np.uint8))
    padded = np.asarray(pad_to_square(image, MEAN))
    assert padded.shape == (8, 8, 3)
    assert padded[0, 0].tolist() == [122, 116, 104]
    assert (padded[2:5] == 255).all()
    assert (padded[5] == [122, 116, 104]).all()
    square = Image.new("RGB", (5, 5))
    assert pad_to_square(square, MEAN) is square


def test_pad_and_crop_show_different_parts(folder: Path, tmp_path: Path) -> None:
    wide = drawn(tmp_path / "wide.png", "RGB", (300, 100))
    pad, crop = (open_adapter(str(folder), ModelOptions(picture=p)) for p in ("pad", "crop"))
    assert pad.token_layout((100, 300)).box[0].tolist() == pytest.approx([0, -100, 12.5, -87.5])
    assert crop.token_layout((100, 300)).box[0].tolist() == pytest.approx(
        [100, 0, 104.1667, 4.1667], 1e-4
    )
    a, b = (x.encode([wide])[0].features["patches"] for x in (pad, crop))
    assert np.abs(a - b).max() > 0.1
    assert pad.pixels != crop.pixels


@pytest.mark.parametrize("mode", ["I;16", "F", "I"])
def test_deep_pixels_are_refused_not_clipped(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "deep.tiff"
    Image.new(mode, (20, 20)).save(path)
    with pytest.raises(BenchmarkError, match=r"deep\.tiff.*more than 8 bits"):
        open_picture(path)


@pytest.mark.parametrize("picture", ["pad", "crop"])
@pytest.mark.parametrize("side", [1, 3])
def test_three_rows_of_pixels_are_not_three_channels(folder: Path, picture: str, side: int) -> None:
    """Shape (3, 3, 3) could be either way round; older image processors guess."""
    colour = np.array([200, 100, 50], dtype=np.uint8)
    image = Image.fromarray(np.broadcast_to(colour, (side, side, 3)).copy())
    adapter = open_adapter(str(folder), ModelOptions(picture=picture))
    found = adapter._pixels([image])  # type: ignore[attr-defined]
    expected = (colour / 255 - MEAN) / (0.26862954, 0.26130258, 0.27577711)
    assert found.shape == (1, 3, 336, 336)
    assert found[0].mean((1, 2)).numpy() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2000, 12)])
def test_odd_sizes_can_be_shown(folder: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    path = drawn(tmp_path / "odd.png", "RGB", size)
    for adapter in (open_adapter(str(folder), ModelOptions(picture=p)) for p in ("pad", "crop")):
        seen = adapter.encode([path])[0]
        assert np.isfinite(seen.features["patches"]).all()
        assert len(seen.layout) == 576


@pytest.mark.parametrize("size", [(20_000, 300), (1, 500), (9_000, 9_000)])
def test_sizes_beyond_use_are_refused_from_the_head_alone(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "large.png"
    Image.new("1", size).save(path)
    with pytest.raises(BenchmarkError, match=rf"large\.png is {size[0]} x {size[1]} pixels"):
        size_of(path)


def pope(root: Path) -> Path:
    """Six images in POPE's layout, the second broken, the third far too long."""
    names = [f"COCO_val2014_{i:012d}.jpg" for i in range(6)]
    (root / "val2014").mkdir(parents=True)
    for i, name in enumerate(names):
        size = (20_000, 2) if i == 2 else (40 + i, 30)
        mode = "CMYK" if i == 3 else "RGB"
        drawn(root / "val2014" / name, mode, size)
    (root / "val2014" / names[1]).write_bytes(b"\xff\xd8 no more of it")
    for split in ("random", "popular", "adversarial"):
        rows = [
            {"question_id": n, "image": name, "text": f"Is there a {x} in the image?", "label": y}
            for n, (name, x, y) in enumerate(
                (name, x, y) for name in names for x, y in (("dog", "yes"), ("cat", "no"))
            )
        ]
        text = "\n".join(json.dumps(row) for row in rows)
        (root / f"coco_pope_{split}.json").write_text(text)
    return root


def test_bad_images_are_listed_and_the_rest_is_asked(folder: Path, tmp_path: Path) -> None:
    root = pope(tmp_path / "pope")
    options = {"model": str(folder), "data": root, "select": "full"}
    with pytest.raises(BenchmarkError, match=r"2 of 6 images .* at most 1 %.*--max-left-out 34%"):
        run.prepare("pope", **options)
    options["max_left_out"] = 0.34
    outcome = run.collect("pope", store=tmp_path / "store", min_mass=0, **options)
    left_out = outcome.plan.left_out
    assert len(left_out) == 2
    assert "000000000001.jpg" in left_out[0]
    assert "20000 x 2 pixels" in left_out[1]
    (table,) = Store(tmp_path / "store").tables()
    assert len(table) == 4 * 2 * 3
    assert len(set(table.cluster)) == 4
    logged = json.loads(next((tmp_path / "store" / "runs").iterdir()).read_text())
    assert logged["left_out"] == list(left_out)
    with pytest.raises(PlanError, match="--strict leaves no image out"):
        run.prepare("pope", strict=True, **options)
    with pytest.raises(PlanError, match="--max-left-out 34"):
        run.prepare("pope", **{**options, "max_left_out": 34})
    del options["max_left_out"]
    with pytest.raises(BenchmarkError, match=r"000000000001\.jpg"):
        run.prepare("pope", strict=True, **options)
    with pytest.raises(BenchmarkError, match="2 of 6 images"):
        run.estimate_cost("pope", **options)


def test_a_benchmark_without_any_usable_image(folder: Path, tmp_path: Path) -> None:
    root = pope(tmp_path / "pope")
    for path in (root / "val2014").iterdir():
        path.write_bytes(b"")
    with pytest.raises(BenchmarkError, match="none of its images"):
        run.prepare("pope", model=str(folder), data=root)


def held(path: Path, orientation: int, form: str) -> Path:
    """A picture, 6 wide and 4 high, that says how its camera was held."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[0, 0], pixels[0, 5], pixels[3, 0] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    Image.fromarray(pixels).save(path, form, exif=exif, lossless=True)
    return path


# What EXIF 2.3 says of each: which corner of the stored pixels is seen at the top left, and which
# at the top right. r, g and b are the corners painted above, x is the black one.
CORNERS = {1: "rg", 2: "gr", 3: "xb", 4: "bx", 5: "rb", 6: "br", 7: "xg", 8: "gx"}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_picture_is_turned_as_exif_says_where_that_is_asked(
    tmp_path: Path, orientation: int, form: str
) -> None:
    path = held(tmp_path / "held", orientation, form)
    as_stored = np.asarray(open_picture(path))
    assert (as_stored.shape, size_of(path), turned(path)) == ((4, 6, 3), (4, 6), False)
    shown = np.asarray(open_picture(upright(path)))
    assert size_of(upright(path)) == shown.shape[:2] == ((6, 4) if orientation > 4 else (4, 6))
    assert turned(upright(path)) == (orientation != 1)
    names = {(250, 0, 0): "r", (0, 250, 0): "g", (0, 0, 250): "b", (0, 0, 0): "x"}
    seen = "".join(names[tuple(shown[0, at].tolist())] for at in (0, -1))
    assert seen == CORNERS[orientation]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow's own, on opening a JPEG
@pytest.mark.parametrize("head", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0 nothing of it"])
def test_a_broken_exif_head_turns_nothing(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "broken.jpg"
    Image.new("RGB", (6, 4)).save(path, exif=head)
    assert (size_of(upright(path)), turned(upright(path))) == ((4, 6), False)
    assert open_picture(upright(path)).size == (6, 4)


def asked(root: Path, *orientations: int) -> str:
    """A ``file:`` benchmark about pictures that were held so."""
    root.mkdir()
    rows = []
    for i, orientation in enumerate(orientations):
        held(root / f"{i}.png", orientation, "PNG")
        rows.append({"image": f"{i}.png", "question": f"Is there a dog, {i}?", "label": "yes"})
    (root / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return f"file:{root / 'q.jsonl'}"


def test_ones_own_pictures_are_shown_upright_and_the_key_says_so(
    folder: Path, tmp_path: Path
) -> None:
    """A turned picture is another condition; without one, keys and digests stay as they were."""
    keys = {}
    for name, orientations in {"plain": (1, 1), "held": (1, 6)}.items():
        bench = asked(tmp_path / name, *orientations)
        (planned,) = run.prepare(bench, model=str(folder), select="full").conditions
        keys[name] = planned.condition.pixels
        assert planned.condition.picture == "pad"
    assert keys == {
        "plain": "CLIPImageProcessor:pil/pad",
        "held": "CLIPImageProcessor:pil/pad+upright",
    }
    questions = open_questions(bench)
    sizes = [size_of(questions.picture(image)) for image in questions.images]
    assert sizes == [(4, 6), (6, 4)]
    stored = [hashlib.sha256((tmp_path / "held" / n).read_bytes()) for n in questions.images]
    assert list(questions.digests) == [s.hexdigest() for s in stored]


def test_published_benchmarks_ignore_exif_as_their_own_code_does(
    folder: Path, tmp_path: Path
) -> None:
    root = pope(tmp_path / "pope")
    for path in (root / "val2014").iterdir():
        held(path, 6, "JPEG")
        path.write_bytes(path.read_bytes() + path.name.encode())  # so that bytes differ
    plan = run.prepare("pope", model=str(folder), data=root, select="full")
    assert plan.pixels == "CLIPImageProcessor:pil/pad"
    assert size_of(plan.questions.picture(plan.questions.images[0])) == (4, 6)
