"""Figures of experiments, each kind and metric that makes sense, written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from calprune.analyze import figures
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.options import AnalysisOptions, PredictionKeywords
from calprune.errors import PlanError
from calprune.terminal import Tell, remark, silent


def draw(
    experiments: Sequence[Experiment],
    folder: str | Path,
    metrics: Sequence[str],
    spec: figures.FigureSpec,
    kinds: Sequence[str],
    options: AnalysisOptions,
    look: figures.Look = figures.BARE,
    tell: Tell = silent,
    known: Callable[[figures.FigureData], None] = lambda _: None,
) -> list[Path]:
    """As ``Study.draw``, of experiments; ``spec`` holds for all figures but for its metric.

    ``known`` may give the data of an experiment what was computed for it already.
    """
    chosen = {kind: figures.of_kind(kind) for kind in kinds or figures.names()}
    each = sum(len(metrics) if kind.per_metric else 1 for kind in chosen.values())
    numbers = count(1)
    paths = []
    for experiment in experiments:
        data = figures.FigureData(experiment, options)
        known(data)
        start = figures.file_stem(f"{experiment.model}-{experiment.benchmark}")
        for kind, found in chosen.items():
            for metric in metrics if found.per_metric else [None]:
                tell(f"figure {next(numbers)} of {each * len(experiments)}: {kind}")
                own = replace(spec, metric=metric or "ece")
                why = found.unavailable_because(data, own)
                if why:
                    _left_out(kind, data.title, why, asked=bool(kinds))
                    continue
                name = figures.file_stem("-".join([kind, metric] if metric else [kind]))
                stem = Path(folder) / f"{start}-{name}"
                paths += figures.drawn(kind, data, stem, own, look)
    return paths


def check_drawn(kinds: Sequence[str], given: Iterable[str]) -> None:
    """PlanError for what none of these figures reads; how answers are read concerns them all."""
    drawn = [figures.of_kind(kind) for kind in kinds]
    for name in given:
        if name in PredictionKeywords.__optional_keys__:
            continue
        if not any(figures.reads(one, name) for one in drawn):
            raise PlanError(f"figure {', '.join(kinds)} does not read {name}: leave it out")


def _left_out(kind: str, of: str, why: str, asked: bool) -> None:
    """Say why a figure is missing, if it was asked for or if files stand in its way."""
    if asked or ".h5" in why:
        remark(f"no figure {kind} of {of}: {why}")
