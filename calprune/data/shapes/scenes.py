"""Drawn scenes: coloured shapes on a textured ground, as pixels and as labels.

A scene is named by (stream, index). Streams never share a scene: the benchmark, the held-out set
that chooses between trained seeds, and the training sets each have their own. Pixels are computed
in float64 with +, -, *, / and sqrt alone, which IEEE 754 rounds the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.data.random_draws import Draws
from calprune.data.shapes.world import FEWEST, KINDS, MOST, SHAPES, THEMES, world

SIDE = 168
PATCH = 7
BENCHMARK, HELD_OUT, TRAIN_LANGUAGE, TRAIN_TOWER = 1, 2, 3, 4
BAR, GROUND = -2, -1

Array = NDArray[np.float64]

_RGB = np.array(
    [
        (0.86, 0.13, 0.13),
        (0.95, 0.52, 0.08),
        (0.93, 0.87, 0.15),
        (0.14, 0.66, 0.22),
        (0.12, 0.80, 0.82),
        (0.14, 0.27, 0.88),
        (0.53, 0.16, 0.70),
        (0.97, 0.55, 0.75),
    ]
)


@dataclass(frozen=True)
class Look:
    """How hard it is to see: radii in pixels, least opacity, noise, spacing, most bars."""

    radius: tuple[float, float]
    opacity: float
    noise: tuple[float, float]
    apart: float
    bars: int


# The tower learns from clear scenes; the language model learns from, and is asked about, dim ones.
CLEAR = Look((6.0, 19.0), 0.75, (0.02, 0.08), 0.55, 3)
DIM = Look((5.0, 15.0), 0.45, (0.04, 0.14), 0.45, 5)


@dataclass(frozen=True)
class Thing:
    """One object: its kind, centre (x, y) and radius in pixels, and what can be seen of it."""

    kind: int
    x: float
    y: float
    radius: float
    seen: int
    drawn: int

    @property
    def clear(self) -> bool:
        """At least 45 % of it and 35 pixels are visible."""
        return self.seen >= 35 and 100 * self.seen >= 45 * self.drawn


@dataclass(frozen=True)
class Scene:
    """A drawn image with its truth.

    ``pixels`` uint8 (168, 168, 3); ``owner`` int16 (168, 168): index into ``things``, −1 for
    ground, −2 for an occluding bar.
    """

    stream: int
    index: int
    theme: int
    pixels: NDArray[np.uint8]
    owner: NDArray[np.int16]
    things: tuple[Thing, ...]

    @property
    def present(self) -> frozenset[int]:
        """Kinds of which at least one object is clearly visible."""
        return frozenset(t.kind for t in self.things if t.clear)

    @property
    def dubious(self) -> frozenset[int]:
        """Kinds that were drawn but cannot be clearly seen; nobody is asked about them."""
        return frozenset(t.kind for t in self.things) - self.present


def draw_scene(stream: int, index: int, *, crowded: bool = False) -> Scene:
    """Draw scene ``index`` of ``stream``.

    ``crowded`` scenes hold 9 to 16 objects of uniformly drawn kinds (tower training only).
    """
    draws = Draws(stream, index, int(crowded))
    look = CLEAR if stream == TRAIN_TOWER else DIM
    theme = draws.integer(THEMES)
    n = 9 + draws.integer(8) if crowded else FEWEST + draws.integer(MOST - FEWEST + 1)
    weights = [1] * KINDS if crowded else list(world().weights[theme])
    kinds = draws.weighted(weights, n)
    places = _place(draws, kinds, look)
    canvas = _ground(draws, theme)
    owner = np.full((SIDE, SIDE), GROUND, dtype=np.int16)
    drawn = [_paint(canvas, owner, i, draws, place, look) for i, place in enumerate(places)]
    _bars(canvas, owner, draws, look.bars)
    canvas += draws.normals(SIDE, SIDE, 3) * draws.uniform(*look.noise)
    pixels = np.floor(np.clip(canvas, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    seen = np.bincount(owner[owner >= 0].ravel(), minlength=len(places))
    things = tuple(
        Thing(kind, x, y, r, int(s), d)
        for (kind, x, y, r), s, d in zip(places, seen, drawn, strict=True)
    )
    return Scene(stream, index, theme, pixels, owner, things)


def _place(draws: Draws, kinds: list[int], look: Look) -> list[tuple[int, float, float, float]]:
    """Radii and centres; what finds no place apart enough from the others is left out."""
    placed: list[tuple[int, float, float, float]] = []
    for kind in kinds:
        u = draws.uniform()
        least, most = look.radius
        radius = least + (most - least) * (0.44 * u + 0.56 * u * u)  # close to log-uniform
        for x, y in draws.uniforms(60, 0.8 * radius, SIDE - 0.8 * radius).reshape(30, 2).tolist():
            if all(
                (x - a) * (x - a) + (y - b) * (y - b)
                >= look.apart * look.apart * (radius + r) * (radius + r)
                for _, a, b, r in placed
            ):
                placed.append((kind, x, y, radius))
                break
    return placed


def _ground(draws: Draws, theme: int) -> Array:
    """A nearly grey low-frequency texture with the theme's tint, (168, 168, 3)."""
    cells = 7
    grid = draws.normals(cells, cells, 1) * 0.07 + draws.normals(cells, cells, 3) * 0.012
    step = (np.arange(SIDE) + 0.5) * ((cells - 1) / SIDE)
    low = np.floor(step).astype(np.int64)
    t = (step - low)[:, None, None]
    rows = grid[low] * (1.0 - t) + grid[low + 1] * t
    t = (step - low)[None, :, None]
    texture: Array = rows[:, low] * (1.0 - t) + rows[:, low + 1] * t
    texture += world().tints[theme] + draws.uniform(0.35, 0.65)
    return texture


def _paint(
    canvas: Array,
    owner: NDArray[np.int16],
    index: int,
    draws: Draws,
    place: tuple[int, float, float, float],
    look: Look,
) -> int:
    """Blend one object in, with one pixel of antialiasing; returns its drawn area in pixels."""
    kind, x, y, radius = place
    jitter, turn = draws.normals(3) * 0.05, draws.uniforms(3)
    colour = (_RGB[kind // len(SHAPES)] + jitter) * (0.75 + 0.35 * turn[0])
    opacity = look.opacity + (1.0 - look.opacity) * turn[1]
    x0, x1 = max(int(x - radius) - 2, 0), min(int(x + radius) + 3, SIDE)
    y0, y1 = max(int(y - radius) - 2, 0), min(int(y + radius) + 3, SIDE)
    u, v = _turned(x0, x1, y0, y1, x, y, tilt=0.25 * turn[2] - 0.125)
    distance = _distance(SHAPES[kind % len(SHAPES)], u, v, radius)
    cover = np.clip(0.5 - distance, 0.0, 1.0)[:, :, None] * opacity
    window = canvas[y0:y1, x0:x1]
    window += (colour - window) * cover
    inside = distance < 0.0
    owner[y0:y1, x0:x1][inside] = index
    return int(inside.sum())


def _turned(
    x0: int, x1: int, y0: int, y1: int, x: float, y: float, *, tilt: float
) -> tuple[Array, Array]:
    """Pixel centres of a window relative to (x, y), turned by 2 atan(tilt)."""
    dx = (np.arange(x0, x1) + 0.5 - x)[None, :]
    dy = (np.arange(y0, y1) + 0.5 - y)[:, None]
    scale = 1.0 + tilt * tilt
    c, s = (1.0 - tilt * tilt) / scale, 2.0 * tilt / scale
    return c * dx + s * dy, c * dy - s * dx


def _distance(shape: str, u: Array, v: Array, r: float) -> Array:
    """Signed distance (pixels, negative inside) of the outline; exact or a close lower bound."""
    if shape == "circle":
        return np.sqrt(u * u + v * v) - 0.88 * r
    if shape == "ring":
        return np.abs(np.sqrt(u * u + v * v) - 0.72 * r) - 0.24 * r
    a, b = np.abs(u), np.abs(v)
    if shape == "square":
        return np.maximum(a, b) - 0.8 * r
    if shape == "cross":
        w = 0.3 * r
        return np.minimum(np.maximum(a - 0.95 * r, b - w), np.maximum(a - w, b - 0.95 * r))
    if shape == "triangle":
        return np.maximum(0.8660254037844386 * a - 0.5 * v, v) - 0.5 * r
    return _star(a, -v, r)


def _star(a: Array, v: Array, r: float) -> Array:
    """Five-pointed star, folded into one tenth of itself; ``a`` = |u|, points upwards in ``v``."""
    kx, ky = 0.8090169943749475, -0.5877852522924731
    fold = 2.0 * np.maximum(kx * a + ky * v, 0.0)
    a, v = a - fold * kx, v - fold * ky
    fold = 2.0 * np.maximum(-kx * a + ky * v, 0.0)
    a, v = a + fold * kx, v - fold * ky
    a = np.abs(a)
    v = v - r
    # edge from the tip to the inner corner, whose radius is 0.45 of the outer
    ex, ey = 0.45 * 0.5877852522924731 * r, (0.45 * 0.8090169943749475 - 1.0) * r
    along = np.clip((a * ex + v * ey) / (ex * ex + ey * ey), 0.0, 1.0)
    px, py = a - ex * along, v - ey * along
    away = np.sqrt(px * px + py * py)
    return np.where(v * ex - a * ey > 0.0, away, -away)


def _bars(canvas: Array, owner: NDArray[np.int16], draws: Draws, most: int) -> None:
    """Up to ``most`` thin grey bars across the whole image, in front of everything."""
    for _ in range(draws.integer(most + 1)):
        x, y, tilt, width, grey = draws.uniforms(5).tolist()
        u, _v = _turned(0, SIDE, 0, SIDE, x * SIDE, y * SIDE, tilt=2.0 * tilt - 1.0)
        distance = np.abs(u) - (0.8 + 1.2 * width)
        touched = distance < 0.5
        cover = np.minimum(0.5 - distance[touched], 1.0)[:, None]
        canvas[touched] += (0.25 + 0.5 * grey - canvas[touched]) * cover
        owner[distance < 0.0] = BAR
