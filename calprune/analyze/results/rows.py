"""Single questions: what was answered, how confidently, and how that moved from a reference.

Nothing is averaged here: rows are of one run, so each seed of a random selector has its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.experiments.grouping import groups
from calprune.analyze.experiments.pairing import aligned, same_numerics
from calprune.analyze.experiments.reference import has_reference, pairs_of
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.row import HIDDEN, ConditionInfo
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError

BROKEN, MENDED = "to wrong", "to right"
"""What a flip is called: right under the reference and wrong now, and the other way round."""

Texts = NDArray[Any]
"""Text (n,), of Python strings or of numpy's."""


@dataclass(frozen=True)
class Asked:
    """Text of a question and the name of its image, as its benchmark has them."""

    question: str
    image: str


@dataclass(frozen=True)
class RowChoice:
    """Which rows are listed; several conditions must all hold.

    Attributes:
        changed: another answer than under the reference.
        flips: right under the reference and wrong now, or the other way round.
        confident_errors: wrong.
    """

    changed: bool = False
    flips: bool = False
    confident_errors: bool = False

    @property
    def compares(self) -> bool:
        """Whether a reference is needed."""
        return self.changed or self.flips


@dataclass(frozen=True)
class QuestionRows:
    """All chosen rows of one run, as columns of length ``n`` in the order of the file.

    What has ``before`` in its name is the reference's; without a reference (it is the reference
    itself, or has none) text is empty and numbers are NaN.

    Attributes:
        condition: which run.
        reference: what it is compared with; None if nothing.
        id, image, split, category: as in the file; ``image`` as in the benchmark where that is at
            hand, and else the unit of resampling.
        question: its text; empty where neither the file nor the benchmark at hand has it.
        options: names of the answers offered, ``yes | no``; empty for open questions.
        label: name of the right answer; of an open question, its references.
        answer: the likeliest of the answers offered; of an open question, the reply.
        confidence: by the definition asked for, calibrated if asked for.
        correct: 0 or 1, or between them with soft targets.
        label_probability: of the right answer, in [0, 1]; NaN for replies, and where confidence
            says nothing about other answers.
        answer_before, confidence_before, correct_before, label_probability_before: the reference's.
        confidence_change: ``confidence`` - ``confidence_before``.
        flip: ``to wrong``, ``to right`` or empty; correct is at least 0.5.
        kept_tokens: visual tokens that the last layer saw; NaN if not recorded.
        duplicate_of: id of the first row that asks the same; empty if this is it.
        group: value of what rows are grouped by; ``all`` if by nothing.
        probabilities, probabilities_before: float64 (n, a) of all answers of the table, NaN where
            ``label_probability`` is, and for answers that a question does not offer; (n, 0) without
            a reference. A column names those offered, as ``options`` does.
    """

    condition: ConditionInfo
    reference: ConditionInfo | None
    id: Texts
    image: Texts
    split: Texts
    category: Texts
    question: Texts
    options: Texts
    label: Texts
    answer: Texts
    confidence: Floats
    correct: Floats
    label_probability: Floats
    answer_before: Texts
    confidence_before: Floats
    correct_before: Floats
    label_probability_before: Floats
    confidence_change: Floats
    flip: Texts
    kept_tokens: Floats
    duplicate_of: Texts
    group: Texts = field(metadata={HIDDEN: True})
    probabilities: Floats = field(metadata={HIDDEN: True})
    probabilities_before: Floats = field(metadata={HIDDEN: True})

    def __len__(self) -> int:
        return len(self.id)

    def shared(self) -> dict[str, Any]:
        """What all rows have in common, by name."""
        own = self.condition.columns()
        del own["seeds"], own["kept"]  # of one run; and a mean, where rows have their own
        against = self.reference
        named = "" if against is None else against.name
        return {
            **own,
            "reference": named,
            "reference_key": " ".join(against.keys if against else ()),
        }

    def columns(self) -> dict[str, NDArray[Any]]:
        """What each row has, by name, (n,) each."""
        own = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("condition", "reference") and HIDDEN not in f.metadata
        }
        told = {n: _as_text(getattr(self, n)) for n in ("probabilities", "probabilities_before")}
        return {**own, **told}

    def order(self, choice: RowChoice) -> NDArray[np.float64]:
        """What rows are listed by, largest first, (n,): confidence of errors, or else its change.

        The change counts whatever its sign; rows without a reference come last.
        """
        if choice.confident_errors:
            return self.confidence
        return np.nan_to_num(np.abs(self.confidence_change), nan=-1.0)


Texted = Mapping[str, Mapping[str, Asked]]
"""Questions by benchmark and id, as far as they are at hand."""


def question_rows(
    experiments: Sequence[Experiment],
    against: str,
    choice: RowChoice,
    options: AnalysisOptions,
    texts: Texted,
    only: Collection[str] | None = None,
) -> Iterator[QuestionRows]:
    """Rows of each run in turn, so that many conditions take no more memory than a few.

    Args:
        experiments: with seeds kept apart.
        against: the reference, as in ``pairs_of``; where there is none, rows have no ``before``.
        choice: which rows.
        options: how predictions are made, grouped and paired.
        texts: of the questions.
        only: keys of the conditions to list; None for all.

    Raises:
        IncompleteError: changes or flips are asked for, and no experiment has the reference.
        PlanError: an unknown grouping, or a reference that is not clear.
        Mismatch: files that cannot be used or paired.
    """
    if choice.compares and not any(has_reference(one, against) for one in experiments):
        raise IncompleteError(
            f"no condition is called {against!r}, so nothing can have changed from it: name "
            "another with --against (in Python: against=), or leave changed and flips out"
        )
    none = True
    for experiment in experiments:
        bases = {}
        if has_reference(experiment, against):
            bases = {runs.key: base for runs, base in pairs_of(experiment, against)}
        for runs in experiment.conditions:
            if only is not None and runs.key not in only:
                continue
            base = bases.get(runs.key)
            if base is None and choice.compares:
                continue
            none = False
            yield _of_run(experiment, runs, base, choice, options, texts)
    if none:
        raise IncompleteError(
            f"none of these conditions is compared with {against!r}: select others, or leave "
            "changed and flips out"
        )


def _of_run(
    experiment: Experiment,
    runs: ConditionRuns,
    base: ConditionRuns | None,
    choice: RowChoice,
    options: AnalysisOptions,
    texts: Texted,
) -> QuestionRows:
    table, before = runs.tables[0], None
    if base is None:
        now = runs.predictions(options.predictions)[0]
    else:
        pair = experiment.of([base, runs])
        if not options.testing.mixed_numerics:
            same_numerics(pair, base.tables[0])
        read = aligned(pair, base, options.predictions)
        now, before = read[runs.name][0], read[base.name][0]
    rows = _rows(table, now)
    answer = _answers(table, now, rows)
    n = len(now)
    none, nan = np.full(n, ""), np.full(n, np.nan)
    correct, was = np.asarray(now.correct, dtype=np.float64), nan
    answer_before, sure_before, flip = none, nan, none
    offered_before, label_before = np.empty((n, 0)), nan
    if base is not None and before is not None:
        answer_before = _answers(base.tables[0], before, _rows(base.tables[0], before))
        sure_before, was = before.confidence, np.asarray(before.correct, dtype=np.float64)
        offered_before = _probabilities(before)
        label_before = _label_probability(before)
        right, right_before = correct >= 0.5, was >= 0.5
        flip = np.where(right == right_before, "", np.where(right_before, BROKEN, MENDED))
    chosen = np.ones(n, dtype=bool)
    if choice.changed:
        chosen &= answer != answer_before
    if choice.flips:
        chosen &= flip != ""
    if choice.confident_errors:
        chosen &= correct < 0.5
    found: dict[str, NDArray[Any]] = {
        **_asked(table, now, rows, texts.get(table.condition.benchmark, {})),
        "id": now.id,
        "split": now.split,
        "category": now.category,
        "options": _options(now),
        "label": _labels(table, now, rows),
        "answer": answer,
        "confidence": now.confidence,
        "correct": correct,
        "label_probability": _label_probability(now),
        "answer_before": answer_before,
        "confidence_before": sure_before,
        "correct_before": was,
        "label_probability_before": label_before,
        "confidence_change": now.confidence - sure_before,
        "flip": flip,
        "kept_tokens": table.visual[rows, -1].astype(np.float64) if table.visual.size else nan,
        "duplicate_of": np.where(now.duplicate_of == rows, "", table.id[now.duplicate_of]),
        "group": _grouped(now, options.by, experiment.benchmark),
        "probabilities": _probabilities(now),
        "probabilities_before": offered_before,
    }
    reference = None if base is None else ConditionInfo.of(experiment, base)
    own = {name: column[chosen] for name, column in found.items()}
    return QuestionRows(ConditionInfo.of(experiment, runs), reference, **own)


def _rows(table: LogitTable, predictions: Predictions) -> NDArray[np.intp]:
    """Row of the table of each prediction, (n,)."""
    if np.array_equal(table.id, predictions.id):
        return np.arange(len(table))
    rising = np.argsort(table.id)
    return rising[np.searchsorted(table.id, predictions.id, sorter=rising)]


def _named(names: Sequence[str], index: NDArray[Any]) -> Texts:
    """Names of the indices; empty for −1."""
    found: Texts = np.array([*names, ""], dtype=object)[index]
    return found


def _answers(table: LogitTable, predictions: Predictions, rows: NDArray[np.intp]) -> Texts:
    named = _named(table.answers, np.where(predictions.replied, -1, predictions.predicted))
    if table.replies is not None:
        for i in np.flatnonzero(predictions.replied):
            named[i] = table.replies.text[rows[i]]
    return named


def _labels(table: LogitTable, predictions: Predictions, rows: NDArray[np.intp]) -> Texts:
    named = _named(table.answers, predictions.label)
    if table.replies is not None:
        for i in np.flatnonzero(predictions.label < 0):
            named[i] = " | ".join(table.replies.references[rows[i]])
    return named


def _options(predictions: Predictions) -> Texts:
    """Offered answers by name; a table has few different sets of them."""
    closed = predictions.offered[:, : len(predictions.names)] & ~predictions.replied[:, None]
    sets, code = np.unique(closed, axis=0, return_inverse=True)
    shown = [" | ".join(np.array(predictions.names, dtype=object)[one]) for one in sets]
    return np.array(shown, dtype=object)[code.ravel()]


def _probabilities(predictions: Predictions) -> Floats:
    """Of each answer of the table, (n, a); NaN where not offered, replied, or not known."""
    names = len(predictions.names)
    known = predictions.offered[:, :names] & ~predictions.replied[:, None]
    known &= predictions.scale == "probabilities"
    found: Floats = np.where(known, predictions.probabilities[:, :names], np.nan)
    return found


def _as_text(probabilities: Floats) -> Texts:
    """Those that are known, to six decimals, as ``options`` names them."""
    rows = (
        " | ".join([f"{p:.6f}" for p in row if p == p])  # NaN is no number, nor equal to itself
        for row in probabilities.tolist()
    )
    return np.array([*rows, ""], dtype=object)[:-1]


def _label_probability(predictions: Predictions) -> Floats:
    found = _probabilities(predictions)
    if not found.shape[1]:
        return np.full(len(found), np.nan)
    label = np.asarray(predictions.label)
    own: Floats = np.where(label < 0, np.nan, found[np.arange(len(found)), np.maximum(label, 0)])
    return own


def _asked(
    table: LogitTable,
    predictions: Predictions,
    rows: NDArray[np.intp],
    texts: Mapping[str, Asked],
) -> dict[str, Texts]:
    """Question and image: the file's own text, else the benchmark's."""
    image = predictions.cluster.astype(object)
    question = np.full(len(predictions), "", dtype=object)
    own = () if table.replies is None else table.replies.question
    for i, name in enumerate(predictions.id.tolist()):
        known = texts.get(name)
        if known is not None:
            question[i], image[i] = known.question, known.image
        if own and own[rows[i]]:
            question[i] = own[rows[i]]
    return {"question": question, "image": image}


def _grouped(predictions: Predictions, by: str | None, where: str) -> Texts:
    found = np.full(len(predictions), "all", dtype=object)
    for name, mask in groups(predictions, by, where):
        if mask is not None:
            found[mask] = name
    return found
