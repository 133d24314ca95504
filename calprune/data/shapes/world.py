"""The world of ``shapes``: 48 kinds of object, how common each is, and which occur together.

Everything here is integers or exactly rounded arithmetic, so it is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from calprune.data.random_draws import Draws

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
KINDS = len(COLOURS) * len(SHAPES)
THEMES = 6
HOME = 12
FEWEST, MOST = 4, 9
_WORLD_STREAM = 7


def kind_name(kind: int) -> str:
    """``'red circle'`` for kind 0; kinds are numbered colour-major."""
    return f"{COLOURS[kind // len(SHAPES)]} {SHAPES[kind % len(SHAPES)]}"


@dataclass(frozen=True)
class World:
    """Fixed statistics of natural scenes.

    ``weights[t][k]``: integer weight of kind k in theme t. ``popularity`` (48,) and
    ``together`` (48, 48): probability that a scene holds k, or both j and k.
    ``tints`` (themes, 3): background tint of each theme.
    """

    weights: tuple[tuple[int, ...], ...]
    popularity: NDArray[np.float64]
    together: NDArray[np.float64]
    tints: NDArray[np.float64]


@cache
def world() -> World:
    """The one world that the benchmark and the training scenes share."""
    draws = Draws(_WORLD_STREAM)
    rank = draws.order(KINDS)
    # rank**-0.35, rounded to an integer so that no machine's pow can move it
    common = [round(100_000 * (1 + r) ** -0.35) for r in rank]
    homes = [sorted(draws.sample(list(range(KINDS)), HOME)) for _ in range(THEMES)]
    weights = tuple(_theme_weights(common, home) for home in homes)
    popularity, together = _occurrence(weights)
    tints = draws.uniforms(THEMES * 3, -0.06, 0.06).reshape(THEMES, 3)
    return World(weights, popularity, together, tints)


def _theme_weights(common: list[int], home: list[int]) -> tuple[int, ...]:
    """About 0.65 of a scene comes from the theme's home kinds, 0.35 from all kinds."""
    all_kinds, at_home = sum(common), sum(common[k] for k in home)
    return tuple(
        35 * c * at_home // all_kinds + (65 * c if k in home else 0) for k, c in enumerate(common)
    )


def _occurrence(
    weights: tuple[tuple[int, ...], ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact presence probabilities for n = 4..9 independent draws from a uniform theme."""
    popularity = np.zeros(KINDS)
    together = np.zeros((KINDS, KINDS))
    cells = float(THEMES * (MOST - FEWEST + 1))
    for theme in weights:
        p = np.array(theme, dtype=np.float64) / float(sum(theme))
        neither = 1.0 - p[:, None] - p[None, :]
        lack, lack_both = np.ones(KINDS), np.ones((KINDS, KINDS))
        for n in range(1, MOST + 1):
            lack, lack_both = lack * (1.0 - p), lack_both * neither
            if n >= FEWEST:
                popularity += (1.0 - lack) / cells
                together += (1.0 - lack[:, None] - lack[None, :] + lack_both) / cells
    np.fill_diagonal(together, 0.0)
    return popularity, together
