"""What selectors keep of one image, for ``calprune show tokens``.

The language model is run only for selectors that choose inside it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import EncodedImage, TokenLayout
from calprune.collect.grid import grid
from calprune.collect.hf.names import EMBEDDED
from calprune.collect.pruning_stages import InModelSelector, is_in_model
from calprune.collect.run import Keep, prepare
from calprune.collect.selector import Merges, guided
from calprune.collect.stages.encode import encode, read_features
from calprune.collect.stages.in_model_block import replies
from calprune.collect.stages.kept_tokens import chosen_in
from calprune.collect.stages.plan import BLOCK_IMAGES, Cell, Plan, make_plan
from calprune.collect.stages.select import choose, read_merges
from calprune.data.condition_names import name_of, title_of
from calprune.data.pictures import open_picture
from calprune.data.questions import find_benchmark
from calprune.data.storage.store import Store
from calprune.errors import PlanError

MOST = 12
USUAL = 64  # tokens kept, where budgets are not named
_LONGEST_SIDE = 1008  # pixels of the image as it is drawn


@dataclass(frozen=True)
class Mark:
    """What one selector keeps.

    Attributes:
        name: of the condition, to be typed.
        title: the same for people.
        tokens: how many the language model reads, row ends apart.
        kept: bool (v,), tokens that are kept; of each new token the old one that weighs most.
        part: bool (v,), further tokens that new ones are made of.
        guided: it follows the question.
        since: the first layer of the language model that sees no more than these.
    """

    name: str
    title: str
    tokens: int
    kept: NDArray[np.bool_]
    part: NDArray[np.bool_]
    guided: bool
    since: int = 0


@dataclass(frozen=True)
class Look:
    """One image, its v visual tokens, and what selectors keep of them.

    Attributes:
        model, benchmark, image, question: whose.
        pixels: uint8 (h, w, 3), scaled down if it is large.
        size: height and width of the image itself, in whose pixels ``layout.box`` counts.
        layout: where the tokens stand.
        saliency: float64 (v,), NaN on separators.
        measure: what that is, e.g. ``cls@-2:sum``.
        marks: one for each selector and budget.
    """

    model: str
    benchmark: str
    image: str
    question: str
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    layout: TokenLayout
    saliency: NDArray[np.float64]
    measure: str
    marks: tuple[Mark, ...]


def look(
    bench: str = "shapes",
    image: str = "0",
    *,
    select: str | Sequence[str],
    keep: Keep | Sequence[Keep] = (),
    question: int = 0,
    model: str = EMBEDDED,
    **options: Any,
) -> Look:
    """What selectors keep of one image.

    Where the store holds the image's block of features, it is used, and what is chosen anew is
    sealed there; otherwise this image alone is encoded, and nothing is written.

    Args:
        bench: name of a benchmark.
        image: its name, or its place among the images, from 0 on.
        select: selectors as on the command line.
        keep: budgets; 64 by default.
        question: which of the image's distinct questions is asked, from 0 on, where selectors are
            guided by it or choose inside the language model.
        model: a short name, a repository, or a local folder.
        options: as ``prepare`` takes them.

    Raises:
        PlanError: for an image, question or selector that cannot be shown.
    """
    if keep in ((), [], ""):
        named = grid([select] if isinstance(select, str) else select)
        keep = () if all(c.selector.budget for c in named) else USUAL
    if getattr(find_benchmark(bench), "reads_files", True):  # one image is shown, so any may lack
        options = {"max_left_out": 1.0, **options}
    whole = prepare(bench, model=model, select=select, keep=keep, **options)
    _showable(whole.cells)
    at = _place(whole, image)
    if not 0 <= question < len(whole.distinct[at]):
        raise PlanError(
            f"--question {question}: image {whole.questions.images[at]} has "
            f"{len(whole.distinct[at])} distinct questions, counted from 0"
        )
    block = at // BLOCK_IMAGES
    if whole.features.has(block):
        return _looked(replace(whole, share=(block, whole.blocks)), block, at, question)
    with TemporaryDirectory() as folder:
        name = whole.questions.images[at]
        alone = whole.questions.without(set(whole.questions.images) - {name}, apart=True)
        chosen = [c.chosen for c in whole.cells]
        plan = make_plan(Store(Path(folder)), alone, whole.packed, chosen)
        return _looked(plan, 0, 0, question)


def _showable(cells: Sequence[Cell]) -> None:
    if len(cells) > MOST:
        raise PlanError(
            f"{len(cells)} selections are too many for one figure: name at most {MOST} with "
            "--select and --keep; one seed of a random selector is --select random:seed=0"
        )


def _place(plan: Plan, image: str) -> int:
    names = plan.questions.images
    if image in names:
        return names.index(image)
    if image.isascii() and image.isdecimal() and int(image) < len(names):
        return int(image)
    near = difflib.get_close_matches(image, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise PlanError(
        f"{plan.questions.name}: no image {image!r}: {hint}write a name such as {names[0]}, or a "
        f"number from 0 to {len(names) - 1}"
    )


def _looked(plan: Plan, block: int, at: int, question: int) -> Look:
    for stage in (encode(plan, plan.cells), choose(plan, plan.cells)):
        for _ in stage:
            pass
    encoded = read_features(plan, block).seen
    seen = encoded[at - plan.images(block).start]
    name = plan.questions.images[at]
    picture = open_picture(plan.questions.picture(name))
    size = (picture.height, picture.width)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return Look(
        model=plan.adapter.name,
        benchmark=plan.questions.name,
        image=name,
        question=plan.distinct[at][question],
        pixels=np.asarray(picture),
        size=size,
        layout=seen.layout,
        saliency=seen.saliency[plan.adapter.saliency].astype(np.float64),
        measure=plan.adapter.measures.get("saliency", plan.adapter.saliency),
        marks=tuple(_mark(plan, c, block, (at, question), encoded) for c in plan.cells),
    )


def _mark(plan: Plan, cell: Cell, block: int, unit: tuple[int, int], encoded: list[Any]) -> Mark:
    selector: Any = cell.chosen.selector
    if is_in_model(selector):
        return _in_model(plan, cell, selector, unit, encoded[unit[0] - plan.images(block).start])
    wanted = unit if guided(cell.chosen.selector) else (unit[0], -1)
    at = plan.asked(block, cell.chosen).index(wanted)
    layout = encoded[unit[0] - plan.images(block).start].layout
    kept, part = np.zeros(len(layout), np.bool_), np.zeros(len(layout), np.bool_)
    index = chosen_in(plan, cell, block, encoded)[at].index
    kept[index[index >= 0]] = True
    kept &= ~layout.separator
    tokens = int(kept.sum())
    if isinstance(cell.chosen.selector, Merges):
        merged = read_merges(plan, cell.chosen, block)[at]
        token = merged.token[merged.weight != 0.0]
        part[token[token >= 0]] = True
        tokens = len(merged)
    name, title = name_of(cell.condition), title_of(cell.condition)
    return Mark(name, title, tokens, kept, part & ~kept, guided(cell.chosen.selector))


def _in_model(
    plan: Plan, cell: Cell, selector: InModelSelector, unit: tuple[int, int], seen: EncodedImage
) -> Mark:
    """What the last layer sees when the model is asked."""
    image, question = unit
    found = replies(plan, cell, selector, [(image, seen, [plan.distinct[image][question]])])
    (until,), layers = found.until, found.visual.shape[1]
    kept = (until == layers) & ~seen.layout.separator
    tokens = int(kept.sum() + found.merged[0, -1])
    since = int(until[until < layers].max(initial=0))
    name, title = name_of(cell.condition), title_of(cell.condition)
    return Mark(name, title, tokens, kept, np.zeros_like(kept), True, since)
