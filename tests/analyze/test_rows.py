"""Single questions: which are listed, in which order, and what stands in them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calprune
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results.row_listing import RowListing
from calprune.analyze.results.rows import QuestionRows, RowChoice
from calprune.analyze.study import Study
from calprune.analyze.tables.question_rows import (
    as_parquet,
    csv_lines,
    json_lines,
    question_tables,
)
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.conftest import make_condition, make_table, opened

BENCH = "made-up"  # nothing of this name is at hand


def known(margins: list[float], **of: Any) -> LogitTable:
    """Yes/no questions, all to be answered yes; ``margins`` are log-odds of yes."""
    table = make_table(make_condition(benchmark=BENCH, **of), images=len(margins), per_image=1)
    logits = np.full((len(margins), 2, 2), -np.inf, dtype=np.float32)
    logits[:, 0, 0], logits[:, 1, 0] = margins, 0.0
    return replace(table, answer_logits=logits, label=np.zeros(len(margins), dtype=np.int16))


FULL = known([2.0, 2.0, -1.0, -1.0, 3.0])
PRUNED = known([2.5, -1.0, 4.0, -3.0, 3.0], selector="scope", budget=64)


def rows(*tables: LogitTable, **choice: bool) -> Any:
    return Study(tables or (FULL, PRUNED)).rows(**choice)


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_before_and_after_are_those_of_the_same_question() -> None:
    found = rows()
    assert len(found) == 10
    full, pruned = found[found.condition == "full"], found[found.condition != "full"]
    assert (full.reference == "").all()
    assert full.confidence_before.isna().all()
    assert (full.answer_before == "").all()
    assert pruned.answer.tolist() == ["yes", "no", "yes", "no", "yes"]
    assert pruned.answer_before.tolist() == ["yes", "yes", "no", "no", "yes"]
    assert pruned.flip.tolist() == ["", "to wrong", "to right", "", ""]
    assert pruned.correct.tolist() == [1, 0, 1, 0, 1]
    assert pruned.confidence.tolist() == pytest.approx([sigmoid(x) for x in (2.5, 1, 4, 3, 3)])
    change = [sigmoid(2.5) - sigmoid(2), sigmoid(1) - sigmoid(2), sigmoid(4) - sigmoid(1)]
    assert pruned.confidence_change.tolist()[:3] == pytest.approx(change)
    assert pruned.label_probability.tolist()[1] == pytest.approx(sigmoid(-1))
    assert (pruned.kept_tokens == 64).all()
    assert set(pruned.options) == {"yes | no"}
    assert set(pruned.label) == {"yes"}


def test_rows_of_another_order_are_paired_by_id() -> None:
    back = np.arange(5)[::-1]
    names = ("id", "split", "category", "cluster", "label", "offered", "answer_logits", "visual")
    turned = replace(PRUNED, **{name: getattr(PRUNED, name)[back] for name in names})
    plain, found = (t.query("condition != 'full'") for t in (rows(), rows(FULL, turned)))
    columns = ["id", "answer", "confidence", "confidence_before", "flip"]
    one, other = (t.sort_values("id")[columns].values.tolist() for t in (plain, found))
    assert one == other


def test_choices_list_what_they_say_and_combine() -> None:
    assert rows(changed=True).id.tolist() == ["q00001", "q00002"]
    assert rows(flips=True).flip.tolist() == ["to wrong", "to right"]
    errors = rows(confident_errors=True)
    assert errors.condition.tolist() == ["full"] * 2 + ["scope @64"] * 2
    assert (errors.correct == 0).all()
    assert rows(changed=True, confident_errors=True).id.tolist() == ["q00001"]


def test_tables_have_the_largest_change_first_and_errors_by_confidence() -> None:
    [table] = question_tables(RowListing().of([FULL, PRUNED]), RowChoice(), None, 3)
    assert [row[0] for row in table.body] == ["q00002", "q00003", "q00001"]
    assert table.title.endswith("3 of 10 rows")
    choice = RowChoice(confident_errors=True)
    [table] = question_tables(RowListing(choice=choice).of([FULL, PRUNED]), choice, None, 50)
    assert [row[0] for row in table.body][:1] == ["q00003"]
    shown = [row[8] for row in table.body]
    assert shown == sorted(shown, reverse=True)


def test_groups_have_their_own_first_rows_and_counts() -> None:
    options = AnalysisOptions.of(by="split")
    blocks = RowListing(options=options).of([FULL, PRUNED])
    tables = question_tables(blocks, RowChoice(), "split", 1)
    assert [len(table.body) for table in tables] == [1, 1, 1]
    assert [table.title.split(", ")[1] for table in tables] == [
        "split random: 1 of 4 rows",
        "split popular: 1 of 4 rows",
        "split adversarial: 1 of 2 rows",
    ]


def test_a_question_asked_twice_stands_once_in_a_table_and_twice_in_all_rows() -> None:
    twice = np.array([0, 1, 1, 3, 4], dtype=np.int32)
    same = [replace(t, duplicate_of=twice) for t in (FULL, PRUNED)]
    [table] = question_tables(RowListing().of(same), RowChoice(), None, 50)
    assert table.title.endswith("8 of 8 rows")
    found = rows(*same)
    assert found.duplicate_of.tolist() == ["", "", "q00001", "", ""] * 2


def test_seeds_are_never_averaged() -> None:
    seeds = [known([float(s), 1.0], selector="random", budget=64, seed=s) for s in (1, 2)]
    found = rows(known([1.0, 1.0]), *seeds)
    assert found.seed.dropna().tolist() == [1, 1, 2, 2]
    first = found[found.id == "q00000"].confidence.tolist()
    assert first == pytest.approx([sigmoid(1), sigmoid(1), sigmoid(2)])


def test_only_named_conditions_are_listed_and_the_reference_stays() -> None:
    found = Study((FULL, PRUNED)).rows(conditions=["scope"])
    assert set(found.condition) == {"scope @64"}
    assert found.confidence_before.notna().all()
    with pytest.raises(PlanError, match="scope @64"):
        Study((FULL, PRUNED)).rows(conditions=["scoop"])


def test_replies_are_answers_and_references_labels() -> None:
    table = opened(make_table(make_condition(benchmark=BENCH), images=4, scorer="verdict"))
    found = rows(table)
    assert table.replies is not None
    assert found.answer.tolist() == list(table.replies.text)
    assert set(found.label) == {"a reference"}
    assert set(found.question) == {"a question"}
    assert set(found.options) == {""}
    assert found.label_probability.isna().all()


def test_without_the_reference_nothing_can_have_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(PRUNED).confidence_before.isna().all()
    assert "nothing before" in capsys.readouterr().err
    with pytest.raises(IncompleteError, match="--against"):
        rows(PRUNED, flips=True)
    with pytest.raises(IncompleteError, match="select others"):
        Study((FULL, PRUNED)).rows(flips=True, conditions=["full"])


def test_other_numerics_are_refused_unless_asked_for() -> None:
    moved = replace(PRUNED, provenance={"numerics": {"device": "cuda"}})
    with pytest.raises(Mismatch, match="mixed"):
        rows(FULL, moved)
    assert len(Study((FULL, moved)).rows(mixed_numerics=True)) == 10


def test_texts_that_are_not_at_hand_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(rows().question) == {""}
    assert BENCH in capsys.readouterr().err


def test_texts_of_the_embedded_benchmark_are_shown() -> None:
    study = calprune.open("sample")
    found = study.select(selector="full").rows()
    asked = found.set_index("id").loc["scene-0000/random/0"]
    assert asked.question == "Is there a red star in the image?"
    assert asked.image == "scene-0000"
    # an id of another question than the file's shows no text
    table = study.tables[0]
    other = replace(table, label=(1 - table.label).astype(np.int16))
    assert set(rows(other).question) == {""}


def test_all_formats_hold_the_same_rows(tmp_path: Path) -> None:
    def blocks() -> Iterator[QuestionRows]:
        return RowListing().of([FULL, PRUNED])

    pq = pytest.importorskip("pyarrow.parquet")
    frame = rows()
    read = list(csv.DictReader(io.StringIO("".join(csv_lines(blocks())))))
    told = json.loads("".join(json_lines(blocks(), {"against": "full"})))
    path = tmp_path / "rows.parquet"
    path.write_bytes(as_parquet(blocks()))
    stored = pq.read_table(path).to_pylist()
    assert told["against"] == "full"
    assert len(read) == len(told["rows"]) == len(stored) == len(frame)
    assert list(read[0]) == list(told["rows"][0]) == list(stored[0]) == list(frame.columns)
    for i, change in enumerate(frame.confidence_change):
        if np.isnan(change):
            assert read[i]["confidence_change"] == ""
            assert told["rows"][i]["confidence_change"] is None
        else:
            assert float(read[i]["confidence_change"]) == change
            assert told["rows"][i]["confidence_change"] == change
            assert stored[i]["confidence_change"] == change


def test_hostile_text_is_neither_formula_nor_control_character() -> None:
    names = replace(FULL, answers=("=cmd()", "\x1b[31mno"))
    text = "".join(csv_lines(RowListing().of([names])))
    assert "\x1b" not in text
    assert all(row["label"] == "'=cmd()" for row in csv.DictReader(io.StringIO(text)))


def test_runs_are_read_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        "calprune.analyze.results.rows._options",
        lambda now: made.append(now.where) or np.full(len(now), ""),
    )
    pieces = csv_lines(RowListing().of([FULL, PRUNED]))
    for number in (1, 2):
        next(pieces)
        assert len(made) == number
