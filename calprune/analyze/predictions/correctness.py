"""What the model said and what that was worth, by the rules of the benchmark: parts to score by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.parser import option_texts
from calprune.analyze.predictions.table import Predictions
from calprune.data.condition_names import name_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError, IncompleteError, Mismatch, PlanError
from calprune.failures import working_on


def first_token_answers(table: LogitTable) -> Indices:
    """Index of the answer that the model's greedy first token spells, (n,); -1 if it spells none.

    Not restricted to the answers that a row offers: a letter beyond a row's options is an answer,
    and a wrong one. Only the first token is looked at: a reply that begins with the word ``A`` is
    taken for the letter. Raises Mismatch if the file holds no top tokens.
    """
    found = np.full(len(table), -1, dtype=np.intp)
    if not table.answer_tokens.size:
        return found
    if not table.top_token.shape[1]:
        raise Mismatch(
            f"{table.path} ({name_of(table.condition)}): holds no top tokens, so what the model "
            "said first is not known; delete this file and collect the condition again"
        )
    said = table.top_token[:, 0]
    for index, tokens in enumerate(table.answer_tokens):
        found[np.isin(said, tokens[tokens >= 0])] = index
    return found


def replied(table: LogitTable) -> Bools:
    """Questions with answers to choose from, without references, whose reply is read, (n,)."""
    if table.replies is None or not table.parser:
        return np.zeros(len(table), dtype=np.bool_)
    return table.replies.given & ~table.replies.open & table.offered.any(axis=1)


def parsed_answers(table: LogitTable) -> Indices:
    """Index of the answer that the model gave, (n,); -1 if it gave none.

    Where replies to questions with answers to choose from are stored, they are read by the rule of
    the benchmark's own script (``calprune.analyze.parsers``); elsewhere as ``first_token_answers``.

    Raises PlanError if that rule is not installed.
    """
    found, rows = first_token_answers(table), np.flatnonzero(replied(table)).tolist()
    if table.replies is None or not rows:
        return found
    parser = registry.load("parsers", table.parser)()
    number = {name: i for i, name in enumerate(table.answers)}
    for row in rows:
        names = [name for name, o in zip(table.answers, table.offered[row], strict=True) if o]
        options = option_texts(table.replies.question[row], names)
        question = f"question {str(table.id[row])!r}"
        with working_on(f"the reply to {question}"):
            given = parser.answer(table.replies.text[row].strip(), options)
        if not isinstance(given, str | None):
            raise PlanError(
                f"{table.path} ({name_of(table.condition)}): {question}: parser {table.parser!r} "
                f"gave {given!r}, not the name of an answer or None"
            )
        found[row] = -1 if given is None else number.get(given, -1)
    return found


def answer_sources(table: LogitTable) -> NDArray[np.str_]:
    """What the item score of each row looks at, (n,).

    ``first-token``; ``reply:RULE``, or ``cut:RULE`` where the limit ended that reply; or
    ``reference``, of a reply that is held to references.
    """
    kinds = np.array(["first-token", "reference", f"reply:{table.parser}", f"cut:{table.parser}"])
    kind = np.zeros(len(table), dtype=np.intp)
    if table.replies is not None:
        kind[table.replies.open] = 1
        kind[replied(table)] = np.where(table.replies.stop, 2, 3)[replied(table)]
    return kinds[kind]


def source_note(predictions: Predictions, references: bool = True) -> str:
    """What decided, for signatures: ``|said:first-token``, ``|said:reply(pope),cut:3``.

    Empty where nothing is known, or all rows are held to references; where these are not looked at
    (``references`` is false), the first token decides there too.
    """
    answer_source = predictions.answer_source
    if answer_source is None:
        return ""
    if not references:
        answer_source = np.where(answer_source == "reference", "first-token", answer_source)
    kinds, counts = np.unique(answer_source, return_counts=True)
    parts = ["first-token"] * ("first-token" in kinds)
    rules = sorted({kind.partition(":")[2] for kind in kinds.tolist() if ":" in kind})
    parts += [f"reply({rule})" for rule in rules]
    cut = int(counts[np.char.startswith(kinds, "cut:")].sum())
    return f"|said:{'+'.join(parts)}{f',cut:{cut}' * bool(cut)}" if parts else ""


def parsed_correct(table: LogitTable) -> Floats:
    """1 where the model gave the correct answer, see ``parsed_answers``, else 0, float64 (n,).

    Raises Mismatch if a row has no correct answer to compare with.
    """
    _labelled(table)
    return np.asarray(parsed_answers(table) == table.label, dtype=np.float64)


def parsed_no_correct(table: LogitTable) -> Floats:
    """1 where it is correct to read what was said as the second answer, "no", or else as the first.

    float64 (n,); whatever is not "no" counts as yes.

    Raises Mismatch if the table has not exactly two answers or a row has no correct one.
    """
    _labelled(table)
    if len(table.answers) != 2:
        raise Mismatch(
            f"{table.path} ({name_of(table.condition)}): scorer {table.scorer!r} needs two "
            f"answers, and this file has {len(table.answers)}"
        )
    return np.asarray((parsed_answers(table) == 1) == (table.label == 1), dtype=np.float64)


def _labelled(table: LogitTable) -> None:
    for row in np.flatnonzero(table.label < 0)[:1]:
        raise Mismatch(
            f"{table.path} ({name_of(table.condition)}): row {str(table.id[row])!r} has no "
            f"correct answer to choose, so scorer {table.scorer!r} cannot judge it"
        )


def item_scores(table: LogitTable) -> Floats:
    """The item scores of all rows by the table's own scorer, float64 (n,) in [0, 1].

    Raises:
        IncompleteError: the file names no scorer.
        PlanError: its scorer is not installed, or fails.
        Mismatch: its scorer cannot judge this file, or gives scores that are none.
    """
    where = f"{table.path} ({name_of(table.condition)})"
    if not table.scorer:
        raise IncompleteError(
            f"{where}: names no scorer, as older files do; delete it and collect it again"
        )
    try:
        scorer = registry.load("scorers", table.scorer)()
    except CalpruneError as error:
        raise type(error)(f"{where}: {error}") from error
    try:
        rows = np.asarray(scorer.rows(table), dtype=np.float64)
    except CalpruneError:
        raise
    except Exception as error:  # a foreign plug-in may fail in any way
        why = registry.reason(error)
        raise PlanError(f"{where}: scorer {table.scorer!r} failed: {why}") from error
    if rows.shape != (len(table),):
        raise Mismatch(f"{where}: scorer {table.scorer!r} gave shape {rows.shape}, not one a row")
    for row in np.flatnonzero(~((rows >= 0) & (rows <= 1)))[:1]:
        raise Mismatch(
            f"{where}: scorer {table.scorer!r} gave {rows[row]} for row {str(table.id[row])!r}; "
            "item scores lie in [0, 1]"
        )
    return rows


def answer_source_of(predictions: Predictions) -> str:
    """What the item scores of these rows look at, for signatures; empty if it is not known."""
    if predictions.scorer not in registry.names("scorers"):
        return ""
    scorer = registry.load("scorers", predictions.scorer)
    return source_note(predictions) if getattr(scorer, "by_parsed_answer", False) else ""
