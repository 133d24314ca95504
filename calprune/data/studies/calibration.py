"""``calibration``: Does Visual Token Pruning Improve Calibration? (arXiv 2604.12035)."""

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

__all__ = ["CALIBRATION"]

MODEL = "llava-1.5-7b"
BUDGETS = (192, 128, 64, 32)
ALPHAS = ("0", "0.5", "1")
SWEPT = (64, 128, 192)
SPLITS = ("adversarial", "popular", "random")

ACCURACY = TableAxis("acc", metric="accuracy", unit="percent")
ECE = TableAxis("ECE", metric="ece")
BRIER = TableAxis("Brier", metric="brier")
NLL = TableAxis("NLL", metric="nll")
AURC = TableAxis("AURC", metric="aurc")
CONFIDENCE = TableAxis("confidence", metric="mean-confidence", unit="percent")
OVER = TableAxis("overconf.", metric="overconfidence", unit="points")
T_OPT = TableAxis("T_opt", metric="t-opt:grid=0.05")


def scope(alpha: str) -> str:
    """The spec of SCOPE at one alpha."""
    return f"scope:alpha={alpha}:gap_power=1"


SALIENCY, RANDOM, FASTV = "saliency", "random", "fastv:layer=2:budget_means=kept"
FULL = TableAxis("576", "full")
DEFAULT = (FULL, *(TableAxis(str(k), scope("1"), k) for k in BUDGETS))
BEST = (FULL, TableAxis("128", scope("1"), 128))


def methods(keep: int) -> tuple[TableAxis, ...]:
    """Those of Table 3 that were run at both budgets."""
    return (
        TableAxis(f"SCOPE alpha = 0, K = {keep}", scope("0"), keep),
        TableAxis(f"SCOPE, K = {keep}", scope("1"), keep),
        TableAxis(f"saliency, K = {keep}", SALIENCY, keep),
        TableAxis(f"random, K = {keep}", RANDOM, keep),
    )


UNPRUNED = TableAxis("full", "full")
FASTV_128 = TableAxis("FastV, K = 128", FASTV, 128)
SWEEP = {(a, k): TableAxis(f"alpha = {a}, K = {k}", scope(a), k) for a in ALPHAS for k in SWEPT}
BY_BUDGET = tuple(SWEEP[a, k] for k in SWEPT for a in ALPHAS)
REFERENCES = (methods(128)[3], methods(128)[2], UNPRUNED)
AGAINST_RANDOM = tuple(row for k in (128, 64) for row in methods(k)[1::2])

KEPT = "visual tokens kept, K"

FIGURES = (
    StudyFigure(
        "figure-2",
        "Figure 2: ECE over alpha and budget on POPE",
        (
            FigurePanel(
                "ECE over alpha and K",
                "figure-2",
                "heatmap",
                x="K",
                y="α",
                value="ECE",
                marks=tuple(
                    FigureMark(f"alpha = {a}", f"K = {k}", str(k), a) for a in ALPHAS for k in SWEPT
                ),
            ),
            FigurePanel(
                "ECE against alpha, a line a budget",
                "figure-2-b",
                "lines",
                x="α",
                y="ECE",
                marks=tuple(
                    FigureMark(f"alpha = {a}, K = {k}", "ECE", a, f"K = {k}")
                    for k in SWEPT
                    for a in ALPHAS
                ),
                references=tuple(
                    FigureMark(row.label, "ECE", series=row.label) for row in REFERENCES
                ),
            ),
        ),
        across=2,
    ),
    StudyFigure(
        "figure-3",
        "Figure 3: main results on POPE",
        (
            FigurePanel(
                "ECE of default SCOPE against K, with accuracy at the right",
                "figure-3",
                "lines",
                x=KEPT,
                y="ECE",
                log=True,
                marks=tuple(FigureMark(r.label, "ECE", r.label, "ECE") for r in DEFAULT),
                beside=tuple(
                    FigureMark(r.label, "acc", r.label, "accuracy, at the right") for r in DEFAULT
                ),
                y_beside="accuracy (%)",
            ),
            FigurePanel(
                "ECE of default SCOPE and of random",
                "figure-3-b",
                "groups",
                x=KEPT,
                y="ECE",
                marks=tuple(
                    FigureMark(f"{method}, K = {k}", "ECE", str(k), method)
                    for k in (128, 64)
                    for method in ("SCOPE", "random")
                ),
            ),
            FigurePanel(
                "reliability of the full model, K = 576",
                "figure-3-c-d",
                "reliability",
                x="confidence",
                y="accuracy",
                rows=("576",),
                name="full, K = 576",
            ),
            FigurePanel(
                "reliability of SCOPE at K = 128",
                "figure-3-c-d",
                "reliability",
                x="confidence",
                y="accuracy",
                rows=("128",),
                name="SCOPE, K = 128",
            ),
        ),
        across=2,
    ),
)

CALIBRATION = Publication(
    name="calibration",
    title="Does Visual Token Pruning Improve Calibration?",
    paper="arXiv 2604.12035",
    runs=(
        Runs(
            MODEL,
            ("pope",),
            (
                ("full", ()),
                (scope("1"), BUDGETS),
                ("scope:alpha=0,0.5:gap_power=1", (192, 128, 64)),
                (SALIENCY, (128, 64)),
                (RANDOM, (128, 64)),
                (FASTV, (128,)),
            ),
        ),
        Runs(MODEL, ("scienceqa",), (("full", ()), (scope("1"), BUDGETS))),
    ),
    tables=(
        Table(
            "table-1",
            "Table 1: default SCOPE on POPE",
            MODEL,
            "pope",
            DEFAULT,
            (ACCURACY, ECE, BRIER, NLL, AURC, T_OPT),
            notes=(
                "the text says that ECE, Brier, NLL and AURC all improve from 576 down to K = 128; "
                "in the table Brier (.093), NLL (.307) and AURC (.040) are best at K = 192",
                "the caption promises intervals of ECE; the table has none, section 4.1 gives two",
                "section 4.1 claims p < 0.001 for 576 against K = 128; from 1,000 resamples the "
                "smallest p that they can give is .000999 one-sided",
            ),
        ),
        Table(
            "table-2",
            "Table 2: alpha and budget on POPE",
            MODEL,
            "pope",
            tuple(SWEEP.values()),
            (ACCURACY, ECE),
            notes=(
                "the caption prints the score with alpha as its own base; section 3.1 has "
                "a(v)^alpha, which is what runs here",
                "accuracy is said to stay within 0.9 % across all alphas and budgets; the range is "
                "0.8 points within a budget and 2.4 across budgets (85.2 to 87.6)",
            ),
        ),
        Table(
            "table-3",
            "Table 3: selection methods on POPE",
            MODEL,
            "pope",
            (UNPRUNED, *methods(128), FASTV_128, *methods(64)),
            (ACCURACY, ECE, BRIER, OVER),
            notes=(
                "FastV, K = 128: an accuracy of 50.1 % is chance on this balanced set; other runs "
                "of FastV on this model stay near the unpruned scores, so the row may be a fault "
                "of the implementation",
                "only random at K = 128 has a standard deviation over seeds; random at K = 64 does "
                "not say of how many seeds it is, section 3.1 says three",
            ),
        ),
        Table(
            "table-4",
            "Table 4: default SCOPE on ScienceQA",
            MODEL,
            "scienceqa",
            DEFAULT,
            (ACCURACY, ECE, CONFIDENCE, OVER),
            notes=(
                "ECE is the absolute overconfidence in every row: every bin is too sure",
                "the study spreads probability over four options in every row; 1,247 of the 2,017 "
                "have fewer or more: --answer-set four repeats it",
                "accuracy under SCOPE is 64.6 and 63.4 at K = 64 and 192 here, 68.8 and 68.8 in "
                "Table 6 (another prompt and scorer)",
            ),
        ),
        Table(
            "figure-2",
            "Figure 2 (a): heat map of ECE over alpha and K on POPE",
            MODEL,
            "pope",
            tuple(TableAxis(f"alpha = {a}", scope(a)) for a in ALPHAS),
            tuple(replace(ECE, label=f"K = {k}", keep=k) for k in SWEPT),
            notes=("drawn from Table 2",),
        ),
        Table(
            "figure-2-b",
            "Figure 2 (b): ECE against alpha on POPE, a line a budget, and three reference lines",
            MODEL,
            "pope",
            (*BY_BUDGET, *REFERENCES),
            (ECE,),
            notes=(
                "drawn from Tables 2 and 3; that the reference line of random is at K = 128 is our "
                "reading",
            ),
        ),
        Table(
            "figure-3",
            "Figure 3 (a): ECE of default SCOPE against K on POPE, with accuracy",
            MODEL,
            "pope",
            DEFAULT,
            (ECE, ACCURACY),
            notes=("drawn from Table 1; the figure prints no numbers",),
        ),
        Table(
            "figure-3-b",
            "Figure 3 (b): SCOPE against random on POPE",
            MODEL,
            "pope",
            AGAINST_RANDOM,
            (ECE,),
            notes=("drawn from Table 3; that it is ECE, of default SCOPE, is our reading",),
        ),
        Table(
            "figure-3-c-d",
            "Figure 3 (c, d): reliability diagrams of 576 and K = 128 on POPE, as their bins",
            MODEL,
            "pope",
            BEST,
            (),
            kind="reliability",
        ),
        Table(
            "splits",
            "Section 4.6: ECE by split of POPE",
            MODEL,
            "pope",
            BEST,
            tuple(TableAxis(s, metric="ece", group=s) for s in SPLITS),
            notes=(
                "the reduction is called largest on adversarial; adversarial and popular both "
                "fall by .019",
                "the pooled ECE cannot exceed the mean of equal splits: .024 at K = 128 (Table 1) "
                "against .0233 needs all rounding upward, .023 (Tables 2, 3) fits",
            ),
        ),
        Table(
            "sections-4.6-4.8",
            "Sections 4.7 and 4.8: temperature and selective accuracy on POPE",
            MODEL,
            "pope",
            DEFAULT,
            (
                T_OPT,
                TableAxis("ECE, 5-fold T", metric="ece", calibrate="temperature"),
                TableAxis(
                    "acc at 80 % coverage",
                    metric="selective-accuracy:coverage=0.8",
                    unit="percent",
                ),
            ),
            notes=(
                "a perfectly calibrated model scores an ECE of about .010 to .011 on POPE; of the "
                "other budgets section 4.7 says only that all fall and K = 128 stays best",
                "which objective T_opt has and how folds were drawn the study does not say",
                "section 4.8 prints AURC .047 and .042 beside its accuracies, as Table 1 does",
            ),
        ),
    ),
    numbers=Path(__file__).with_name("calibration.csv"),
    figures=FIGURES,
)
