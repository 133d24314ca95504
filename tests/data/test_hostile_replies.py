"""Files of format 1.1 from strangers, and benchmarks from careless ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.data.questions import open_questions
from calprune.data.sources.records import Tsv
from calprune.data.storage.container import Arrays, Sealed, pack
from calprune.data.storage.joining import _joint
from calprune.data.storage.ragged_text import MOST_REFERENCE, listed, pack_texts, unpack_texts
from calprune.data.storage.schema import LOGITS
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.data.storage.validation import check_columns, check_members, check_values
from calprune.errors import BenchmarkError, Mismatch, StoreError
from tests.data.test_condition import PLAIN
from tests.data.test_store import logit_arrays
from tests.fixtures import picture

FAR = 2**63 - 1


def open_arrays() -> Arrays:
    """The usual arrays with a reply of two tokens to every row."""
    arrays = logit_arrays()
    n = len(arrays["example/id"])
    arrays |= {
        "gen/id": np.arange(2 * n, dtype=np.int32),
        "gen/logprob": np.full(2 * n, -0.5, np.float32),
        "gen/entropy": np.full(2 * n, 0.5, np.float32),
        "gen/top2_gap": np.full(2 * n, 1.0, np.float32),
        "gen/offset": np.arange(0, 2 * n + 1, 2, dtype=np.int64),
        "gen/stop": np.ones(n, np.bool_),
    }
    for name, text in (("reply", "blue"), ("question", "Is it?"), ("reference", '["blue"]')):
        arrays[f"{name}/text"], arrays[f"{name}/offset"] = pack_texts([text] * n)
    return arrays


def test_replies_are_read_as_they_were_written(tmp_path: Path) -> None:
    sealed = Sealed("calprune.logits", PLAIN.key, PLAIN.to_json(), {}, open_arrays())
    path = Store(tmp_path).logits(PLAIN)
    seal(path, sealed)
    (table,) = Store(tmp_path).tables()
    assert table.replies is not None
    assert set(table.replies.text) == {"blue"}
    assert set(table.replies.references) == {("blue",)}
    assert table.replies.open.all()


def far_offsets(a: Arrays, name: str) -> None:
    n = len(a[name])
    a[name] = np.array([0, FAR, -FAR - 1, *[-1] * (n - 4), a[name][-1]], dtype=np.int64)


HOSTILE: dict[str, tuple[Callable[[Arrays], Any], str]] = {
    "overflow": (lambda a: far_offsets(a, "gen/offset"), "gen/offset does not cut"),
    "texts": (lambda a: far_offsets(a, "reply/offset"), "reply/offset does not cut"),
    "half": (lambda a: a.pop("gen/stop"), "replies need all of"),
    "positive": (lambda a: a["gen/logprob"].__setitem__(0, 0.5), "log-probability that is none"),
    "nan": (lambda a: a["gen/entropy"].__setitem__(0, np.nan), "gen/entropy"),
    "open": (lambda a: _open_row(a), "open, but has no reply"),
}


def _open_row(a: Arrays) -> None:
    a["example/offered"][0], a["example/label"][0] = False, -1
    a["gen/offset"][1:2] = 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_replies_are_refused(name: str) -> None:
    change, message = HOSTILE[name]
    arrays = open_arrays()
    change(arrays)
    check_columns(LOGITS, arrays)
    with pytest.raises(Mismatch, match=message):
        check_values("calprune.logits", arrays)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(["x" * MOST_REFERENCE]), "characters, at most"),
        ('["\\ud800"]', "half of a character"),
        ('{"a": 1}', "not a list"),
        ("[1]", "not a list"),
        ("[" * 60_000, "not JSON"),
        ("[NaN]", "not JSON"),
    ],
)
def test_hostile_references_are_refused(text: str, message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        listed(text)


def test_text_that_is_no_text() -> None:
    with pytest.raises(Mismatch, match="UTF-8"):
        unpack_texts(np.frombuffer(b"\xff\xfe", "S1"), np.array([0, 2]))


@pytest.mark.parametrize("name", ["tag/light level", "tag/..", "tag/a/b", "tag/" + "x" * 65, "tag"])
def test_nothing_is_written_that_could_not_be_read(name: str) -> None:
    with pytest.raises(StoreError, match="name of a dataset"):
        check_members([name])
    with pytest.raises(StoreError, match="64 datasets"):
        check_members([f"tag/t{i}" for i in range(65)])
    arrays = logit_arrays()
    arrays["tag/größe"] = arrays["example/split"]
    with pytest.raises(StoreError, match="name of a dataset"):
        pack(Sealed("calprune.logits", PLAIN.key, PLAIN.to_json(), {}, arrays))


def test_parts_that_differ_in_notes_share_their_numerics() -> None:
    first = {"numerics": {"device": "cpu"}, "template": "t: x", "benchmark": {"notes": ["a"]}}
    joined = _joint([first, {**first, "benchmark": {"notes": ["b"]}}])
    assert joined["numerics"] == first["numerics"]
    assert joined["template"] == "t: x"
    assert "mixed" in joined["benchmark"]
    other = _joint([first, {**first, "numerics": {"device": "cuda"}}])
    assert len(other["numerics"]["mixed"]) == 2
    newer = _joint([{**first, "software": {"torch": v}} for v in ("2.1", "2.2")])
    assert len(newer["numerics"]["mixed"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tags": {"light level": "night"}}, "line 1: a tag cannot be called 'light level'"),
        ({"tags": {"n_options": "2"}}, "a tag cannot be called 'n_options'"),
        ({"tags": {f"t{i}": "x" for i in range(33)}}, "more than 32 different tags"),
        ({"category": "x" * 600}, "line 1: category: 600 bytes, at most 512"),
        ({"id": "a\0"}, "line 1: id: 2 bytes, .*no zero bytes"),
    ],
)
def test_what_could_not_be_stored_is_refused_before_it_is_asked(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(1))
    row = {"image": "a.jpg", "question": "Is it?", "label": "yes", **change}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    with pytest.raises(BenchmarkError, match=message):
        open_questions(f"file:{tmp_path / 'q.jsonl'}")


def test_blank_lines_do_not_end_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n1\t2\n\n3\t4\n\n")
    rows = list(Tsv(path).rows())
    assert [row.values["a"] for row in rows] == ["1", "3"]
    assert [Tsv(path).row(row.at).values["b"] for row in rows] == ["2", "4"]
    path.write_text("")
    with pytest.raises(BenchmarkError, match="empty"):
        list(Tsv(path).rows())
