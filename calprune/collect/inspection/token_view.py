"""What selectors keep of one image, for ``calprune show tokens``.

The language model is run only for selectors that choose inside it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import EncodedImage, TokenLayout
from calprune.collect.grid import named_budgets
from calprune.collect.pruning_stages import InModelSelector, is_in_model
from calprune.collect.request import CollectRequest, SelectionOptions
from calprune.collect.run import plan_for
from calprune.collect.selector import Merges, guided
from calprune.collect.stages.block_cache import BlockCache
from calprune.collect.stages.encode import encode
from calprune.collect.stages.in_model_block import replies
from calprune.collect.stages.kept_tokens import kept_in
from calprune.collect.stages.plan import BLOCK_IMAGES, Plan, PlannedCondition, Unit
from calprune.collect.stages.planning import make_plan
from calprune.collect.stages.select import read_merges, select
from calprune.data.condition_names import name_of, title_of
from calprune.data.pictures import open_picture
from calprune.data.questions import find_benchmark
from calprune.data.storage.store import Store
from calprune.errors import PlanError

MOST = 12
USUAL = 64  # tokens kept, where budgets are not named
_LONGEST_SIDE = 1008  # pixels of the image as it is drawn


@dataclass(frozen=True)
class SelectionMark:
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
class TokenView:
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
    marks: tuple[SelectionMark, ...]


def token_view(
    bench: str = "shapes",
    image: str = "0",
    *,
    question: int = 0,
    **options: Unpack[SelectionOptions],
) -> TokenView:
    """What selectors keep of one image.

    Where the store holds the image's block of features, it is used, and what is chosen anew is
    sealed there; otherwise this image alone is encoded, and nothing is written.

    Args:
        bench: name of a benchmark.
        image: its name, or its place among the images, from 0 on.
        question: which of the image's distinct questions is asked, from 0 on, where selectors are
            guided by it or choose inside the language model.
        options: as ``CollectRequest`` describes them; ``keep`` is 64 if nothing else is said.

    Raises:
        PlanError: for an image, question or selector that cannot be shown.
    """
    whole = plan_for(_request(bench, options))
    _showable(whole.conditions)
    at = _place(whole, image)
    if not 0 <= question < len(whole.distinct[at]):
        raise PlanError(
            f"--question {question}: image {whole.questions.images[at]} has "
            f"{len(whole.distinct[at])} distinct questions, counted from 0"
        )
    block = at // BLOCK_IMAGES
    if whole.features.has(block):
        return _view(replace(whole, shard=(block, whole.blocks)), at, question)
    with TemporaryDirectory() as folder:
        name = whole.questions.images[at]
        alone = whole.questions.without(set(whole.questions.images) - {name}, apart=True)
        choices = [c.choice for c in whole.conditions]
        plan = make_plan(Store(Path(folder)), alone, whole.packed, choices)
        return _view(plan, 0, question)


def _request(bench: str, options: SelectionOptions) -> CollectRequest:
    """With the usual budget, and any images left out: one image is shown."""
    request = CollectRequest(bench, **options)
    request.refuse_unread("show tokens", SelectionOptions.__annotations__)
    if not request.selectors:
        raise PlanError("nothing to show: name a selection with --select")
    selected = request.selectors
    if (
        not request.budgets
        and not named_budgets(selected)
        and any(c.selector.budget is None for c in request.choices)
    ):
        request = replace(request, keep=USUAL)
    reads_files = getattr(find_benchmark(bench), "reads_files", True)
    if request.max_left_out is None and not request.strict and reads_files:
        request = replace(request, max_left_out=1.0)
    return request


def _showable(conditions: Sequence[PlannedCondition]) -> None:
    if len(conditions) > MOST:
        raise PlanError(
            f"{len(conditions)} selections are too many for one figure: name at most {MOST} with "
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


def _view(plan: Plan, at: int, question: int) -> TokenView:
    for stage in (encode(plan, plan.conditions), select(plan, plan.conditions)):
        for _ in stage:
            pass
    block = at // BLOCK_IMAGES
    blocks = BlockCache(plan)
    images = blocks.features(block).images
    encoded = images[at - plan.images(block).start]
    name = plan.questions.images[at]
    picture = open_picture(plan.questions.picture(name))
    size = (picture.height, picture.width)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return TokenView(
        model=plan.adapter.name,
        benchmark=plan.questions.name,
        image=name,
        question=plan.distinct[at][question],
        pixels=np.asarray(picture),
        size=size,
        layout=encoded.layout,
        saliency=encoded.saliency[plan.adapter.saliency].astype(np.float64),
        measure=plan.adapter.measures.get("saliency", plan.adapter.saliency),
        marks=tuple(_mark(plan, c, Unit(at, question), blocks) for c in plan.conditions),
    )


def _mark(plan: Plan, planned: PlannedCondition, unit: Unit, blocks: BlockCache) -> SelectionMark:
    block = unit.image // BLOCK_IMAGES
    images = blocks.features(block).images
    encoded = images[unit.image - plan.images(block).start]
    selector: Any = planned.selector
    if is_in_model(selector):
        return _in_model(plan, planned, selector, unit, encoded)
    wanted = unit if guided(planned.selector) else Unit(unit.image)
    at = plan.units(block, planned.selector).index(wanted)
    layout = encoded.layout
    kept, part = np.zeros(len(layout), np.bool_), np.zeros(len(layout), np.bool_)
    index = kept_in(plan, planned, block, images, blocks)[at].index
    kept[index[index >= 0]] = True
    kept &= ~layout.separator
    tokens = int(kept.sum())
    if isinstance(planned.selector, Merges):
        merged = read_merges(plan, planned, block)[at]
        token = merged.token[merged.weight != 0.0]
        part[token[token >= 0]] = True
        tokens = len(merged)
    name, title = name_of(planned.condition), title_of(planned.condition)
    return SelectionMark(name, title, tokens, kept, part & ~kept, guided(planned.selector))


def _in_model(
    plan: Plan,
    planned: PlannedCondition,
    selector: InModelSelector,
    unit: Unit,
    encoded: EncodedImage,
) -> SelectionMark:
    """What the last layer sees when the model is asked."""
    prompt = plan.distinct[unit.image][unit.question]
    found = replies(plan, planned, selector, [(unit.image, encoded, [prompt])])
    (until,), layers = found.until, found.visual.shape[1]
    kept = (until == layers) & ~encoded.layout.separator
    tokens = int(kept.sum() + found.merged[0, -1])
    since = int(until[until < layers].max(initial=0))
    name, title = name_of(planned.condition), title_of(planned.condition)
    return SelectionMark(name, title, tokens, kept, np.zeros_like(kept), True, since)
