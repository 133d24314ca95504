"""What a selector that prunes inside the language model promises: stages. Needs no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.collect.selector import SelectorInfo
from calprune.errors import CalpruneError, PlanError

Positions = Literal["contiguous", "original"]


@dataclass(frozen=True)
class Stage:
    """One point between layers at which visual tokens of an image leave.

    Attributes:
        before: index of the first layer that does not see them, 0 < before < layers.
        by: index of the layer whose softmaxed attention ranks them: ``before - 1``, which has just
            run, or ``before``, which is about to.
        keep: candidates that stay; separators and text always do.
        rows: the queries of that attention: the ``last`` position of the prompt, or the ``raters``
            among the question's tokens (SparseVLM), averaged.
        heads: 0 averages all heads; n divides each head's attention by the rotary bias and averages
            the n heads with the largest sum over raters and visual tokens (SparseVLM 2.0).
        merge_from: best of the dropped tokens, of which new ones are made.
        merged: new tokens made of them, which follow the kept ones.
        again: what is kept is read once more from the input embeddings and the first layer on.
    """

    before: int
    by: int
    keep: int
    rows: Literal["last", "raters"] = "last"
    heads: int = 0
    merge_from: int = 0
    merged: int = 0
    again: bool = False


class InModelSelector(SelectorInfo, Protocol):
    """A selector that prunes inside the language model."""

    @property
    def positions(self) -> Positions:
        """Position ids after a stage.

        ``original`` ones with gaps, or ``contiguous`` ones, counted anew over what is left, text
        included.
        """
        ...

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        """Where tokens leave, for an image with so many candidates and a decoder so deep.

        ``budget_tokens`` is what the budget asks for in the whole image. PlanError if it makes no
        sense for this image or decoder.
        """
        ...


def is_in_model(selector: Any) -> TypeGuard[InModelSelector]:
    """Whether this selector prunes inside the language model."""
    return callable(getattr(selector, "stages", None))


def positions_of(name: str, selector: InModelSelector, asked: Positions) -> Positions:
    """Position ids of a condition with such a selector: its own.

    ``contiguous`` is what is asked where nothing is; PlanError where ``original`` contradicts.
    """
    if asked == "original" and selector.positions != "original":
        raise PlanError(
            f"{name} counts positions anew after each stage, as published; it cannot be asked at "
            "original positions: leave --positions out for it"
        )
    return selector.positions


def planned(
    name: str, selector: InModelSelector, budget_tokens: int, candidates: int, layers: int
) -> tuple[Stage, ...]:
    """A selector's stages; PlanError if they are impossible.

    A budget of all candidates is allowed and is the full model where the selector keeps them all.
    A plug-in that fails in any other way is a PlanError, too, which names it.
    """
    if not 0 < budget_tokens <= candidates:
        hint = "no token at all is the selector 'blind'" if budget_tokens <= 0 else "keep fewer"
        raise PlanError(
            f"{name}: a budget of {budget_tokens} visual tokens for an image that has "
            f"{candidates}; choose 1 to {candidates} ({hint})"
        )
    stages = _asked(name, selector, budget_tokens, candidates, layers)
    before, left = 0, candidates
    for n, s in enumerate(stages, 1):
        if not before < s.before < layers or not s.before - 1 <= s.by <= s.before:
            raise PlanError(
                f"{name}: stage {n} stands before layer {s.before}, ranked by layer {s.by}; stages "
                f"rise from 1 to {layers - 1} in a decoder of {layers} layers"
            )
        if not 0 < s.keep <= left or not 0 <= s.merged <= s.merge_from <= left - s.keep:
            raise PlanError(
                f"{name}: stage {n} keeps {s.keep} and merges {s.merge_from} into {s.merged} of "
                f"{left} visual tokens"
            )
        if (s.again and len(stages) > 1) or (s.merged and selector.positions != "contiguous"):
            raise PlanError(
                f"{name}: stage {n}: a second pass stands alone, and merged tokens have no "
                "position of their own, so that positions are counted anew ('contiguous')"
            )
        before, left = s.before, s.keep + s.merged
    if not stages:
        raise PlanError(f"{name}: names no stage at which tokens leave")
    return stages


def _asked(name: str, selector: InModelSelector, *given: int) -> tuple[Stage, ...]:
    try:
        stages = tuple(selector.stages(*given))
    except CalpruneError:
        raise
    except Exception as error:
        budget, candidates, layers = given
        raise PlanError(
            f"selector {name!r} failed at its stages for {budget} of {candidates} visual tokens in "
            f"{layers} layers: {registry.reason(error)}"
        ) from error
    for s in stages:
        if not isinstance(s, Stage):
            raise PlanError(f"selector {name!r}: its stages are of Stage, not {type(s).__name__}")
    return stages


def promised(stages: tuple[Stage, ...], candidates: int, separator: int, layers: int) -> list[int]:
    """Visual tokens, separators included, that each layer works on."""
    seen = [candidates + separator] * layers
    for s in stages:
        first = 0 if s.again else s.before
        seen[first:] = [s.keep + s.merged + separator] * (layers - first)
    return seen


def left(
    stages: tuple[Stage, ...], after: Sequence[NDArray[np.int64]], visual: int, layers: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """What each layer works on, from the tokens that were there ``after`` each stage.

    ``after``: for each stage which of the ``visual`` tokens of the image these are, -1 for merged
    ones.

    Returns:
        For each visual token (v,) the first layer that does not see it, ``layers`` where all do;
        and for each layer (layers,) how many merged ones it sees.
    """
    until = np.full(visual, layers, dtype=np.int32)
    merged = np.zeros(layers, dtype=np.int32)
    for stage, token in zip(stages, after, strict=True):
        first = 0 if stage.again else stage.before
        gone = np.setdiff1d(np.arange(visual), token)
        until[gone] = np.minimum(until[gone], first)
        merged[first:] = (token < 0).sum()
    return until, merged
