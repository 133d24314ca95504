"""Whether a selector that prunes inside fits a model, its images and questions; before weights."""

from __future__ import annotations

from calprune.collect.adapter import STAND_IN_SIZE, Adapter, TokenLayout
from calprune.collect.in_model.decoder import layerwise
from calprune.collect.pruning_stages import InModelSelector, Stage, planned
from calprune.collect.suggestions import serving
from calprune.data.condition import Budget
from calprune.data.pictures import size_of
from calprune.data.questions import Questions
from calprune.errors import PlanError


def fits(
    name: str,
    selector: InModelSelector,
    budget: Budget,
    adapter: Adapter,
    q: Questions,
) -> None:
    """PlanError for an unknown decoder, replies, or stages that an image does not allow."""
    layerwise(adapter)
    if q.open or q.closed_tokens:
        way = "ask questions with fixed answers" if q.open else "leave out --reply-tokens"
        before = serving(adapter, before_layers=True)
        raise PlanError(f"{no_replies(name)}: {way}, or select before the language model: {before}")
    sizes = {size_of(q.picture(i)) for i in q.images} if adapter.ragged else {STAND_IN_SIZE}
    for size in sorted(sizes):
        stages_of(name, selector, budget, adapter.token_layout(size), adapter.shape.layers)


def no_replies(name: str) -> str:
    """Why a selector of this kind gives none."""
    return (
        f"{name} prunes inside the language model; replies of several tokens are not supported for "
        "such selectors yet"
    )


def stages_of(
    name: str, selector: InModelSelector, budget: Budget, layout: TokenLayout, layers: int
) -> tuple[Stage, ...]:
    """The stages of one image, whose crops compete with one another."""
    return planned(
        name, selector, tokens_of(budget, layout), int((~layout.separator).sum()), layers
    )


def tokens_of(budget: Budget, layout: TokenLayout) -> int:
    """What a budget asks for in the whole image, as the model's convention counts it."""
    return sum(budget.shares(list(layout.crops.values())))
