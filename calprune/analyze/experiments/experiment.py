"""Which sealed files belong together: the conditions of an experiment, and the runs of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from calprune.analyze.labels import UNLABELLED, Labels, check_used
from calprune.analyze.options import PredictionOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.predictions.table import Predictions
from calprune.data.condition import ALL_TOKENS, Condition, ExperimentKey, sha256_of
from calprune.data.condition_names import spec_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch
from calprune.terminal import remark


@dataclass(frozen=True)
class ConditionRuns:
    """One condition with the sealed files of its runs: one file, or one of each seed.

    Attributes:
        condition: what was asked; without a seed where several are joined.
        tables: the sealed files, by rising seed.
        read: how their predictions are read, and remembered.
        labels: what it is called where people read.
    """

    condition: Condition
    tables: tuple[LogitTable, ...]
    read: PredictionCache = field(default_factory=PredictionCache, repr=False, compare=False)
    labels: Labels = UNLABELLED

    @cached_property
    def name(self) -> str:
        """To type and to print, e.g. ``scope:alpha=0 @128``; whatever else there is."""
        return str(spec_of(self.condition))

    @cached_property
    def title(self) -> str:
        """For people, e.g. ``SCOPE α=0, K=128``."""
        return self.labels.title(spec_of(self.condition))

    @cached_property
    def key(self) -> str:
        """Hex SHA-256 of the condition."""
        return self.condition.key

    @property
    def full(self) -> bool:
        """Whether nothing was pruned."""
        return self.selector == "full"

    @property
    def selector(self) -> str:
        """Name of the pruning rule."""
        return self.condition.selector

    @cached_property
    def parameters(self) -> str:
        """Those of the selector, as text, and in which numerics it chose unless canonically."""
        numerics = self.condition.numerics
        more = [] if numerics is None else [("numerics", numerics)]
        return " ".join(f"{k}={v}" for k, v in [*self.condition.parameters, *more])

    @property
    def budget(self) -> str:
        """Label of the budget, ``all`` where all tokens are kept."""
        budget = self.condition.budget
        return "all" if budget == ALL_TOKENS else budget.label

    @property
    def joined(self) -> bool:
        """Whether several seeds are read as one."""
        return len(self.tables) > 1

    @property
    def seed(self) -> str:
        """The seed, or how many are joined, as text; empty where there is none."""
        seed = self.condition.seed
        return f"{len(self.tables)} seeds" if self.joined else "" if seed is None else str(seed)

    @property
    def shown(self) -> str:
        """The name, with how many seeds it joins: ``random @64 (3 seeds)``."""
        return f"{self.name} ({self.seed})" if self.joined else self.name

    @cached_property
    def kept(self) -> float:
        """Visual tokens that the language model's last layer saw, mean over questions.

        Where nobody counted them, the budget if it is a count, and else NaN.
        """
        visual, budget = self.tables[0].visual, self.condition.budget
        if visual.size:
            return float(visual[:, -1].mean())
        return float(budget.value) if budget.kind == "count" else float("nan")

    def level(self, parameter: str) -> float | None:
        """The number that the selector was given for a parameter; None if there is none."""
        value = dict(self.condition.parameters).get(parameter)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and value is not None else None

    def predictions(self, options: PredictionOptions) -> list[Predictions]:
        """What each run believed, in the order of ``tables``; the same objects if asked again."""
        return [self.read(table, options) for table in self.tables]


@dataclass(frozen=True)
class Experiment:
    """All conditions of one model, asked one way on one benchmark; only they are compared.

    Attributes:
        key: what they have in common; of several sets of questions, that of the largest.
        model, benchmark: as a title shows them, fixed when files were opened.
        conditions: in table order.
        common: whether only the questions are read that all conditions hold.
    """

    key: ExperimentKey
    model: str
    benchmark: str
    conditions: tuple[ConditionRuns, ...]
    common: bool = False

    @property
    def title(self) -> str:
        """``MODEL on BENCHMARK``."""
        return f"{self.model} on {self.benchmark}"

    @property
    def tables(self) -> list[LogitTable]:
        """All sealed files."""
        return [table for runs in self.conditions for table in runs.tables]

    @property
    def first(self) -> LogitTable:
        """A file that knows the questions."""
        return self.conditions[0].tables[0]

    @property
    def notes(self) -> list[str]:
        """What whoever collected was told of these questions, for readers of the results."""
        told = [table.provenance.get("benchmark") for table in self.tables]
        notes = [one.get("notes") for one in told if isinstance(one, dict)]
        each = [note for some in notes if isinstance(some, list) for note in some]
        return list(dict.fromkeys(note for note in each if isinstance(note, str)))

    @property
    def images(self) -> int:
        """How many the questions are about; 0 where none is known."""
        return images_of(self.first)

    def of(self, conditions: Iterable[ConditionRuns]) -> Experiment:
        """The same with these conditions only."""
        return replace(self, conditions=tuple(conditions))

    def predictions(self, options: PredictionOptions) -> dict[str, list[Predictions]]:
        """Those of all conditions by name; of common questions only, where that was asked for.

        Raises:
            Mismatch: a file that cannot be used, or no question in common.
        """
        read = {runs.name: runs.predictions(options) for runs in self.conditions}
        return _only_common(read) if self.common else read


def _only_common(read: Mapping[str, Sequence[Predictions]]) -> dict[str, list[Predictions]]:
    """The same, each restricted to the questions (ids) that all of them hold."""
    every = [predictions.id for parts in read.values() for predictions in parts]
    shared = every[0]
    for ids in every[1:]:
        shared = shared[np.isin(shared, ids)]
    if not len(shared):
        raise Mismatch("these conditions have no question in common; compare them one by one")
    return {
        name: [predictions.take(np.isin(predictions.id, shared)) for predictions in parts]
        for name, parts in read.items()
    }


def experiments(
    tables: Sequence[LogitTable],
    each_seed: bool = False,
    cache: PredictionCache | None = None,
    labels: Labels = UNLABELLED,
) -> list[Experiment]:
    """Group files by ``Condition.experiment``, join seeds, and sort.

    Full comes first, then larger budgets before smaller, then selector and parameters.

    Args:
        tables: sealed logits.
        each_seed: keep the seeds of a random selector apart.
        cache: where predictions are remembered; None for one of their own.
        labels: what conditions are called where people read.

    Raises:
        IncompleteError: no file at all.
        Mismatch: two files that hold the same condition.
        PlanError: labels of which none names anything here; one that does not is told on stderr.
    """
    if not tables:
        raise IncompleteError("nothing to analyse: no sealed logits found; run calprune collect")
    piles: dict[ExperimentKey, list[LogitTable]] = defaultdict(list)
    for table in tables:
        piles[table.condition.experiment].append(table)
    for said in check_used(labels, [spec_of(table.condition) for table in tables]):
        remark(said)
    names, read = _names(piles), PredictionCache() if cache is None else cache
    return [
        Experiment(key, *names[key], _conditions(piles[key], each_seed, read, labels))
        for key in sorted(piles, key=lambda experiment: experiment.order)
    ]


def _names(
    piles: Mapping[ExperimentKey, list[LogitTable]],
) -> dict[ExperimentKey, tuple[str, str]]:
    """Model and benchmark of each pile, with whatever tells equal ones apart."""
    found = {}
    for key, pile in piles.items():
        alike = [other for other in piles if other[:2] == key[:2]]
        differ = {
            name: len({getattr(other, name) for other in alike}) > 1
            for name in ExperimentKey._fields
        }
        shown = {
            # whole: what follows the rule may be all that differs
            "pixels": f"picture {key.pixels.split('/')[-1]}",
            "template": f"template {pile[0].template}",
            "dtype": key.dtype,
            "reply": f"replies of {key.reply} tokens" if key.reply else "no replies",
            "closed_reply": f"closed replies of {key.closed_reply} tokens"
            if key.closed_reply
            else "first tokens",
            "weights": f"weights {key.weights or 'not quantised'}",
            "kv": f"KV {key.kv or 'whole'}",
            "answer_tokens": f"answers {sha256_of(key.answer_tokens)[:8]}",
        }
        asked = [text for name, text in shown.items() if differ[name]]
        benchmark = key.benchmark
        if differ["benchmark_digest"]:
            sets = {other.benchmark_digest: piles[other][0] for other in alike}
            benchmark += _set_of(key.benchmark_digest, sets)
        model = key.model + f"@{key.model_digest[:8]}" * differ["model_digest"]
        found[key] = (model + f" ({', '.join(asked)})" * bool(asked), benchmark)
    return found


def _set_of(digest: str, sets: Mapping[str, LogitTable]) -> str:
    """``, 100 images``, or questions: what tells a set from the others; else its digest."""
    for count, unit in ((images_of, "images"), (len, "questions")):
        counts = {name: count(table) for name, table in sets.items()}
        if len(set(counts.values())) == len(counts) and all(counts.values()):
            return f", {counts[digest]:,} {unit}"
    return f"@{digest[:8]}"


def images_of(table: LogitTable) -> int:
    """How many images the questions are about; 0 where none is known."""
    return len(set(table.cluster.tolist()) - {""})


def _conditions(
    tables: Sequence[LogitTable], each_seed: bool, read: PredictionCache, labels: Labels
) -> tuple[ConditionRuns, ...]:
    piles: dict[str, list[LogitTable]] = defaultdict(list)
    for table in tables:
        c = table.condition
        piles[c.key if each_seed else replace(c, seed=None).key].append(table)
    for key, pile in piles.items():
        first: dict[int | None, LogitTable] = {}
        for table in pile:
            seed = table.condition.seed
            if seed in first:
                raise Mismatch(
                    f"{first[seed].path} and {table.path} hold the same condition "
                    f"({spec_of(table.condition)}, {key[:8]}); keep one of them"
                )
            first[seed] = table
    ordered = [sorted(pile, key=lambda t: t.condition.seed or 0) for pile in piles.values()]
    found = [_runs(pile, read, labels) for pile in ordered]
    return tuple(sorted(found, key=_position))


def _runs(pile: Sequence[LogitTable], read: PredictionCache, labels: Labels) -> ConditionRuns:
    condition = pile[0].condition
    joined = replace(condition, seed=None) if len(pile) > 1 else condition
    return ConditionRuns(joined, tuple(pile), read, labels)


def _position(runs: ConditionRuns) -> tuple[object, ...]:
    condition = runs.condition
    nominal = condition.budget.value if condition.budget.kind == "count" else runs.kept
    numbers = tuple((k, str(type(v)), v) for k, v in condition.parameters)
    return (not runs.full, -nominal, runs.selector, numbers, condition.seed or 0, runs.name)
