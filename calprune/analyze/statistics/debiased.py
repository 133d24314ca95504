"""ECE without the bias of its bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calprune.analyze.metrics import Measure
from calprune.analyze.metrics._bins import less_bias
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.resample import Sampler


def debiased(metric: Measure, samplers: Sequence[Sampler], spread: float) -> float | None:
    """Mean over seeds of ECE less its bias; None for other metrics and soft targets.

    With one seed it is the metric ``ece-debiased``; ``spread`` is the design effect over images.
    """
    if not isinstance(metric, Ece) or samplers[0].seen.soft:
        return None
    found = [less_bias(metric.tally(s.seen).sum(0), np.array(spread)) for s in samplers]
    return float(np.mean(found))
