"""Expected calibration error less its expected bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.confidence import Floats, Predictions
from calprune.analyze.metrics import Better, Form, Needs
from calprune.analyze.metrics._bins import Bins, less_bias

__all__ = ["EceDebiased"]


@dataclass(frozen=True)
class EceDebiased(Bins):
    """2 ECE - sum_b n_b/n E|Normal(gap_b, a_b (1 - a_b) / n_b)|; may be below 0.

    a_b is the accuracy of bin b, gap_b the mean confidence less a_b, and the mean of the folded
    normal is taken in closed form: the limit of uncertainty-calibration's ``normal_debiased_ce``
    with many draws, and defined for bins of one row as well. That formula takes rows to be
    independent. Where images have several rows, n_b in the variance is divided by the design
    effect of mean (correct - confidence) over images, as in ``resample.design_effect``; a resample
    has its own. With soft targets a_b (1 - a_b) is an upper bound. See ``Bins`` for the parameters.
    """

    name: ClassVar[str] = "ece-debiased"
    title: ClassVar[str] = "ECE debiased"
    better: ClassVar[Better] = "lower"
    form: ClassVar[Form] = "plain"
    needs: ClassVar[Needs] = "confidence"
    below_zero: ClassVar[bool] = True

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return f"ece-debiased|{self.choices()}|bias:folded-normal/design-effect"

    def tally(self, seen: Predictions) -> Floats:
        """The table of ``Bins``, and as last column what the design effect needs, (n, 3, b + 2)."""
        _, code, size = np.unique(seen.cluster, return_inverse=True, return_counts=True)
        gap, rows = seen.correct - seen.confidence, size[code].astype(np.float64)
        own = np.bincount(code, gap)[code]
        effect = np.stack([gap, gap**2, 1 / rows, gap * own, gap * rows, rows], axis=1)
        return np.concatenate([super().tally(seen), effect.reshape(-1, 3, 2)], axis=2)

    def value(self, total: Floats) -> Floats:
        """The debiased error, (draws,)."""
        table = total[..., : self.bins]
        return less_bias(table, _design_effect(total, table[..., 0, :].sum(-1)))


def _design_effect(total: Floats, n: Floats) -> Floats:
    """``resample.design_effect`` (draws,) from sums over rows alone.

    A row of cluster g with m_g rows and summed gap s_g carries gap s_g, gap m_g and m_g, which add
    up to the sums of s_g^2, s_g m_g and m_g^2 over clusters, and 1/m_g, which counts them.
    """
    flat = total[..., -2:].reshape(*total.shape[:-2], 6)
    gap, squared, clusters, own, mixed, sizes = np.moveaxis(flat, -1, 0)
    mean, g = gap / n, np.rint(clusters)
    between = own - 2 * mean * mixed + mean**2 * sizes
    within = squared - n * mean**2
    usable = (g >= 2) & (g < n) & (within > 1e-12 * n)
    ratio = np.divide(between * g, (g - 1) * within, out=np.ones_like(n), where=usable)
    return np.asarray(np.maximum(ratio, 1.0))
