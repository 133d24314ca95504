"""Replies for other people to grade."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calprune.errors import PlanError
from calprune.judge.exports import export, replies
from tests.analyze.test_text_scorers import open_table


def test_export_formats(tmp_path: Path) -> None:
    rows = [(" A cat. ", ["cat"]), ("b", ["b"])]
    table = open_table(rows, [(20, 1), (77, 1)], tmp_path / "full.h5")
    numbered = replace(table, id=np.array(["7", "08x", "9", "10"]))
    path = export(table, "mm-vet", tmp_path / "out")
    assert json.loads(path.read_text()) == dict(replies(table))
    assert replies(table) == [("v1_0", "A cat."), ("v1_1", "b"), ("v1_2", "no"), ("v1_3", "")]
    assert export(table, "mm-vet", tmp_path / "out") == path
    with pytest.raises(PlanError, match="differs; choose another --out"):
        export(numbered, "mm-vet", tmp_path / "out")
    gqa = json.loads(export(numbered, "gqa", tmp_path / "gqa").read_text())
    assert gqa[0] == {"questionId": "7", "prediction": "a cat"}
    textvqa = json.loads(export(numbered, "textvqa", tmp_path / "t").read_text())
    assert textvqa[:2] == [
        {"question_id": 7, "answer": "A cat."},
        {"question_id": "08x", "answer": "b"},
    ]
    with pytest.raises(PlanError, match=r"format 'gpa'.*gqa"):
        export(table, "gpa", tmp_path / "out")
