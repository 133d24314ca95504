"""``scope-appendix``: SCOPE against VisionZip on larger models (arXiv 2510.24214, appendix)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calprune.data.studies import (
    FigureMark,
    FigurePanel,
    Publication,
    Runs,
    StudyFigure,
    Table,
    TableAxis,
)

__all__ = ["SCOPE_APPENDIX"]

FIRST, LARGE, SMALL = "llava-1.5-13b", "llava-next-vicuna-13b", "llava-next-vicuna-7b"
SWEPT = "llava-1.5-7b"
COMMON = ("gqa", "mmbench", "mme", "pope", "scienceqa", "textvqa")
OF_FIRST, OF_LARGE = (*COMMON, "seed-bench", "mm-vet"), (*COMMON, "mmmu", "seed-bench")
FULL, SCOPE, VISIONZIP = "full", "scope:alpha=1:gap_power=1", "visionzip"
ALPHAS = ("0", "0.5", "1", "1.5", "2")
SALIENCY_64 = TableAxis("saliency, K = 64", "saliency", 64)
SCOPE_64 = TableAxis("SCOPE, K = 64", SCOPE, 64)


def _rows(budgets: tuple[int, ...], *more: TableAxis) -> tuple[TableAxis, ...]:
    """Each row of scores, then its percentages of the first."""
    pruned = [
        TableAxis(f"{name}, K = {k}", spec, k)
        for k in budgets
        for name, spec in (("VisionZip", VISIONZIP), ("SCOPE", SCOPE))
    ]
    return tuple(
        line
        for row in (TableAxis("upper bound", FULL), *more, *pruned)
        for line in (row, replace(row, label=f"{row.label}, percent", percent_of=FULL))
    )


def _columns(benchmarks: tuple[str, ...]) -> tuple[TableAxis, ...]:
    return tuple(TableAxis(b, metric="score", unit="score", benchmark=b) for b in benchmarks)


def _with_mean(benchmarks: tuple[str, ...]) -> tuple[TableAxis, ...]:
    mean = TableAxis("avg", metric="score", unit="score", over=benchmarks)
    return (*_columns(benchmarks), mean)


NOTES = (
    "percent: of the upper bound on the same benchmark; avg: mean of a row's percentages, as the "
    "paper's second lines and its last column",
    "the appendix gives MME 4,377 samples and calls its score accuracy: 4,377 is the number of "
    "rows of MMBench; MME has 2,374 rows, and its score is perception plus cognition",
    "POPE is F1; TextVQA is the validation split, with OCR in the prompt",
)

SCOPE_APPENDIX = Publication(
    name="scope-appendix",
    title="SCOPE, appendix: larger models",
    paper="arXiv 2510.24214",
    runs=(
        Runs(
            FIRST,
            OF_FIRST,
            ((FULL, ()), (SCOPE, (192, 128, 64)), (VISIONZIP, (192, 128, 64))),
        ),
        Runs(
            LARGE,
            OF_LARGE,
            ((FULL, ()), (SCOPE, (640, 320, 160)), (VISIONZIP, (640, 320, 160))),
            tokens=2880,
        ),
        Runs(SMALL, OF_LARGE, ((FULL, ()),), tokens=2880),
        Runs(SWEPT, OF_FIRST, ((f"scope:alpha={','.join(ALPHAS)}:gap_power=1", (64,)),)),
    ),
    tables=(
        Table(
            "table-1",
            "Appendix, Table 1: LLaVA-1.5-13B",
            FIRST,
            "",
            _rows((192, 128, 64)),
            _with_mean(OF_FIRST),
            notes=(*NOTES, "MM-Vet is graded by a GPT model"),
        ),
        Table(
            "table-2",
            "Appendix, Table 2: LLaVA-NeXT-13B",
            LARGE,
            "",
            _rows((640, 320, 160), TableAxis("vanilla 7B", FULL, model=SMALL)),
            _with_mean(OF_LARGE),
            tokens=2880,
            notes=NOTES,
        ),
        Table(
            "figure-1",
            "Appendix, Figure 1: effect of alpha on LLaVA-1.5-7B at 64 tokens",
            SWEPT,
            "",
            tuple(TableAxis(f"alpha = {a}", f"scope:alpha={a}:gap_power=1", 64) for a in ALPHAS),
            _columns(OF_FIRST),
            notes=(
                "the figure prints no numbers, and neither it nor the text says which alphas and "
                "which of the benchmarks it draws: those here are ours; it finds alpha = 1 "
                "typically best",
            ),
        ),
    ),
    numbers=Path(__file__).with_name("scope_appendix.csv"),
    figures=(
        StudyFigure(
            "figure-1",
            "Appendix, Figure 1: effect of alpha at 64 tokens",
            (
                FigurePanel(
                    "score against alpha",
                    "figure-1",
                    "lines",
                    x="α",
                    y="score",
                    marks=tuple(FigureMark(f"alpha = {a}", "", a, "SCOPE, K = 64") for a in ALPHAS),
                    each=True,
                ),
            ),
            across=4,
        ),
        StudyFigure(
            "figure-2",
            "Appendix, Figure 2: tokens selected by saliency and by SCOPE, 64 of all",
            (
                FigurePanel(
                    "images with the tokens that are kept",
                    "figure-1",
                    "tokens",
                    x="",
                    y="",
                    kept=(SALIENCY_64, SCOPE_64),
                ),
            ),
        ),
        StudyFigure(
            "figure-3",
            "Appendix, Figure 3: attention of the tokens that SCOPE selects, 64 of all",
            (
                FigurePanel(
                    "attention of selected tokens",
                    "figure-1",
                    "attention",
                    x="attention of the CLS token",
                    y="tokens an image",
                    kept=(SCOPE_64,),
                    images=32,
                ),
            ),
        ),
    ),
)
