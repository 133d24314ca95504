"""``vector``: a scale and a bias for each answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Bools, Floats
from calprune.errors import PlanError

__all__ = ["Vector"]

STEPS = 100


@dataclass(frozen=True)
class Vector:
    """Vector scaling (Guo et al. 2017): softmax of w_a log p_a + b_a over the answers offered.

    Minimises the sum of NLL plus ridge/2 (|w - 1|^2 + |b|^2). That is strictly convex and grows
    without bound, so there is exactly one minimum, whatever the data, and Newton steps with
    halving reach it. Log-probabilities and not logits go in, so that a constant on all logits of a
    row changes nothing. May change the likeliest answer.

    Attributes:
        ridge: strength of the pull towards no change, above 0; 1 counts like a unit prior.
    """

    ridge: float = 1.0

    title: ClassVar[str] = "vector scaling"

    def __post_init__(self) -> None:
        if not 0 < self.ridge < np.inf:
            raise PlanError(f"ridge must be above 0 and finite, not {self.ridge}")

    def learn(self, log_p: Floats, truth: Floats) -> Callable[[Floats], Floats]:
        """See ``OfAnswers``."""
        a = log_p.shape[1]
        x = np.where(np.isfinite(log_p), log_p, 0.0)
        outside = ~np.isfinite(log_p)
        theta = np.concatenate([np.ones(a), np.zeros(a)])
        loss = self._loss(theta, x, outside, truth)
        for _ in range(STEPS):
            gradient, curvature = self._slopes(theta, x, outside, truth)
            step = np.linalg.solve(curvature, gradient)
            gain, size = float(gradient @ step), 1.0
            if gain < 1e-18 * max(1.0, loss):
                break
            while (after := self._loss(theta - size * step, x, outside, truth)) > (
                loss - 1e-4 * size * gain
            ) and size > 1e-9:
                size /= 2
            theta, loss = theta - size * step, after
        return lambda given: _scaled(theta, given)

    def _loss(self, theta: Floats, x: Floats, outside: Bools, truth: Floats) -> float:
        log_q = _scaled(theta, np.where(outside, -np.inf, x))
        nll = -float((truth * np.where(outside, 0.0, log_q)).sum())
        return nll + self.ridge / 2 * float(((theta - _start(theta)) ** 2).sum())

    def _slopes(
        self, theta: Floats, x: Floats, outside: Bools, truth: Floats
    ) -> tuple[Floats, Floats]:
        q = np.exp(_scaled(theta, np.where(outside, -np.inf, x)))
        gap = q - np.where(outside, 0.0, truth)
        gradient = np.concatenate([(gap * x).sum(0), gap.sum(0)])
        gradient = gradient + self.ridge * (theta - _start(theta))
        both = np.concatenate([q * x, q], axis=1)
        curvature = -both.T @ both
        k = len(theta) // 2
        index = np.arange(k)
        curvature[index, index] += (q * x * x).sum(0)
        curvature[index + k, index + k] += q.sum(0)
        curvature[index, index + k] += (q * x).sum(0)
        curvature[index + k, index] += (q * x).sum(0)
        return gradient, curvature + self.ridge * np.eye(len(theta))


def _start(theta: Floats) -> Floats:
    return np.repeat([1.0, 0.0], len(theta) // 2)


def _scaled(theta: Floats, log_p: Floats) -> Floats:
    w, b = np.split(theta, 2)
    possible = np.isfinite(log_p)
    z = np.where(possible, w * np.where(possible, log_p, 0.0) + b, -np.inf)
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))
