"""Do intervals of the calibration slope cover, and does its test keep its level?

    OMP_NUM_THREADS=1 python -m benchmarks.calibration_slope [--runs 1000] [--images 20,40,100]

Answers are those of ``benchmarks.coverage``: confidences are exactly right, so slope is 1, and both
intercepts are 0; images have 1 to 40 questions, and share an effect of 0, .5 or 1 on the logit. Two
conditions with evidence that correlates by .8 have the same slope. Beside t with images less 1
degrees of freedom stands the normal distribution.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import ndtri

from benchmarks.coverage import SCALES, Questions
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.resampled_metrics import clusters_of
from calprune.analyze.statistics.calibration_slope import (
    QUANTITIES,
    Coefficient,
    Part,
    calibration_slope,
    log_odds,
)

EFFECTS = (0.0, 0.5, 1.0)
IDEAL = {"slope": 1.0, "in-the-large": 0.0, "intercept": 0.0}


def part(seen: Predictions) -> Part:
    x, _ = log_odds(seen.confidence)
    return Part(x, seen.correct.astype(np.float64), clusters_of(seen).code)


def holds(found: Coefficient, truth: float) -> tuple[bool, bool]:
    """Whether the interval holds the truth, with t and with the normal distribution."""
    low, high, error = (np.nan if x is None else x for x in (found.low, found.high, found.error))
    inside = abs(found.value - truth) <= float(ndtri(0.975)) * error
    return low <= truth <= high, inside


def line(images: int, effect: float, runs: int) -> str:
    """Coverage of the three numbers, then type-I error of their differences, t / normal."""
    covered: dict[str, list[tuple[bool, bool]]] = {name: [] for name in QUANTITIES}
    level: dict[str, list[tuple[bool, bool]]] = {name: [] for name in QUANTITIES}
    none = 0
    for run in range(runs):
        asked = Questions(np.random.default_rng([run, images, 77]), ("unequal", 2, images, effect))
        one, other = (part(asked.answered(SCALES["exact"])) for _ in range(2))
        alone, between = calibration_slope([one], [1.0]), calibration_slope([one, other], [1, -1])
        if any(c.low is None for c in (*alone.values(), *between.values())):
            none += 1
            continue
        for name in QUANTITIES:
            covered[name].append(holds(alone[name], IDEAL[name]))
            level[name].append(holds(between[name], 0.0))
    cells = [" / ".join(f"{x:.3f}" for x in np.mean(covered[n], axis=0)) for n in QUANTITIES]
    cells += [" / ".join(f"{1 - x:.3f}" for x in np.mean(level[n], axis=0)) for n in QUANTITIES]
    return f"| {images} | {effect:g} | {' | '.join(cells)} | {none} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--images", default="20,40,100")
    asked = parser.parse_args()
    print(f"| images | effect | {' | '.join(f'{n} covers' for n in QUANTITIES)} | ", end="")
    print(f"{' | '.join(f'{n} differs' for n in QUANTITIES)} | no estimate |")
    print("|---" * 9 + "|")
    for images in (int(x) for x in asked.images.split(",")):
        for effect in EFFECTS:
            print(line(images, effect, asked.runs), flush=True)


if __name__ == "__main__":
    main()
