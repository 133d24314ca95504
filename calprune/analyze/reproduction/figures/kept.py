"""Which visual tokens methods keep of the first images, and how much attention those have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.reproduction.targets import ReproductionTarget, conditions_of
from calprune.data.questions import find_benchmark
from calprune.data.storage.features import first_features
from calprune.data.storage.kept_tokens import kept_tokens
from calprune.data.storage.logits import LogitTable
from calprune.data.studies import TableAxis
from calprune.errors import CalpruneError

LONGEST = 512  # pixels of a side of a photograph as it is drawn


@dataclass(frozen=True)
class Kept:
    """What one method keeps of g images of side x side visual tokens.

    Attributes:
        label: the method, as the study calls it.
        selector: whose colour it has.
        benchmark: that was asked.
        square: how an image becomes a square: ``pad`` or ``crop``.
        image: names, length g.
        kept: bool (g, side, side), row by row from the top.
        attention: (g, side, side) attention of the CLS token; None where it is not asked for.
    """

    label: str
    selector: str
    benchmark: str
    square: str
    image: tuple[str, ...]
    kept: NDArray[np.bool_]
    attention: NDArray[np.float64] | None = None


def kept_by(
    target: ReproductionTarget, lines: Sequence[TableAxis], images: int, attention: bool
) -> tuple[tuple[Kept, ...], tuple[str, ...]]:
    """What each method keeps of the first images of a benchmark, and what lacks.

    Args:
        target: on whom; of several benchmarks the first that has most of the methods.
        lines: the methods.
        images: how many at most.
        attention: whether it is wanted, too; without features in the store nothing is found.
    """
    best = max(
        target.experiments.values(),
        key=lambda one: sum(bool(conditions_of(one, x, target.table.tokens)) for x in lines),
        default=None,
    )
    if best is None:
        return (), ("no benchmark of it is in the cache",)
    side, square = _side(best), _square(best)
    if not side or not square:
        return (), ("the visual tokens of this model are no square",)
    found, lacking = [], []
    for line in lines:
        there = conditions_of(best, line, target.table.tokens)
        one = _kept(line, there[0].tables[0], images, (side, square), attention) if there else None
        if isinstance(one, Kept):
            found.append(one)
        else:
            lacking.append(one or f"{line.label}: this condition is not in the cache")
    return tuple(found), tuple(lacking)


def _side(experiment: Experiment) -> int:
    """Rows of the square of all visual tokens; 0 where they are none, or nobody saw them all."""
    seen = {
        int(n)
        for t in experiment.tables
        if t.condition.selector == "full" and t.visual.size
        for n in t.visual[:, 0]
    }
    count = seen.pop() if len(seen) == 1 else 0
    return isqrt(count) if isqrt(count) ** 2 == count else 0


def _square(experiment: Experiment) -> str:
    rule = experiment.key.pixels.rpartition("/")[2].partition("+")[0]
    return rule if rule in ("pad", "crop") else ""


def _kept(
    line: TableAxis, table: LogitTable, images: int, shape: tuple[int, str], attention: bool
) -> Kept | str:
    """What a condition's file says, or why it cannot be shown."""
    side, square = shape
    try:
        recorded = kept_tokens(table)
        if recorded is None or (recorded.question >= 0).any():
            return f"{line.label}: its file does not say what was kept of each image"
        names = recorded.image[:images]
        measured = _attention(table, names) if attention else None
    except CalpruneError as error:
        return f"{line.label}: {error}"
    if attention and (measured is None or measured.shape[1] != side * side):
        return f"{line.label}: its features are not in the store"
    index = recorded.index[: len(names)]
    if int(index.max(initial=-1)) >= side * side:
        return f"{line.label}: its tokens are no square"
    flat = np.zeros((len(names), side * side + 1), dtype=np.bool_)
    flat[np.arange(len(names))[:, None], index] = True  # what is padded goes to the last
    grid = (len(names), side, side)
    return Kept(
        line.label,
        line.select.partition(":")[0],
        table.condition.benchmark,
        square,
        names,
        flat[:, :-1].reshape(grid),
        None if measured is None else measured.reshape(grid),
    )


def _attention(table: LogitTable, names: Sequence[str]) -> NDArray[np.float64] | None:
    """Saliency (g, v) of these images from the features that lie in the same store."""
    above = table.path.absolute().parents  # a logit file may lie in any folder
    found = first_features(above[3], table.condition) if len(above) > 3 else None
    if found is None:
        return None
    at = {name.decode(): i for i, name in enumerate(found["image/id"].tolist())}
    offset, values = (
        found["image/offset"],
        next((found[name] for name in sorted(found) if name.startswith("saliency/")), None),
    )
    if values is None or not set(names) <= set(at):
        return None
    rows = [values[offset[at[n]] : offset[at[n] + 1]].astype(np.float64) for n in names]
    return np.stack(rows) if len({len(row) for row in rows}) == 1 else None


def square_picture(one: Kept, at: int, licensed: bool) -> NDArray[np.uint8] | None:
    """An image as the tower sees its square, (h, h, 3); None where it is not to be had.

    Args:
        one: whose image.
        at: which of its images.
        licensed: images of others are shown, too; else only those that are drawn by a program.
    """
    kind = find_benchmark(one.benchmark)
    if getattr(kind, "reads_files", True) and not licensed:
        return None
    try:
        picture = kind.open(None).picture(one.image[at])
        if not isinstance(picture, np.ndarray):
            from calprune.data.pictures import open_picture

            opened = open_picture(picture)
            opened.thumbnail((LONGEST, LONGEST))
            picture = np.asarray(opened)
    except (CalpruneError, ImportError):
        return None
    return _squared(picture, one.square)


def _squared(picture: NDArray[np.uint8], rule: str) -> NDArray[np.uint8]:
    """Padded with grey around, or its middle."""
    height, width = picture.shape[:2]
    if rule == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return picture[top : top + side, left : left + side]
    side = max(height, width)
    canvas = np.full((side, side, 3), 236, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = picture
    return canvas
