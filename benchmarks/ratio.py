"""One line of a benchmark: what was measured, against what was aimed at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Ratio:
    """A figure of one run with its target.

    Attributes:
        name: what was measured, in words.
        value: the figure, in ``unit``.
        unit: ``x`` for a ratio of two sides of the same run; else ``CPU s``, ``MiB``, ...
        target: what it should be at most (``lower``) or at least (``higher``).
        better: which way is better.
    """

    name: str
    value: float
    unit: str
    target: float
    better: Literal["lower", "higher"] = "lower"

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    def __str__(self) -> str:
        """One line: name, measured, target, met or missed."""
        bound = "at most" if self.better == "lower" else "at least"
        verdict = "met" if self.met else "MISSED"
        return f"{self.name}: {self.value:.3g} {self.unit} ({bound} {self.target:g}; {verdict})"


def show(ratios: Iterable[Ratio]) -> None:
    """Print each as soon as it is there."""
    for ratio in ratios:
        print(ratio, flush=True)
