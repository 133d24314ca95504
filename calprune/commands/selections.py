"""``calprune compare-selections``: which tokens selectors agree on, without asking a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from calprune.commands.benchmarks import one_benchmark
from calprune.commands.modes import reading
from calprune.commands.options import (
    BenchOption,
    DataOption,
    DeviceOption,
    ImagesOption,
    MaxLeftOutOption,
    StoreOption,
    TowerClipOption,
    TowerDtypeOption,
    TowerModelOption,
    TowerPictureOption,
    TowerRevisionOption,
    share_of,
)
from calprune.commands.progress import bars
from calprune.errors import PlanError
from calprune.extras import needed
from calprune.terminal import counted, in_columns, remark

if TYPE_CHECKING:
    from calprune.collect.inspection.overlap import Comparison, Decided, Pair

EPILOG = (
    "Examples:  calprune compare-selections --bench shapes --select scope --select saliency --keep "
    "64,128  ·  calprune compare-selections --select scope:alpha=0,0.5,1 --images 100  ·  calprune "
    "compare-selections --select scope:alpha=0 --numerics both --keep 64 --per-image --format csv"
)
FORMATS = ("table", "csv", "json")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("compare-selections", cls=reading("compare-selections"), epilog=EPILOG)(
        compare_selections
    )


def compare_selections(
    select: Annotated[
        list[str],
        typer.Option(
            help="Selector with parameters, e.g. scope:alpha=0,0.5; repeat it to compare several."
        ),
    ],
    bench: BenchOption = "shapes",
    keep: Annotated[
        str | None,
        typer.Option(help="Visual tokens kept, e.g. 64,128 or 25%.  [default: 64,128,192]"),
    ] = None,
    numerics: Annotated[
        str,
        typer.Option(
            help="canonical, compat (as reference code in float16), or both, which compares a "
            "selector's two."
        ),
    ] = "canonical",
    model: TowerModelOption = "shapes-llava",
    revision: TowerRevisionOption = "",
    picture: TowerPictureOption = "",
    clip: TowerClipOption = "",
    store: StoreOption = None,
    data: DataOption = None,
    images: ImagesOption = None,
    max_left_out: MaxLeftOutOption = None,
    device: DeviceOption = "",
    dtype: TowerDtypeOption = "",
    per_image: Annotated[
        bool, typer.Option("--per-image", help="A row for every image instead of averages.")
    ] = False,
    format: Annotated[str, typer.Option(help="table, csv or json.")] = "table",
) -> None:
    """Overlap of the tokens that selectors keep, their ties and margins. Asks no model.

    What is sealed in the store is taken from there; what is not is encoded and chosen, sealed, and
    used by collect as well.
    """
    from calprune import registry

    if format not in FORMATS:
        raise PlanError(registry.unknown("format", format, FORMATS))
    with needed("compare-selections"):
        from calprune.collect.inspection.overlap import compare_selections as compare
    with bars() as progress:
        found = compare(
            one_benchmark(bench),
            select=select,
            keep=keep if keep is not None else (),
            numerics=numerics,
            model=model,
            revision=revision,
            picture=picture,
            clip=clip,
            store=store,
            data=data,
            images=images,
            max_left_out=share_of("--max-left-out", max_left_out),
            device=device,
            dtype=dtype,
            progress=progress,
        )
    for note in found.notes:
        remark(f"note: {note}")
    print(rendered(found, format, per_image))


def rendered(found: Comparison, format: str, per_image: bool) -> str:
    """A comparison as text; csv holds the pairs, or the images."""
    from calprune.analyze.tables.records import as_csv, as_json

    rows = [asdict(row) for row in (found.details if per_image else found.pairs)]
    if format == "csv":
        return as_csv(rows)
    if format == "json":
        whole = asdict(found)
        return as_json(whole if per_image else {k: v for k, v in whole.items() if k != "details"})
    title = f"{found.benchmark} on {found.model}, {counted(found.images, 'image')}"
    if per_image:
        pairs = [
            (
                f"{r.one} / {r.other}",
                r.budget,
                r.image,
                r.question,
                f"{r.overlap:.3f}",
                f"{r.ties_one} / {r.ties_other}",
                f"{_lead(r.edge_one)} / {_lead(r.edge_other)}",
            )
            for r in found.details
        ]
        header = ("selections", "budget", "image", "question", "overlap", "ties", "edge")
        return f"{title}\n\n{_table([header, *pairs], 4)}"
    overlap = _table([_PAIRS, *map(_pair, found.pairs)], 2)
    decided = _table([_DECIDED, *map(_decided, found.selectors)], 2)
    return "\n".join([title, "", overlap, "", decided, "", *_notes(found)])


_PAIRS = ("selections", "budget", "overlap", "smallest", "largest", "equal %", "of")
_DECIDED = ("selection", "budget", "kept", "ties", "most", "close", "edge", "of")


def _pair(p: Pair) -> tuple[str, ...]:
    name = f"{p.one} / {p.other}{' *' if p.merged else ''}"
    numbers = (f"{x:.3f}" for x in (p.mean, p.smallest, p.largest))
    return (name, p.budget, *numbers, f"{100 * p.equal:.1f}", counted(p.choices, p.per))


def _decided(d: Decided) -> tuple[str, ...]:
    ties, close = ("-" if x is None else f"{x:.2f}" for x in (d.ties, d.close))
    most = "-" if d.most_ties is None else str(d.most_ties)
    of = counted(d.choices, d.per)
    return (d.selector, d.budget, f"{d.kept:g}", ties, most, close, _lead(d.edge), of)


def _lead(edge: float | None) -> str:
    return "-" if edge is None else f"{edge:.1e}"


def _notes(found: Comparison) -> list[str]:
    notes = [
        "overlap: tokens that both keep, by those that the larger of the two keeps",
        "ties: tokens an image that only the lower index decided; most: in one image",
        "close: tokens an image that led by less than 2**-11, which float16 does not resolve",
        "edge: smallest relative lead of the last token kept; -: no score decided",
    ]
    if any(p.merged for p in found.pairs):
        notes.append("*: makes or arranges tokens; the old ones with a weight in them are counted")
    return notes


def _table(rows: Sequence[Sequence[str]], left: int) -> str:
    """Columns side by side, the first ``left`` of them to the left; empty ones are dropped."""
    columns = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    right = [n for n, i in enumerate(columns) if i >= left]
    return "\n".join(in_columns([[row[i] for i in columns] for row in rows], right))
