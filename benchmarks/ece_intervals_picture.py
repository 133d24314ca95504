"""Percentile and studentised intervals of ECE on simulated data sets, as one picture.

    python -m benchmarks.ece_intervals_picture docs/figures/ece-intervals.png

Thirty data sets of 60 images each, unequal clusters, two answers, image effect .5: above,
confidences that are exactly right, so that the true ECE is 0; below, over-confident ones. The data
are those of ``benchmarks.coverage``.
"""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np

from benchmarks.coverage import SCALES, Questions, sampled, truth
from calprune.analyze.results.shared_resamples import gap_errors

LINE, SETS, DRAWS = ("unequal", 2, 60, 0.5), 30, 1000
HELD, MISSED, INK = "#4c72b0", "#c44e52", "#333333"


def main(path: str) -> None:
    """Draw and save."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(7.0, 5.0), sharex=True, sharey=True)
    for axes, (name, scale) in zip(panels, list(SCALES.items())[:2], strict=True):
        true = truth("ece", LINE, scale)
        held = np.zeros(2, dtype=int)
        for i in range(SETS):
            predictions = Questions(np.random.default_rng([i, 3]), LINE).answered(scale)
            (gap,) = gap_errors([[sampled("ece", predictions)]], 0, [((0, 1.0),)], DRAWS, i)
            low, high = np.quantile(gap.plug[1:], [0.025, 0.975])
            ends = ((float(low), float(high)), gap.interval("studentised"))
            centres = (gap.plug[0], max(gap.debiased[0], 0.0))
            for j, ((low, high), centre) in enumerate(zip(ends, centres, strict=True)):
                inside = low <= true <= high
                held[j] += inside
                colour = HELD if inside else MISSED
                axes[j].plot([low, high], [i, i], color=colour, lw=1.6)
                axes[j].plot([centre], [i], "o", color=colour, ms=2.6)
        for j, kind in enumerate(("ECE, percentile", "ECE de-biased, studentised")):
            axes[j].axvline(true, color=INK, lw=1, ls="--")
            axes[j].set_title(f"{kind}: {held[j]} of {SETS} hold the truth", fontsize=9, loc="left")
            axes[j].set_yticks([])
            axes[j].spines[["left", "top", "right"]].set_visible(False)
        exact = "exact confidences, true ECE 0" if true == 0 else f"{name}-confident, {true:.3f}"
        axes[0].set_ylabel(exact, fontsize=9)
    for axes in panels[1]:
        axes.set_xlabel("ECE", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1])
