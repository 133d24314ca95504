"""``calprune import``: what a log says is what the analysis says, and nothing is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from calprune.analyze.pipeline import read_predictions
from calprune.data.condition_names import name_of
from calprune.data.storage.agreement import check_agreement
from calprune.data.storage.container import unpack
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.reading import check_file
from calprune.data.storage.store import Store
from calprune.errors import Mismatch
from tests.children import calprune

CHOICES = """\
id,image,label,p:yes,p:no,split
q1,i1,yes,0.9,0.1,easy
q2,i2,no,0.6,0.4,easy
q3,i1,no,0.25,0.75,hard
q4,i2,no,,0.75,hard
q5,i3,yes,1,0,hard
"""
SURE = """\
id,confidence,correct,prediction,label
q1,0.9,1,yes,yes
q2,.5,false,no,yes
q3,,1,a,b
q4,0.3,0.25,a,b
"""


def imported(folder: Path, name: str, content: str, *more: str) -> tuple[LogitTable, str]:
    """The table in the store, and what was said about it."""
    (folder / name).write_text(content)
    store = folder / f"store-{len(list(folder.iterdir()))}"
    words = (str(folder / name), "--store", str(store), "--bench", "b", "--model", "m")
    done = calprune("import", *words, *more)
    assert done.returncode == 0, done.stderr
    (table,) = Store(store).tables()
    check_file(table.path)
    return table, done.stdout


def test_stated_probabilities_come_out_exactly(tmp_path: Path) -> None:
    table, said = imported(tmp_path, "a.csv", CHOICES)
    found = read_predictions(table)
    # rows of one image side by side; a missing probability is no 0
    assert found.id.tolist() == ["q1", "q3", "q2", "q5"]
    assert found.cluster.tolist() == ["i1", "i1", "i2", "i3"]
    stated = [[0.9, 0.1], [0.25, 0.75], [0.6, 0.4], [1, 0]]
    assert np.allclose(found.probabilities, stated, rtol=1e-6, atol=1e-44)
    assert found.correct.tolist() == [True, True, False, True]
    assert found.mass is not None
    assert np.allclose(found.mass, 1, rtol=1e-6)
    assert np.isfinite(found.log_probabilities).all()
    assert "4 of 5 questions; accuracy 75.00%" in said
    assert "left out: 1 question: no probability is stated for some of its answers" in said
    assert "probability of 0 is stated 1 time;" in said
    assert table.provenance["imported"]["left_out"] == {
        "no probability is stated for some of its answers": 1
    }


def test_mass_beside_the_answers_is_kept(tmp_path: Path) -> None:
    table, said = imported(tmp_path, "a.csv", "id,label,p:A,p:B\n1,A,0.5,0.2\n2,1,0.01,0.02\n")
    found = read_predictions(table)
    assert found.mass is not None
    assert np.allclose(found.mass, [0.7, 0.03], rtol=1e-6)
    assert np.allclose(found.confidence, [5 / 7, 2 / 3], rtol=1e-6)
    assert "add up to less than 0.99" in said
    assert "no names of images" in said


def test_close_log_probabilities_stay_apart(tmp_path: Path) -> None:
    """Far from 0 float32 has steps of 1e-5; the order of answers must not be lost to them."""
    table, _ = imported(tmp_path, "a.csv", "id,label,logp:A,logp:B\n1,B,-200.000002,-200.000001\n")
    assert read_predictions(table).correct.tolist() == [True]


def test_a_confidence_and_a_verdict_are_enough(tmp_path: Path) -> None:
    table, said = imported(tmp_path, "a.csv", SURE)
    found = read_predictions(table)
    assert np.allclose(found.confidence, [0.9, 0.5, 0.3], rtol=1e-6)
    assert found.correct.tolist() == [True, False, False]
    assert found.item_scores is not None
    assert found.item_scores.tolist() == [1, 0, 0.25]
    assert "left out: 1 question: no probability of its reply is stated" in said


def test_without_probabilities_only_what_is_right_remains(tmp_path: Path) -> None:
    content = "id,correct,prediction\nq1,1,yes\nq2,0,no\nq3,true,no\n"
    table, said = imported(tmp_path, "a.csv", content, "--from", "table")
    assert np.isnan(read_predictions(table).confidence).all()
    assert "metrics: accuracy, score\n" in said
    store = str(table.path.parents[3])
    done = calprune("analyze", "--store", store, "--metric", "accuracy,score", "--format", "json")
    assert done.stdout.count('"value": 0.6666666666666666') == 2
    for metric in ("ece", "aurc", "failure-auroc"):
        done = calprune("analyze", "--store", store, "--metric", metric)
        assert done.returncode == 2
        assert "these metrics remain: accuracy, score" in done.stderr
    done = calprune("analyze", "--store", store, "--metric", "accuracy", "--calibrate", "platt")
    assert done.returncode == 2
    assert "nothing to calibrate" in done.stderr


def test_json_lines_and_parquet_say_the_same_as_csv(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "1", "label": "B", "options": ["A", "B"], "p:A": 0.2, "p:B": 0.8, "p:C": None},
        {"id": "2", "label": "C", "options": ["A", "B", "C"], "p:A": 0.5, "p:B": 0.3, "p:C": 0.2},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    csv = "id,label,options,p:A,p:B,p:C\n1,B,A|B,.2,.8,\n2,C,A|B|C,.5,.3,.2\n"
    plain = [
        {"id": "1", "label": "B", "probabilities": {"A": 0.2, "B": 0.8}},
        {"id": "2", "label": 2, "probabilities": {"A": 0.5, "B": 0.3, "C": 0.2}},
    ]
    tables = [
        imported(tmp_path, "a.csv", csv)[0],
        imported(tmp_path, "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in plain))[0],
    ]
    store = tmp_path / "p"
    words = (str(tmp_path / "a.parquet"), "--store", str(store), "--bench", "b", "--model", "m")
    assert calprune("import", *words).returncode == 0
    tables += Store(store).tables()
    for table in tables:
        found = read_predictions(table)
        assert found.names == ("A", "B", "C")
        assert found.offered.tolist() == [[True, True, False], [True, True, True]]
        assert np.allclose(found.probabilities, [[0.2, 0.8, 0], [0.5, 0.3, 0.2]], rtol=1e-6)
    assert len({table.condition.key for table in tables}) == 1


def test_conditions_are_named_and_compared(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    (tmp_path / "full.csv").write_text(CHOICES)
    (tmp_path / "64.csv").write_text(CHOICES.replace("0.9,0.1", "0.4,0.6"))
    common = ("--store", store, "--bench", "pope", "--model", "llava")
    full = calprune("import", str(tmp_path / "full.csv"), *common, "--selector", "full")
    pruned = ("--selector", "scope:alpha=0.5:note=x", "--keep", "64")
    less = calprune("import", str(tmp_path / "64.csv"), *common, *pruned)
    assert (full.returncode, less.returncode) == (0, 0), less.stderr
    names = [name_of(table.condition) for table in Store(Path(store)).tables()]
    assert sorted(names) == ["full", "scope:alpha=0.5:note=x @64"]
    done = calprune("analyze", "--store", store, "--against", "full", "--metric", "accuracy")
    assert "-25.0" in done.stdout
    assert calprune("ls", "conditions", "--store", store).stdout.count("not counted") == 2
    assert calprune("rows", "--store", store, "--changed").returncode == 0
    # again: nothing is written; another log under the same name is refused
    again = calprune("import", str(tmp_path / "full.csv"), *common, "--selector", "full")
    assert "there already" in again.stdout
    other = calprune("import", str(tmp_path / "64.csv"), *common, "--selector", "full")
    assert other.returncode == 2
    assert "--label" in other.stderr


WRONG = {
    "p": ("id,label,p:A,p:B\n1,A,1.5,0\n", "line 2: p:A: 1.5 is no probability"),
    "sum": ("id,label,p:A,p:B\n1,A,.9,.9\n", "line 2: probabilities: add up to 1.8"),
    "word": ("id,label,p:A,p:B\n1,A,.9,x\n", "line 2: p:B: a number expected, found 'x'"),
    "label": ("id,label,p:A,p:B\n1,C,.9,.1\n", "line 2: label: 'C' is not among the answers"),
    "digits": (f"id,label,p:A,p:B\n1,{'9' * 5000},.9,.1\n", "line 2: label: '999"),
    "twice": ("id,label,p:A,p:B\n1,A,.9,.1\n1,A,.9,.1\n", "line 3: id: '1' is also the id of"),
    "cells": ("id,label,p:A,p:B\n1,A,.9\n", "line 2: 3 cells under 4 headings"),
    "column": ("id,label,p:A,p:B,x\n1,A,.9,.1,2\n", "line 2: x: unknown column"),
    "no id": ("id,label,p:A,p:B\n,A,.9,.1\n", "line 2: id: empty"),
    "all lost": ("id,label,p:A,p:B\n1,A,.9,\n", "nothing to import: 1 rows"),
    "long": (f"id,label,p:A,p:B\n{'i' * 600},A,.9,.1\n", "id: over 512 bytes"),
    "sure": ("id,confidence,correct\n1,2,1\n", "line 2: confidence: 2.0 does not lie"),
    "nothing": ("id,label\n1,A\n", "looks like none of them"),
    "empty": ("", "looks like none of them"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    (tmp_path / "a.csv").write_text(content)
    words = (
        str(tmp_path / "a.csv"),
        "--store",
        str(tmp_path / "s"),
        "--bench",
        "b",
        "--model",
        "m",
    )
    done = calprune("import", *words)
    assert done.returncode in (2, 3, 4)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_one_bad_log_of_several_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(CHOICES)
    (tmp_path / "bad.csv").write_text(WRONG["sum"][0])
    files = (str(tmp_path / "good.csv"), str(tmp_path / "bad.csv"))
    common = ("--store", str(tmp_path / "s"), "--bench", "b", "--model", "m")
    assert calprune("import", *files, *common).returncode == 3
    assert not (tmp_path / "s").exists()
    files = (files[0], files[0])
    done = calprune("import", *files, *common)
    assert "would be the same condition" in done.stderr


def test_only_what_was_imported_may_lack_layers(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, "a.csv", CHOICES)
    arrays = dict(unpack(table.path, "calprune.logits").arrays)
    check_agreement(table.condition, arrays)
    with pytest.raises(Mismatch, match="of no layer"):
        check_agreement(replace(table.condition, pixels="CLIPImageProcessor:pil/pad"), arrays)
    arrays["run/tokens"] = arrays["run/visual"] = np.ones((4, 1), dtype=np.int32)
    with pytest.raises(Mismatch, match="imported, and of some layer"):
        check_agreement(table.condition, arrays)


VERDICTS = "id,correct,prediction\nq1,1,yes\nq2,0,no\nq3,true,no\n"


@pytest.mark.parametrize("keep", ["64", "25%"])
@pytest.mark.parametrize("content", [CHOICES, VERDICTS], ids=["choices", "verdicts"])
def test_reports_and_figures_show_what_there_is(tmp_path: Path, content: str, keep: str) -> None:
    """Neither visual tokens that nobody counted nor confidences that nobody stated stop them."""
    (tmp_path / "a.csv").write_text(content)
    store = ("--store", str(tmp_path / "store"))
    named = ("--from", "table", "--bench", "b", "--model", "m", *store)
    for pruning in (("full",), ("fastv", "--keep", keep)):
        done = calprune("import", str(tmp_path / "a.csv"), *named, "--selector", *pruning)
        assert done.returncode == 0, done.stderr
    metric = ("--metric", "accuracy") if content == VERDICTS else ()
    page, figures = tmp_path / "report.html", tmp_path / "figures"
    done = calprune("report", *store, *metric, "--out", str(page))
    assert done.returncode == 0, done.stderr
    assert page.stat().st_size > 10_000
    done = calprune("analyze", *store, *metric, "--plot", str(figures), "--formats", "svg")
    assert done.returncode == 0, done.stderr
    assert not any("nan" in path.read_text().lower() for path in figures.glob("*.svg"))
    assert list(figures.glob("*.svg"))
