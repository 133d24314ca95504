"""``calibration``: Does Visual Token Pruning Improve Calibration? (arXiv 2604.12035)."""

from __future__ import annotations

from pathlib import Path

from calprune.data.studies import Line, Runs, Study, Table

__all__ = ["CALIBRATION"]

MODEL = "llava-1.5-7b"
BUDGETS = (192, 128, 64, 32)
ALPHAS = ("0", "0.5", "1")
SPLITS = ("adversarial", "popular", "random")

ACCURACY = Line("acc", metric="accuracy", unit="percent")
ECE = Line("ECE", metric="ece")
BRIER = Line("Brier", metric="brier")
NLL = Line("NLL", metric="nll")
AURC = Line("AURC", metric="aurc")
OVER = Line("overconf.", metric="overconfidence", unit="points")
T_OPT = Line("T_opt", metric="t-opt:grid=0.05")


def scope(alpha: str) -> str:
    """The spec of SCOPE at one alpha."""
    return f"scope:alpha={alpha}:gap_power=1"


SALIENCY, RANDOM, FASTV = "saliency", "random", "fastv:layer=2:budget_means=kept"
FULL = Line("576", "full")
DEFAULT = (FULL, *(Line(str(k), scope("1"), k) for k in BUDGETS))
METHODS = (
    Line("full", "full"),
    *(Line(f"SCOPE, K = {k}", scope("1"), k) for k in (128, 64)),
    *(Line(f"saliency, K = {k}", SALIENCY, k) for k in (128, 64)),
    *(Line(f"random, K = {k}", RANDOM, k) for k in (128, 64)),
    Line("FastV, K = 128", FASTV, 128),
)
SWEEP = tuple(Line(f"alpha = {a}, K = {k}", scope(a), k) for k in (64, 128, 192) for a in ALPHAS)
SCIENCEQA = (FULL, *(Line(str(k), scope("1"), k) for k in (192, 128, 64)))

CALIBRATION = Study(
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
        Runs(MODEL, ("scienceqa",), (("full", ()), (scope("1"), (192, 128, 64)))),
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
                "default SCOPE has ECE .024 at K = 128 and .031 at K = 64 here, and .023 and .032 "
                "in Tables 2 and 3",
                "the caption promises intervals of ECE; the table has none, the text gives two",
                "accuracy is said to stay within 0.9 %; the range is 0.8 points within a budget "
                "and 2.4 across budgets (85.2 to 87.6)",
                "p < 0.001 from 1,000 resamples: the smallest p that they can give is .000999 "
                "one-sided",
            ),
        ),
        Table(
            "table-2",
            "Table 2: alpha and budget on POPE",
            MODEL,
            "pope",
            SWEEP,
            (ACCURACY, ECE, BRIER),
            notes=(
                "default SCOPE (alpha = 1) has ECE .023 and .032 here, .024 and .031 in Table 1",
                "the caption prints the score with alpha as its own base; section 3.1 has "
                "a(v)^alpha, which is what runs here",
            ),
        ),
        Table(
            "table-3",
            "Table 3: selection methods on POPE",
            MODEL,
            "pope",
            METHODS,
            (ACCURACY, ECE, BRIER, OVER),
            notes=(
                "random, K = 64: ECE .069 with overconfidence +7.0; ECE is never below the "
                "absolute overconfidence, so both must lie on the rounding boundary",
                "FastV, K = 128: an accuracy of 50.1 % is chance on this balanced set; other runs "
                "of FastV on this model stay near the unpruned scores, so the row may be a fault "
                "of the implementation",
                "only random at K = 128 has a standard deviation over seeds",
            ),
        ),
        Table(
            "table-4",
            "Table 4: default SCOPE on ScienceQA",
            MODEL,
            "scienceqa",
            SCIENCEQA,
            (ACCURACY, Line("confidence", metric="mean-confidence", unit="percent"), OVER, ECE),
            notes=(
                "K = 192: 81.2 - 63.4 is 17.8 and is printed 17.7 (rounding)",
                "the study spreads probability over four options in every row; 1,247 of the 2,017 "
                "have fewer or more: --options four repeats it",
                "accuracy under SCOPE is 64.6 and 63.4 at K = 64 and 192 here, 68.8 and 68.8 in "
                "Table 6 (another prompt and scorer)",
            ),
        ),
        Table(
            "figure-2",
            "Figure 2: reliability diagrams on POPE, as their bins",
            MODEL,
            "pope",
            DEFAULT,
            (),
            kind="reliability",
            notes=("which conditions Figure 2 shows is not known here: those of Table 1",),
        ),
        Table(
            "figure-3",
            "Figure 3: ECE and accuracy against K on POPE",
            MODEL,
            "pope",
            DEFAULT,
            (ECE, ACCURACY),
            notes=("what Figure 3 shows is not known here: ECE and accuracy against K",),
        ),
        Table(
            "sections-4.6-4.8",
            "Sections 4.6 to 4.8: temperature and selective accuracy on POPE",
            MODEL,
            "pope",
            DEFAULT,
            (
                T_OPT,
                Line("ECE, 5-fold T", metric="ece", calibrate="temperature"),
                Line(
                    "acc at 80 % coverage",
                    metric="selective-accuracy:coverage=0.8",
                    unit="percent",
                ),
            ),
            notes=(
                "an ECE after temperature scaling of .012 is reported, of which condition is not "
                "known here; a perfectly calibrated model scores about .010 to .011 on POPE",
                "which objective T_opt has and how folds were drawn the study does not say",
            ),
        ),
        Table(
            "splits",
            "ECE by split of POPE",
            MODEL,
            "pope",
            tuple(Line(r.label, r.select, r.keep) for r in (DEFAULT[0], DEFAULT[2])),
            tuple(Line(s, metric="ece", group=s) for s in SPLITS),
            notes=(
                "adversarial and popular are .037 and .040 in full, .018 and .021 at K = 128; "
                "which is which is not known here, and random is .045 and .031",
                "the reduction is called largest on adversarial; adversarial and popular both "
                "fall by .019",
                "the pooled ECE cannot exceed the mean of equal splits: .024 at K = 128 (Table 1) "
                "against .0233 needs all rounding upward, .023 (Tables 2, 3) fits",
            ),
        ),
    ),
    numbers=Path(__file__).with_name("calibration.csv"),
)
