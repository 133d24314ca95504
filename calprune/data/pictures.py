"""Opening images, and refusing those that no tower can be shown; Pillow is imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calprune.data.benchmark import Blob, Picture
from calprune.errors import BenchmarkError

if TYPE_CHECKING:
    from PIL import Image

# Beyond these a square canvas takes gigabytes, and a strip of single pixels shows nothing.
LONGEST_SIDE = 10_000
MOST_PIXELS = 80_000_000
MOST_ELONGATED = 200
_WRONG = (
    OSError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    ValueError,
)
# By EXIF's value: what turns such a picture upright, a member of Pillow's ``Transpose``.
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def size_of(image: Picture) -> tuple[int, int]:
    """Height and width as shown, from the file's head; BenchmarkError for what cannot be used."""
    if isinstance(image, np.ndarray):
        return _sane(str(image.shape), (image.shape[0], image.shape[1]))
    with _opened(image) as opened:
        height, width = _sane(str(image), (opened.height, opened.width))
        return (width, height) if _orientation(image, opened) >= 5 else (height, width)


def turned(image: Picture) -> bool:
    """Whether showing the image upright turns or mirrors it; BenchmarkError as ``size_of``."""
    if isinstance(image, np.ndarray):
        return False
    with _opened(image) as opened:
        _sane(str(image), (opened.height, opened.width))
        return _orientation(image, opened) != 1


def open_picture(image: Picture) -> Image.Image:
    """The image in RGB, whatever its mode; BenchmarkError if it cannot be decoded or used.

    Alpha and transparent colours are dropped, as LLaVA's loaders drop them.
    """
    from PIL import Image

    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    size_of(image)
    with _opened(image) as opened:
        if opened.mode == "F" or opened.mode.startswith("I"):
            raise BenchmarkError(  # converting would clip them to white or black
                f"image {image} has {opened.mode!r} pixels, more than 8 bits deep; convert it"
            )
        try:
            orientation = _orientation(image, opened)
            plain = opened.convert("RGB")
        except _wrong() as error:
            raise BenchmarkError(f"cannot decode image {image}: {error}") from error
        # convert keeps it, and transformers 5 paints white whatever has that colour
        plain.info.pop("transparency", None)
        turn = _TURNS.get(orientation)
        return plain if turn is None else plain.transpose(Image.Transpose[turn])


def pad_to_square(image: Image.Image, mean: Sequence[float]) -> Image.Image:
    """Centre on a square of the processor's mean colour, as LLaVA-1.5's ``expand2square``."""
    from PIL import Image

    side = max(image.size)
    if image.size == (side, side):
        return image
    canvas = Image.new("RGB", (side, side), tuple(int(x * 255) for x in mean))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def problem(image: Picture) -> str:
    """Why an image cannot be shown to a model; empty if it can."""
    try:
        open_picture(image)
    except BenchmarkError as error:
        return str(error)
    return ""


def _wrong() -> tuple[type[Exception], ...]:
    """What decoders raise."""
    from PIL import Image

    # the second where warnings are errors
    return (*_WRONG, Image.DecompressionBombError, Image.DecompressionBombWarning)


def _opened(picture: Path | Blob) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(picture if isinstance(picture, Path) else BytesIO(picture.content))
    except UnidentifiedImageError as error:
        raise BenchmarkError(f"image {picture}: of no kind that Pillow knows") from error
    except _wrong() as error:
        raise BenchmarkError(f"cannot read image {picture}: {error}") from error


def _orientation(image: Path | Blob, opened: Image.Image) -> int:
    """EXIF's 1 to 8; 1 unless the image is to be shown upright and says something else."""
    if not (isinstance(image, Blob) and image.upright) or opened.format == "TIFF":
        return 1  # TIFFs are turned by Pillow itself, in every benchmark
    try:
        found = opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # parsers of a broken head fail in many ways, and it then says nothing
        return 1
    return found if found in _TURNS else 1


def _sane(name: str, size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if (
        max(size) > LONGEST_SIDE
        or height * width > MOST_PIXELS
        or max(size) > MOST_ELONGATED * min(size)
    ):
        raise BenchmarkError(
            f"image {name} is {width} x {height} pixels: sides up to {LONGEST_SIDE:,}, "
            f"{MOST_PIXELS:,} pixels and proportions up to {MOST_ELONGATED}:1 can be used; scale "
            "or crop it"
        )
    return size
