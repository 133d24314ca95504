"""Options that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calprune.errors import PlanError

BenchOption = Annotated[str, typer.Option(help="Benchmark; see 'calprune ls benchmarks'.")]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder with the benchmark's files.  [default: what was fetched]"),
]
ImagesOption = Annotated[int | None, typer.Option(min=1, help="Only the first so many images.")]
MaxLeftOutOption = Annotated[
    str | None,
    typer.Option(
        help="Go on without images that cannot be used up to this share of all.  [default: 1%]"
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1, mps.  [default: a GPU if there is one]")
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the cache; sample is a small one to try.  "
        "[default: $CALPRUNE_STORE or ./calprune-store]"
    ),
]

StoresOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of the cache, FILE.calprune, hf://owner/name@commit or https://…#sha256=…; "
        "sample is a small one to try. Say it again for another one: all are read as one.  "
        "[default: $CALPRUNE_STORE or ./calprune-store]"
    ),
]

# Where a command runs the vision tower and asks no model.
TowerModelOption = Annotated[
    str, typer.Option(help="Model whose vision tower is run; see 'calprune ls models'.")
]
TowerRevisionOption = Annotated[str, typer.Option(help="Branch, tag or commit of a repository.")]
TowerPictureOption = Annotated[
    str, typer.Option(help="How an image becomes visual tokens, as for collect.")
]
TowerClipOption = Annotated[
    str, typer.Option(help="CLIP model of the tower, where a selector needs it.")
]
TowerDtypeOption = Annotated[str, typer.Option(help="float32, float16 or bfloat16 of the tower.")]


def share_of(option: str, text: str | None) -> float | None:
    """A share from ``5%`` or ``0.05``; None for None. Raises PlanError for anything else."""
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise PlanError(f"{option} {text!r}: write a share such as 5% or 0.05") from None
    if not 0.0 <= share <= 1.0:
        raise PlanError(f"{option} {text!r}: a share lies between 0 and 1, or 0% and 100%")
    return share


def listed(text: str | None) -> list[str]:
    """Values that are separated by commas."""
    return [x.strip() for x in text.split(",")] if text else []


UntrustedOption = Annotated[
    bool,
    typer.Option(
        "--untrusted",
        help="Read even files that were sealed here in a limited process, as those of strangers "
        "always are.",
    ),
]

# How the cache is read and resampled.
MetricOption = Annotated[
    str | None,
    typer.Option(help="One or more of 'calprune ls metrics', separated by commas."),
]
OnlyBenchOption = Annotated[
    str | None, typer.Option(help="Only these benchmarks, separated by commas.")
]
OnlyModelOption = Annotated[str | None, typer.Option(help="Only this model.")]
OnlySelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        help="Only these conditions, as tables name them, in full or short: full, "
        "scope:alpha=0,0.5, 'random @64'; may be repeated.",
    ),
]
OnlyKeepOption = Annotated[
    str | None,
    typer.Option(
        "--keep",
        help="Only these budgets, e.g. 64,128 or 25%; full and blind, which have none, stay.",
    ),
]
DrawsOption = Annotated[int, typer.Option(min=100, help="Bootstrap draws over images.")]
DrawSeedOption = Annotated[int, typer.Option(min=0, help="Seed of the draws.")]
EachSeedOption = Annotated[
    bool, typer.Option("--each-seed", help="Random selectors seed by seed, not averaged.")
]
MixedNumericsOption = Annotated[
    bool,
    typer.Option("--mixed-numerics", help="Compare across devices, kernels and versions too."),
]
IntervalOption = Annotated[
    str,
    typer.Option(
        help="One of {names of intervals}. auto: studentised on the de-biased value for ECE and "
        "its relatives, percentile for the rest."
    ),
]
ResampleOption = Annotated[str, typer.Option(help="images, or rows one by one.")]
CorrectionOption = Annotated[str, typer.Option(help="holm or bh, over the comparisons.")]
PermutationsOption = Annotated[int, typer.Option(min=1, help="Permutations behind a p-value.")]
CommonOption = Annotated[
    bool, typer.Option("--common", help="Only questions that all conditions cover.")
]
VerbalizersOption = Annotated[
    list[str] | None,
    typer.Option(help="Token ids of one answer: yes=3869,4874 (repeat it); or first."),
]
AnswerSetOption = Annotated[str, typer.Option(help="Answers read: offered, all or four.")]
TargetOption = Annotated[str, typer.Option(help="Of replies: hard (right or not) or soft.")]
FoldsOption = Annotated[int, typer.Option(min=2, help="Folds of images for --calibrate.")]
CalibrateOption = Annotated[
    str, typer.Option(help="Out of fold, by one of {names of calibrators}.")
]
ConfidenceOption = Annotated[
    str,
    typer.Option(
        help="What confidence is: auto, or one of {names of confidence} ('calprune ls confidence')."
    ),
]
FormatsOption = Annotated[
    str | None,
    typer.Option(help="Of pictures: {names of pictures}, separated by commas.  [default: all]"),
]
WidthOption = Annotated[
    str | None,
    typer.Option(
        help="Of pictures: column (8.5 cm), page (17.5 cm) or centimetres.  [default: what suits "
        "each]"
    ),
]
FontSizeOption = Annotated[
    float | None,
    typer.Option(help="Of pictures' words, in points.  [default: 10, or 8 with --width]"),
]
TitledOption = Annotated[
    bool,
    typer.Option(
        "--titled", help="Titles and notes stand in the pictures, not only in captions beside them."
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        help='JSON file of words for conditions, curves or selectors: {"scope:alpha=0": '
        '"coverage only"}.'
    ),
]
