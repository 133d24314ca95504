"""Whether a logit file holds what its condition asked for: answers, budget, lengths of replies.

What a file does not say is not guessed: row ends that are kept whatever the budget are counted
among visual tokens and not marked, crops are not listed, and layers with a window hide tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.data.condition import ALL_TOKENS, Condition
from calprune.data.padding import pad_rows
from calprune.errors import Mismatch

IMPORTED = "imported"
"""Picture rule of what another program answered: nobody counted visual tokens by layer."""

# Rules by which an image becomes visual tokens all of which compete, so that a budget bounds them.
_NO_GLUE = ("pad", "crop", "split", "fixed", "per-crop", "packed")


def check_agreement(condition: Condition, arrays: dict[str, NDArray[Any]]) -> None:
    """Mismatch unless the columns, lawful by themselves, are those of this condition."""
    if answer_array(condition).tolist() != arrays["answer/token"].tolist():
        raise Mismatch("answer tokens differ from those of its condition")
    if (arrays["run/tokens"].shape[1] == 0) != (condition.pixels == IMPORTED):
        none = "of no layer" if condition.pixels != IMPORTED else "imported, and of some layer"
        raise Mismatch(f"run/tokens: {none}")
    _check_budget(condition, arrays)
    allowed = [x for x in (condition.reply, condition.closed_reply) if x is not None]
    if allowed and "gen/offset" in arrays:
        longest = int(np.diff(arrays["gen/offset"]).max(initial=0))
        if longest > max(allowed):
            raise Mismatch(f"a reply of {longest} tokens, and its condition allows {max(allowed)}")


def answer_array(condition: Condition) -> NDArray[np.int32]:
    """Token ids of answers (a, s), padded with −1."""
    return pad_rows([np.array(ids, dtype=np.int32) for ids in condition.answer_tokens])


def _check_budget(condition: Condition, arrays: dict[str, NDArray[Any]]) -> None:
    """What layers saw is what the budget left of an image, or all of one that has no more.

    Selectors that prune inside the model are bound at its last layer: a budget may be an average.
    """
    budget, visual = condition.budget, arrays["run/visual"]
    whole = _whole(arrays)

    def every(good: NDArray[np.bool_], law: str) -> None:
        if not good.all():
            row, layer = np.argwhere(~good)[0].tolist()
            raise Mismatch(
                f"run/visual: row {row} has {visual[row, layer]} visual tokens in layer {layer}, "
                f"{law} (budget {budget.label})"
            )

    if budget.value == 0:
        every(visual == 0, "and its condition keeps none")
        return
    every((visual > 0) | ~whole, "and its condition keeps some")
    bounded = budget.kind == "count" and not budget.of_each_crop
    if bounded and condition.picture in _NO_GLUE:
        first = np.arange(visual.shape[1]) < visual.shape[1] - 1
        every((visual <= budget.value) | first, "more than its condition keeps")
    kept = arrays.get("image/kept")
    if kept is None or "image/until" in arrays:
        return
    # without image/until, files of version 1.1 hold choices inside the model, which measure nothing
    largest = np.where(whole, visual, 0).max(axis=1, keepdims=True)
    same = (visual == largest) | ~whole
    if condition.features is not None:
        every(same, "other than in other layers, and its tokens left before the first")
    once = whole & same.all(axis=1, keepdims=True)
    every((visual <= kept.shape[1]) | ~once, f"more than the {kept.shape[1]} of image/kept")
    if budget == ALL_TOKENS or not budget.rounded:
        places = np.arange(kept.shape[1])
        complete = (kept >= 0).sum(axis=1)[((kept == places) | (kept < 0)).all(axis=1)]
        enough = np.inf if budget == ALL_TOKENS else budget.value
        every(
            (visual >= enough) | np.isin(visual, complete) | ~once,
            "fewer than its condition keeps, and image/kept holds no whole image so small",
        )


def _whole(arrays: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Layers (n, layers) that saw all text of a row, and so no window; all if text is not told.

    Mismatch if one saw more text than there is.
    """
    visual = arrays["run/visual"]
    if "prompt/head" not in arrays or "prompt/tail" not in arrays:
        return np.ones(visual.shape, dtype=np.bool_)
    text = len(arrays["prompt/head"]) + (arrays["prompt/tail"] >= 0).sum(axis=1)
    hidden = text[:, None] - (arrays["run/tokens"] - visual)
    for row in np.flatnonzero((hidden < 0).any(axis=1))[:1]:
        raise Mismatch(f"run/tokens: row {row} has more text than its prompt of {text[row]} tokens")
    found: NDArray[np.bool_] = hidden == 0
    return found
