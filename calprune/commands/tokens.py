"""``calprune show tokens``: a picture of the visual tokens that selectors keep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calprune.commands.benchmarks import one_benchmark
from calprune.commands.options import (
    BenchOption,
    DataOption,
    DeviceOption,
    FormatsOption,
    ImagesOption,
    StoreOption,
    TowerClipOption,
    TowerDtypeOption,
    TowerModelOption,
    TowerPictureOption,
    TowerRevisionOption,
    listed,
)
from calprune.errors import PlanError
from calprune.extras import needed
from calprune.terminal import printable

EPILOG = (
    "Examples:  calprune show tokens --image 0 --select scope:alpha=0,1 --select saliency  ·  "
    "calprune show tokens --bench pope --image COCO_val2014_000000310196.jpg --model llava-1.5-7b "
    "--select scope --select visionzip --keep 64 --out tokens.png"
)


def tokens(
    select: Annotated[
        list[str],
        typer.Option(help="Selector with parameters, e.g. scope:alpha=0,1; may be repeated."),
    ],
    image: Annotated[str, typer.Option(help="Name of an image, or its place, from 0 on.")] = "0",
    bench: BenchOption = "shapes",
    keep: Annotated[
        str | None,
        typer.Option(help="Visual tokens kept, e.g. 64 or 64,128 or 25%.  [default: 64]"),
    ] = None,
    question: Annotated[
        int,
        typer.Option(min=0, help="Which distinct question of the image is asked, from 0 on."),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write; pictures and .csv are written beside each other.  "
            "[default: tokens-BENCH-IMAGE]"
        ),
    ] = None,
    formats: FormatsOption = None,
    model: TowerModelOption = "shapes-llava",
    revision: TowerRevisionOption = "",
    picture: TowerPictureOption = "",
    clip: TowerClipOption = "",
    store: StoreOption = None,
    data: DataOption = None,
    images: ImagesOption = None,
    device: DeviceOption = "",
    dtype: TowerDtypeOption = "",
) -> None:
    """Draw an image with the tokens that selectors keep, and the attention they had.

    Dropped tokens are faded; under each image a histogram of the CLS attention of kept and dropped
    tokens. Encodes one image unless the store holds it. The language model is run only for
    selectors that choose inside it: what its last layer sees is drawn.
    """
    from calprune.analyze.figures import FORMATS, SUFFIXES, file_stem, look
    from calprune.analyze.figures._kept_tokens import Panel, Shown, kept_tokens

    if out is not None and out.suffix and out.suffix not in SUFFIXES:
        raise PlanError(f"--out {out}: pictures are written as {', '.join(FORMATS)}")
    how = look(formats=listed(formats), titled=True)
    with needed("show tokens"):
        from calprune.collect.inspection.token_view import token_view
    found = token_view(
        one_benchmark(bench),
        image,
        select=select,
        keep=keep if keep is not None else (),
        question=question,
        model=model,
        revision=revision,
        picture=picture,
        clip=clip,
        store=store,
        data=data,
        images=images,
        device=device,
        dtype=dtype,
    )
    stem = out or Path(file_stem(f"tokens-{found.benchmark}-{found.image}"))
    cls = "CLS attention, " if found.measure.startswith("cls") else ""
    box, crop = found.layout.box, found.layout.cell[:, 0]
    shown = Shown(found.pixels, found.size, box, crop, found.saliency, cls + found.measure)
    panels = [Panel(m.name, m.title, m.tokens, m.kept, m.part, m.since) for m in found.marks]
    title = f"Visual tokens kept of {found.image}, {found.model} on {found.benchmark}"
    if any(m.guided for m in found.marks):
        title += f": {found.question.splitlines()[0]}"
    stem = stem.with_suffix("") if stem.suffix in SUFFIXES else stem
    for path in kept_tokens(shown, panels, stem, title, how):
        print(printable(path))
