"""Resampling within the parts that a score adds up, such as the subtasks of MME.

Where a score is a sum or a mean over parts, a resample that happens to draw no image of a part
would be the value of another score. So images are drawn only among those that touch the same parts,
each stratum as often as it has images: the stratified bootstrap of a benchmark whose parts are
fixed. Where all images touch all parts there is one stratum, and nothing differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.resampling import BLOCK, blocks


def strata(part: Indices, clusters: Clusters) -> tuple[Indices, bool]:
    """Each cluster's stratum (clusters,), and whether every part varies between resamples.

    Strata are numbered as they come.

    A cluster that is the only one with its set of parts is drawn with those whose parts are most
    like its own, where no resample can then miss a part. It is fixed if there are none such, and a
    part in which all are fixed does not vary: an interval would leave it out.
    """
    touched = np.zeros((len(clusters), int(part.max()) + 1), dtype=bool)
    touched[clusters.code, part] = True
    touched = touched[:, touched.any(axis=0)]
    sets, code = np.unique(touched, axis=0, return_inverse=True)
    common, code = sets.copy(), code.reshape(-1).astype(np.intp)  # parts that all in it have
    size = np.bincount(code)
    for alone in np.flatnonzero(size == 1):
        other = _nearest(common, size, int(alone)) if size[alone] == 1 else None
        if other is not None:
            code[code == alone] = other
            common[other] &= common[alone]
            common[alone] = False
            size[other] += size[alone]
            size[alone] = 0
    varies = touched[size[code] > 1].any(axis=0).all()
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[code.reshape(-1)].astype(np.intp), bool(varies)


def _nearest(common: Bools, size: NDArray[np.intp], alone: int) -> int | None:
    """The stratum to join: no part may lose the last stratum all of whose clusters have it."""
    joint = common & common[alone]
    covered = common.sum(axis=0) - common - common[alone] + joint
    fit = (covered >= 1).all(axis=1) & (size > 0)
    fit[alone] = False
    if not fit.any():
        return None
    either = np.maximum((common | common[alone]).sum(axis=1), 1)
    alike = np.where(fit, joint.sum(axis=1) / either, -1.0)
    return int(np.lexsort((-size, -alike))[0])


def multiplicities_within(stratum: Indices, draws: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn within its stratum, in blocks of (draws, clusters).

    Up to BLOCK draws of one stratum are drawn before those of the next. Where that is more than is
    held, each stratum has a generator of its own that begins where its draws do.
    """
    rng = np.random.default_rng([seed, len(stratum), 3])
    members = [np.flatnonzero(stratum == s) for s in range(int(stratum.max()) + 1)]
    members = [own for own in members if len(own) > 1]
    for at in range(0, draws, BLOCK):
        whole = min(BLOCK, draws - at)
        sizes = list(blocks(whole, 8 * len(stratum)))
        many = len(sizes) > 1
        begun = [_passed_over(rng, whole, len(own)) if many else rng for own in members]
        for size in sizes:
            weights = np.ones((size, len(stratum)))
            for own, drawing in zip(members, begun, strict=True):
                for row in weights:
                    drawn = drawing.integers(0, len(own), len(own))
                    row[own] = np.bincount(drawn, minlength=len(own))
            yield weights


def _passed_over(rng: np.random.Generator, draws: int, clusters: int) -> np.random.Generator:
    """A generator that stands where this one does, which then moves on by so many draws."""
    here = deepcopy(rng)
    for _ in range(draws):
        rng.integers(0, clusters, clusters)
    return here
