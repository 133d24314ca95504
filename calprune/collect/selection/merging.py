"""What selectors that make new tokens share."""

from __future__ import annotations

from calprune.collect.visual_tokens import VisualTokens
from calprune.errors import PlanError


def require_cls(name: str, tokens: VisualTokens) -> None:
    """PlanError, naming the selector, where CLS cannot stand beside what the model is fed.

    CLS is a state of the vision tower: it goes through the projector with the patches, and cannot
    join tokens that are counted behind it.
    """
    width, own = tokens.features.shape[1], tokens.signals["cls-token"].shape[1]
    if own != width:
        raise PlanError(
            f"{name}: passes on the tower's CLS token of {own} values, but the visual tokens of "
            f"image {tokens.image[:12]} have {width}: they are counted after the projector; name "
            "a --picture that counts patches, such as split"
        )
