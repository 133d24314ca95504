"""A bounded choice of single questions with what every run answered, for a page that shows them.

Of each run the questions are chosen that it changed most, and some at random: a page that holds
them all would not open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.results.rows import QuestionRows, RowChoice, Texted, Texts, question_rows
from calprune.data.storage.kept_tokens import kept_tokens
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError

EACH = 200
MOST_NUMBERS = 800_000
"""Probabilities and confidences of all runs that a page holds unless more questions are named."""
MOST_PLACES = 24_000_000
"""Tokens, kept or not, of all runs that a page tells apart: three million bytes."""
RANDOM = 50
SEED = 0


@dataclass(frozen=True)
class KeptPlaces:
    """Tokens that one run kept, bit by bit.

    Attributes:
        kept: bool (m, v).
        at: row of ``kept`` of each question, −1 where nothing is recorded or there was no room for
            it, (q,).
    """

    kept: NDArray[np.bool_]
    at: NDArray[np.intp]


@dataclass(frozen=True)
class AnsweredRun:
    """What one run answered to q questions; NaN and empty text where it was not asked.

    Attributes:
        condition: which run.
        reference: name of the run that it is compared with; empty if none.
        probabilities: (q, a) of all answers of the table; NaN as in ``QuestionRows``.
        confidence, correct, tokens: (q,); tokens that the last layer saw.
        answer: (q,).
        places: which tokens these were; None if not known.
    """

    condition: ConditionInfo
    reference: str
    probabilities: Floats
    confidence: Floats
    correct: Floats
    tokens: Floats
    answer: Texts
    places: KeptPlaces | None = None


@dataclass(frozen=True)
class SingleQuestions:
    """Questions of one model and benchmark, the most changed first.

    Attributes:
        title, model, benchmark: whose.
        rows, asked: rows of a run, and questions among them; one that is asked again of the same
            image, as in several splits, stands once.
        each: of each run so many are here that it changed most, by each of ``measures``.
        drawn: further ones, drawn at random.
        id, image, category, question, label: (q,) as in ``QuestionRows``.
        order: (q,), place in the order of the benchmark.
        splits: of each question all that it is in, in the order of the file.
        options: (q,) as in ``QuestionRows``.
        offered: bool (q, a), answers whose probabilities are known.
        answers: names of a answers.
        named: bool (q,), whether the benchmark is at hand and knows the question.
        side: rows and columns of the grid of visual tokens on a square; 0 where that is not known.
        square: how an image becomes that square: ``pad`` or ``crop``.
        runs: all runs.
    """

    title: str
    model: str
    benchmark: str
    rows: int
    asked: int
    each: int
    drawn: int
    order: NDArray[np.intp]
    id: Texts
    image: Texts
    splits: tuple[tuple[str, ...], ...]
    category: Texts
    question: Texts
    label: Texts
    options: Texts
    offered: NDArray[np.bool_]
    answers: tuple[str, ...]
    named: NDArray[np.bool_]
    side: int
    square: str
    runs: tuple[AnsweredRun, ...]


_SHARED = ("id", "image", "category", "question", "options", "label")


def single_questions(
    experiment: Experiment,
    against: str,
    each: int | None,
    options: AnalysisOptions,
    texts: Texted,
    share: int = 1,
) -> SingleQuestions:
    """What a page shows of an experiment whose seeds are apart.

    Args:
        experiment: its runs.
        against: the reference, as for ``question_rows``.
        each: questions of each run that it changed most; None for ``EACH``, or for fewer if all
            runs together would hold more than ``MOST_NUMBERS`` numbers.
        options: how predictions are made; files of other numerics are shown side by side.
        texts: of the questions.
        share: into how many parts ``MOST_NUMBERS`` and ``MOST_PLACES`` are divided.

    Raises:
        Mismatch: files that cannot be used or paired.
    """
    mixed = replace(options, by=None, testing=replace(options.testing, mixed_numerics=True))
    blocks = list(question_rows([experiment], against, RowChoice(), mixed, texts))
    ids = list(dict.fromkeys(name for block in blocks for name in block.id.tolist()))
    at = {name: i for i, name in enumerate(ids)}
    places = [np.array([at[x] for x in block.id.tolist()], dtype=np.intp) for block in blocks]
    first, splits = (
        _first(x, blocks, places, len(ids)).tolist() for x in ("duplicate_of", "split")
    )
    own = np.array([not x for x in first], dtype=np.bool_)
    rank = _ranks(blocks, places, len(ids))
    found: dict[str, dict[str, None]] = {name: {} for name in ids}
    for name, again, split in zip(ids, first, splits, strict=True):
        found[again or name][split] = None
    width = max(block.probabilities.shape[1] for block in blocks)
    if each is None:
        room = MOST_NUMBERS // share // (len(blocks) * (width + 1))
        each = min(EACH, _fitting(rank, max(room, 1)))
    chosen = np.argsort(rank, kind="stable")[: int((rank < min(each, len(ids))).sum())]
    rest = np.setdiff1d(np.flatnonzero(own), chosen)
    drawn = np.random.default_rng(SEED).choice(rest, min(RANDOM, len(rest)), replace=False)
    shown = np.concatenate([chosen, np.sort(drawn)])
    asked = texts.get(experiment.key.benchmark, {})
    side = _side(experiment)
    tables = {table.condition.key: table for table in experiment.tables}
    most = MOST_PLACES // share // len(blocks) // max(side * side, 1)
    runs, offered = [], np.zeros((len(shown), width), dtype=np.bool_)
    for block, place in zip(blocks, places, strict=True):
        table = tables[block.condition.keys[0]]
        row = np.full(len(ids), -1)
        row[place] = np.arange(len(place))
        run = _run(block, row[shown], width)
        offered |= np.isfinite(run.probabilities)
        names = [ids[i] for i in shown.tolist()]
        images = {name: one.image for name, one in asked.items()}
        places_of = _places(table, names, images, side) if side else None
        runs.append(replace(run, places=places_of and _bounded(places_of, most)))
    return SingleQuestions(
        title=experiment.title,
        model=experiment.key.model,
        benchmark=experiment.key.benchmark,
        rows=len(ids),
        asked=int(own.sum()),
        each=each,
        drawn=len(drawn),
        order=shown,
        **{name: _first(name, blocks, places, len(ids))[shown] for name in _SHARED},
        splits=tuple(tuple(found[ids[i]]) for i in shown.tolist()),
        offered=offered,
        answers=tuple(experiment.first.answers),
        named=np.array([ids[i] in asked for i in shown.tolist()], dtype=np.bool_),
        side=side,
        square=_square(experiment),
        runs=tuple(runs),
    )


def _ranks(
    blocks: Sequence[QuestionRows], places: Sequence[NDArray[np.intp]], n: int
) -> NDArray[np.intp]:
    """Of each of n questions its best place in any run by any measure, from 0 on; n for repeats."""
    best = np.full(n, n, dtype=np.intp)
    for block, place in zip(blocks, places, strict=True):
        lost = block.label_probability_before - block.label_probability
        wrong = np.where(block.correct < 0.5, block.confidence, np.nan)
        for measure in (lost, np.abs(block.confidence_change), wrong):
            known = np.flatnonzero(np.isfinite(measure) & (block.duplicate_of == ""))
            order = place[known[np.argsort(-measure[known], kind="stable")]]
            best[order] = np.minimum(best[order], np.arange(len(order)))
    return best


def _fitting(rank: NDArray[np.intp], room: int) -> int:
    """The largest number of each run of which all together are at most ``room`` questions."""
    return len(rank) if room >= len(rank) else max(int(np.sort(rank)[room]), 1)


def _first(
    name: str, blocks: Sequence[QuestionRows], places: Sequence[NDArray[np.intp]], n: int
) -> Texts:
    """What all runs say of a question, by the first that has it."""
    found = np.full(n, "", dtype=object)
    for block, place in zip(reversed(blocks), reversed(places), strict=True):
        found[place] = getattr(block, name)
    return found


def _run(block: QuestionRows, row: NDArray[np.intp], width: int) -> AnsweredRun:
    """Rows of a run, NaN and empty where it has none (−1)."""
    there = row >= 0

    def numbers(values: Floats) -> Floats:
        found = np.full((len(row), *values.shape[1:]), np.nan)
        found[there] = values[row[there]]
        return found

    probabilities = np.full((len(row), width), np.nan)
    probabilities[:, : block.probabilities.shape[1]] = numbers(block.probabilities)
    answer = np.full(len(row), "", dtype=object)
    answer[there] = block.answer[row[there]]
    return AnsweredRun(
        condition=block.condition,
        reference="" if block.reference is None else block.reference.name,
        probabilities=probabilities,
        confidence=numbers(block.confidence),
        correct=numbers(block.correct),
        tokens=numbers(block.kept_tokens),
        answer=answer,
    )


def _square(experiment: Experiment) -> str:
    """How pictures become squares of tokens in raster order; empty where they do not."""
    rule = experiment.key.pixels.rpartition("/")[2].partition("+")[0]
    return rule if rule in ("pad", "crop") else ""


def _side(experiment: Experiment) -> int:
    """Rows of the square of all visual tokens; 0 where there is none, or nobody saw them all."""
    seen = [
        t.visual[:, 0]
        for t in experiment.tables
        if t.condition.selector == "full" and t.visual.size
    ]
    v = int(seen[0].max()) if seen and seen[0].size else 0
    same = bool(v) and bool((seen[0] == v).all())
    return isqrt(v) if same and _square(experiment) and isqrt(v) ** 2 == v else 0


def _places(
    table: LogitTable, names: Sequence[str], images: Mapping[str, str], side: int
) -> KeptPlaces | None:
    """Which of ``side`` x ``side`` tokens a run kept for each question that is named."""
    try:
        found = kept_tokens(table)
    except CalpruneError:
        return None
    if found is None or int(found.index.max(initial=-1)) >= side * side:
        return None
    units = list(zip(found.image, found.question.tolist(), strict=True))
    unit = {one: i for i, one in enumerate(units)}
    own = _units(table, images)
    wanted = [own.get(name, ("", -1)) for name in names]
    at = [unit.get(one, unit.get((one[0], -1), -1)) for one in wanted]
    kept = np.zeros((len(units), side * side + 1), dtype=np.bool_)
    kept[np.arange(len(units))[:, None], found.index] = True  # what is padded goes to the last
    return KeptPlaces(kept[:, :-1], np.array(at, dtype=np.intp))


def _bounded(places: KeptPlaces, most: int) -> KeptPlaces:
    """Those of the first questions alone, as far as ``most`` different rows reach."""
    used = [i for i in dict.fromkeys(places.at.tolist()) if i >= 0]
    return replace(places, at=np.where(np.isin(places.at, used[:most]), places.at, -1))


def _units(table: LogitTable, images: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Of each question its image and its place among the distinct questions about that."""
    seen: dict[str, dict[int, int]] = {}
    found = {}
    asks = table.duplicate_of.tolist()
    for name, cluster, first in zip(table.id.tolist(), table.cluster.tolist(), asks, strict=True):
        image = images.get(name, cluster)
        distinct = seen.setdefault(image, {})
        found[name] = (image, distinct.setdefault(first, len(distinct)))
    return found
