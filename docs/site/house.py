"""Draws the house: floors from the import contracts, rooms from the folders.

The drawing is made when the site is built. It cannot leave a package out, as it starts from the
folders, and it refuses a floor whose package is gone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import tree
from tree import Tree

WIDTH, GAP, PAD = 1000, 14, 12
ROOF, BETWEEN = 84, 46
ROOM, HEADING, LINE = 30, 26, 15
NARROWEST = 118
# Who fills the cache, where it lies, and who reads it: the arrows of the picture.
FILLS, HOLDS, READS = "collect", "data", "analyze"


@dataclass(frozen=True)
class Box:
    """One package or module of a floor, where it stands and how large it is."""

    name: str
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    rooms: tuple[str, ...]


def floors(contracts: Sequence[Mapping[str, Any]], package: str) -> list[list[str]]:
    """The floors of a package, the upper first: its contract of the kind ``layers``.

    Layers may be written in full or below a container; what stands side by side is one floor.
    """
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        containers = contract.get("containers", [])
        prefix = f"{package}." if package in containers else ""
        found = [
            [prefix + part.strip(" ()") for part in layer.replace(":", "|").split("|")]
            for layer in contract["layers"]
        ]
        names = [name for floor in found for name in floor]
        if all(name.rpartition(".")[0] == package for name in names):
            return found
    return []


def storeys(modules: Tree, contracts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """All floors of the house; what the contract leaves free stands together on the last one.

    Raises:
        LookupError: a floor names what is no longer there, or the drawing's own names are gone.
    """
    (root,) = [name for name in modules if "." not in name]
    found = floors(contracts, root)
    named = {name for floor in found for name in floor}
    gone = sorted(n for n in {*named, *_arrows(root)} if n not in modules)
    if gone:
        raise LookupError(f"the house has no {', '.join(gone)}: mend its contract or house.py")
    beside = [m.name for m in tree.below(modules, root) if m.name not in named]
    return [*found, beside] if beside else found


def rooms(modules: Tree, contracts: Sequence[Mapping[str, Any]], package: str) -> list[str]:
    """The packages in a package: by their own contract where there is one, else by name."""
    inside = [m.name for m in tree.below(modules, package) if m.is_package]
    order = [name for floor in floors(contracts, package) for name in floor]
    return sorted(inside, key=lambda n: (order.index(n) if n in order else len(order), n))


def drawing(modules: Tree, contracts: Sequence[Mapping[str, Any]], shelves: Collection[str]) -> str:
    """The house as SVG, to stand in a page: its colours are the page's.

    Args:
        modules: the package.
        contracts: import-linter's, as in ``pyproject.toml``.
        shelves: dotted packages that hold one plug-in a file.
    """
    (root,) = [name for name in modules if "." not in name]
    y: float = ROOF + GAP
    boxes: list[Box] = []
    for floor in storeys(modules, contracts):
        inside = {name: rooms(modules, contracts, name) for name in floor}
        if f"{root}.{HOLDS}" in floor:
            y += BETWEEN - GAP
        row = _row(modules, floor, inside, y)
        boxes += row
        y = max(box.y + box.height for box in row) + GAP
    placed = {box.name: box for box in boxes}
    body = [
        f'<polygon class="roof" points="4,{ROOF} {WIDTH / 2},4 {WIDTH - 4},{ROOF}"/>',
        _text(WIDTH / 2, ROOF - 30, root, "name", anchor="middle"),
        _text(WIDTH / 2, ROOF - 12, "import, or the command line", "small", anchor="middle"),
        *(part for box in boxes for part in _box(modules, box, shelves)),
        *(
            _text(box.x + box.width - PAD, box.y + 19, "no torch", "small", anchor="end")
            for box in boxes
            if box.name in _without_torch(contracts)
        ),
        *_ways(*(placed[name] for name in _arrows(root))),
    ]
    label = f"The packages of {root}, floor by floor; a floor imports only from floors below it"
    return (
        f'<svg class="house" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {y:.0f}" '
        'xmlns="http://www.w3.org/2000/svg">' + "".join(body) + "</svg>"
    )


def listing(
    modules: Tree, contracts: Sequence[Mapping[str, Any]], shelves: Mapping[str, str]
) -> str:
    """Every package of the house with its files, in Markdown.

    Args:
        modules: the package.
        contracts: import-linter's.
        shelves: dotted package of plug-ins to the page of the reference that lists them.
    """
    parts: list[str] = []
    for name in (name for floor in storeys(modules, contracts) for name in floor):
        parts += _described(modules, contracts, shelves, name, 3)
    return "\n".join(parts) + "\n"


def _described(
    modules: Tree,
    contracts: Sequence[Mapping[str, Any]],
    shelves: Mapping[str, str],
    name: str,
    level: int,
) -> Iterable[str]:
    title = name.partition(".")[2].replace(".", "/")
    yield f"{'#' * level} `{title}` {{ #{_anchor(name)} }}\n"
    yield f"{tree.first_sentence(modules[name].doc)}\n"
    files = [m for m in tree.below(modules, name) if not m.is_package]
    if name in shelves:
        yield f"Plug-ins, one a file: [{len(files)} of them]({shelves[name]}).\n"
    elif files:
        yield "| file | holds |\n|---|---|"
        for module in files:
            what = tree.first_sentence(module.doc).replace("|", "\\|")
            yield f"| `{module.name.rpartition('.')[2]}.py` | {what} |"
        yield ""
    for room in rooms(modules, contracts, name):
        yield from _described(modules, contracts, shelves, room, min(level + 1, 4))


def _without_torch(contracts: Sequence[Mapping[str, Any]]) -> set[str]:
    """Packages that may not come to torch, not even by way of others."""
    return {
        name
        for contract in contracts
        if "torch" in contract.get("forbidden_modules", [])
        and not contract.get("allow_indirect_imports")
        for name in contract["source_modules"]
    }


def _arrows(root: str) -> tuple[str, str, str]:
    return f"{root}.{FILLS}", f"{root}.{HOLDS}", f"{root}.{READS}"


def _row(
    modules: Tree, floor: Sequence[str], inside: Mapping[str, Sequence[str]], y: float
) -> list[Box]:
    """The boxes of a floor, side by side; a package with many rooms is wider."""
    weights = {name: 3 + len(inside[name]) for name in floor}
    free = WIDTH - 8 - GAP * (len(floor) - 1)
    x: float = 4
    row = []
    for name in floor:
        width = free * weights[name] / sum(weights.values())
        text = tree.first_sentence(modules[name].doc).replace("`", "")
        lines = tuple(textwrap.wrap(text, max(18, int((width - 2 * PAD) / 6.1))))
        rows = -(-len(inside[name]) // _columns(width))
        height = HEADING + len(lines) * LINE + PAD + (rows * (ROOM + 8) + 4 if rows else 0)
        row.append(Box(name, x, y, width, height, lines, tuple(inside[name])))
        x += width + GAP
    tallest = max(box.height for box in row)
    return [replace(box, height=tallest) for box in row]


def _columns(width: float) -> int:
    """How many rooms stand in a row of a box."""
    return max(1, int((width - 2 * PAD + 8) // (NARROWEST + 8)))


def _box(modules: Tree, box: Box, shelves: Collection[str]) -> Iterable[str]:
    yield _rectangle(box.x, box.y, box.width, box.height, "floor")
    title = _text(box.x + PAD, box.y + 19, box.name.rpartition(".")[2], "name")
    yield _linked(modules, box.name, title)
    for i, line in enumerate(box.lines):
        yield _text(box.x + PAD, box.y + 36 + i * LINE, line, "small")
    columns = _columns(box.width)
    top = box.y + HEADING + len(box.lines) * LINE + PAD
    width = (box.width - 2 * PAD - 8 * (columns - 1)) / columns
    for i, room in enumerate(box.rooms):
        x = box.x + PAD + (i % columns) * (width + 8)
        y = top + (i // columns) * (ROOM + 8)
        kind = "room shelf" if room in shelves else "room"
        name = _text(x + 9, y + 20, room.rpartition(".")[2], "label")
        files = _text(x + width - 8, y + 20, str(tree.count(modules, room)), "count", anchor="end")
        yield _linked(modules, room, _rectangle(x, y, width, ROOM, kind) + name + files)


def _ways(fills: Box, holds: Box, reads: Box) -> Iterable[str]:
    """The two arrows between the wings and the sealed files."""
    ends = (
        (fills, "seals one file a condition", fills.y + fills.height, holds.y),
        (reads, "reads it, as often as it likes", holds.y, reads.y + reads.height),
    )
    yield (
        '<defs><marker id="house-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    for box, what, start, end in ends:
        x = box.x + box.width / 2 - 80
        yield (
            f'<line class="way" x1="{x:.0f}" y1="{start:.0f}" x2="{x:.0f}" y2="{end:.0f}" '
            'marker-end="url(#house-tip)"/>'
        )
        yield _text(x + 10, (start + end) / 2 + 4, what, "small")


def _linked(modules: Tree, name: str, drawn: str) -> str:
    told = escape(f"{name}: {tree.first_sentence(modules[name].doc)}".replace("`", ""))
    return f'<a href="#{_anchor(name)}"><title>{told}</title>{drawn}</a>'


def _anchor(name: str) -> str:
    return "in-" + name.replace(".", "-")


def _rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {box} rx="4"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(text)}</text>'
