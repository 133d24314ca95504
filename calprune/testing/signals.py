"""Laws of the auxiliary features that an adapter measures; part of its conformance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import Adapter, EncodedImage
from calprune.collect.signals import SIGNALS, of_question
from calprune.data.benchmark import Picture

RELATIVE = 1e-4
"""Of a signal's largest value; how far company may move it."""


def signals_hold(
    adapter: Adapter, pictures: Sequence[Picture], encoded: Sequence[EncodedImage]
) -> float:
    """Auxiliary features have the layout's rows, 0 on separators, the same for any batch."""
    names = sorted(n for n in auxiliary(adapter) if not of_question(n))
    if not names:
        return 0.0
    together, worst = adapter.measure(pictures, names), 0.0
    for picture, s, signals in zip(pictures, encoded, together, strict=True):
        crop = s.layout.cell[:, 0]
        crops = len(np.unique(crop[crop >= 0]))
        rows = {n: crops for n in names if n in SIGNALS and SIGNALS[n].rows == "crops"}
        _promised(signals, names, {n: rows.get(n, len(crop)) for n in names})
        for name in names:
            if name not in rows:
                assert not signals[name][s.layout.separator].any(), (
                    f"{name}: not zero on separators"
                )
                assert signals[name].any(), f"{name}: zero everywhere"
            (alone,) = adapter.measure([picture], [name])
            assert [*alone] == [name], f"{[*alone]} measured instead of {name}"
            worst = max(worst, _same(alone[name], signals[name], f"{name} of an image by itself"))
    _one_width(together)
    return worst


def phrases_hold(adapter: Adapter, questions: Sequence[str]) -> float:
    """Signals of questions have a row at least, and are the same in any company."""
    names, worst = sorted(n for n in auxiliary(adapter) if of_question(n)), 0.0
    if not names:
        return 0.0
    together = adapter.phrase(questions, names)
    assert len(together) == len(questions), f"{len(together)} for {len(questions)} questions"
    for question, signals in zip(questions, together, strict=True):
        _promised(signals, names, {})
        for name in names:
            (alone,) = adapter.phrase([question], [name])
            worst = max(worst, _same(alone[name], signals[name], f"{name} of a single question"))
    _one_width(together)
    return worst


def auxiliary(adapter: Adapter) -> set[str]:
    """Signals beyond those that ``encode`` gives."""
    return set(adapter.measures) - {"features", "saliency"}


def _promised(
    signals: Mapping[str, NDArray[np.floating]], names: Sequence[str], rows: Mapping[str, int]
) -> None:
    assert sorted(signals) == [*names], f"{sorted(signals)} measured instead of {names}"
    for name, values in signals.items():
        assert values.ndim == 2, f"{name}: {values.shape} is not (rows, width)"
        assert len(values) == rows.get(name, max(1, len(values))), f"{name}: {len(values)} rows"
        assert np.isfinite(values).all(), f"{name}: not finite"


def _one_width(found: Sequence[Mapping[str, NDArray[np.floating]]]) -> None:
    for name in found[0]:
        widths = {signals[name].shape[1] for signals in found}
        assert len(widths) == 1, f"{name}: widths {widths}"


def _same(a: NDArray[np.floating], b: NDArray[np.floating], what: str) -> float:
    assert a.shape == b.shape, f"{what}: {a.shape} instead of {b.shape}"
    apart = float(np.abs(a - b).max())
    assert apart <= RELATIVE * float(np.abs(b).max()), f"{what}: {apart:.1e} apart"
    return apart
