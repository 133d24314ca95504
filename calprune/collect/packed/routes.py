"""How a pack is run. The only place where a route is chosen.

``tree``: one forward over visual tokens and questions. Short, but every question token's row of
the mask spans all others. ``prefix``: the prompt's and the visual tokens first, plainly causal,
then the questions on top of their keys and values. Two forwards, of which the first needs no mask.
"""

from __future__ import annotations

from typing import Literal

Route = Literal["tree", "prefix"]

# Measured (docs/performance.md): below, the second forward costs more than it saves.
LONG_PREFIX = 384


def route(visual: int) -> Route:
    """The route for lines with so many visual tokens."""
    return "prefix" if visual >= LONG_PREFIX else "tree"
