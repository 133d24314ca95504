"""The judge: asked over HTTP on this machine only, its answers kept, and resumed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from calprune.analyze.scorers.judged import Judged
from calprune.data.grades import MARK, grade_path, grades_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import DamagedFile, IncompleteError, Mismatch, ModelError, PlanError
from calprune.judge import judge
from calprune.judge.prompt import AGAIN, VERSION
from tests.judge.server import Answer, Server, refused, said
from tests.judge.tables import ROWS, replace_rows, stored


def test_grades_reach_the_scorer(server: Server, table: LogitTable) -> None:
    scores = {"x = 3": "0.0", "cat <OR> dog": "1.0", "bird": "0.3"}
    server.answer = lambda body, i: said(
        next(s for words, s in scores.items() if words in body["messages"][0]["content"][2200:])
    )
    seen: list[tuple[int, int]] = []
    (path,) = judge(
        [table],
        endpoint=server.url,
        model="gpt-4-0613",
        key="secret",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert Judged().rows(table).tolist() == [0.0, 1.0, 0.3]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert path == grade_path(table.path)
    key = table.condition.key[:8]
    assert path.parts[-4:] == ("grades", "toy", "mm-vet", f"full-{key}.json")
    request = server.asked[0]
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["temperature"]) == ("gpt-4-0613", 0.0)
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert "secret" not in "".join(p.read_text() for p in table.path.parents[3].rglob("*.json"))


def test_grade_files_are_mm_vets(server: Server, table: LogitTable) -> None:
    (path,) = judge([table], endpoint=server.url, model="mine")
    entry = json.loads(path.read_text())["v1_0"]
    mark = entry.pop(MARK)
    assert entry == {"model": ["judge-0613"], "content": ["0.5"], "score": [0.5]}
    assert mark == {
        "reply": hashlib.sha256(b"x = 3").hexdigest(),
        "judge": "mine",
        "how": VERSION,
    }


def test_no_key_is_sent_where_there_is_none(
    server: Server, table: LogitTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge([table], endpoint=server.url)
    assert "Authorization" not in server.headers[0]
    with pytest.raises(PlanError, match="--key-env MY_KEY: no such variable"):
        judge([table], endpoint=server.url, key_env="MY_KEY")
    monkeypatch.setenv("MY_KEY", "abc\n")
    other = stored(table.path.parents[3], 9, [("new", ["x"])])
    judge([other], endpoint=server.url, key_env="MY_KEY")
    assert server.headers[-1]["Authorization"] == "Bearer abc"


def test_equal_replies_are_judged_once_and_never_again(server: Server, tmp_path: Path) -> None:
    tables = [stored(tmp_path), stored(tmp_path, 8), stored(tmp_path, 4, [*ROWS[:2], ("d", ["e"])])]
    judge(tables[:2], endpoint=server.url)
    assert len(server.asked) == 3
    judge(tables, endpoint=server.url)
    assert len(server.asked) == 4
    for path in (grade_path(t.path) for t in tables):
        path.unlink()
    judge(tables, endpoint=server.url)
    assert len(server.asked) == 4
    assert [len(grades_of(t)) for t in tables] == [3, 3, 3]
    judge(tables, endpoint=server.url, model="another", replacing=True)
    assert len(server.asked) == 8


def test_a_failure_in_the_middle_is_resumed(server: Server, table: LogitTable) -> None:
    server.answer = lambda body, i: said("0.5") if i < 2 else refused(400, "context too long")
    with pytest.raises(PlanError, match=r"HTTP 400 \(context too long\).*judged is saved"):
        judge([table], endpoint=server.url, workers=1)
    assert not grade_path(table.path).exists()
    with pytest.raises(IncompleteError, match=r"no grades .*calprune judge --endpoint.*--grades"):
        Judged().rows(table)
    server.answer = lambda body, i: said("1.0")
    judge([table], endpoint=server.url)
    assert len(server.asked) == 4
    assert sorted(Judged().rows(table).tolist()) == [0.5, 0.5, 1.0]


def test_an_interruption_is_resumed(server: Server, table: LogitTable) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge([table], endpoint=server.url, workers=1, progress=interrupt)
    first = server.asked[0]["messages"]
    judge([table], endpoint=server.url)
    # what was in flight may be asked for once more, what was done is not
    assert [r["messages"] for r in server.asked].count(first) == 1
    assert Judged().rows(table).tolist() == [0.5] * 3


def test_junk_is_asked_again_and_then_named(server: Server, table: LogitTable) -> None:
    server.answer = lambda body, i: said(("Sure!", None, "7", "0.7")[i])
    judge([replace_rows(table, 1)], endpoint=server.url)
    assert [r["temperature"] for r in server.asked] == [0.0, 0.0, 0.5, 1.0]
    ends = [r["messages"][0]["content"].endswith(AGAIN) for r in server.asked]
    assert ends == [False, True, True, True]
    server.answer = lambda body, i: said("\x1b[31mNaN")
    with pytest.raises(ModelError, match=r"question 'v1_[12]': the judge .* 5 attempts.*--judge"):
        judge([table], endpoint=server.url, replacing=True, workers=1)


def test_a_number_that_the_limit_may_have_cut_is_asked_for_again(
    server: Server, table: LogitTable
) -> None:
    def cut(content: str) -> Answer:
        _, _, raw = said(content)
        body = json.loads(raw)
        body["choices"][0]["finish_reason"] = "length"
        return 200, {}, json.dumps(body).encode()

    server.answer = lambda body, i: (cut("0"), cut(" 0."), cut("0.3 since"))[i]
    judge([replace_rows(table, 1)], endpoint=server.url)
    assert Judged().rows(replace_rows(table, 1)).tolist() == [0.3]
    assert len(server.asked) == 3
    server.answer = lambda body, i: cut("0.")
    with pytest.raises(ModelError, match=r"'v1_[12]'.* 5 attempts.*'0\.'"):
        judge([replace_rows(table, 2)], endpoint=server.url, replacing=True)


WHOLE = said("0.5")[2]


@pytest.mark.parametrize("length", [0, 1, 20, WHOLE.index(b"}") + 1, len(WHOLE) - 1])
@pytest.mark.parametrize("declared", [True, False])
def test_an_answer_cut_short_is_asked_for_again(
    server: Server, table: LogitTable, length: int, declared: bool
) -> None:
    """Whether the server had said how long it would be or not."""
    promised = {"X-Length": str(len(WHOLE))} if declared else {}
    server.answer = lambda body, i: (200, promised, WHOLE[:length]) if i < 2 else said("0.5")
    waits: list[float] = []
    judge([replace_rows(table, 1)], endpoint=server.url, sleep=waits.append)
    assert waits == [1, 2]
    assert Judged().rows(replace_rows(table, 1)).tolist() == [0.5]
    server.answer = lambda body, i: (200, promised, WHOLE[:length])
    with pytest.raises(IncompleteError, match=r"an answer cut short .*6 times in a row"):
        judge([replace_rows(table, 2)], endpoint=server.url, replacing=True, sleep=waits.append)


# Grade files -----------------------------------------------------------------------------------


def test_grades_of_other_replies_are_refused(server: Server, table: LogitTable) -> None:
    judge([table], endpoint=server.url)
    other = stored(table.path.parents[3], None, [*ROWS[:2], ("a dog", ["bird"])])
    with pytest.raises(Mismatch, match=r"full-.*json: entry 'v1_2' grades another reply"):
        Judged().rows(other)
    with pytest.raises(PlanError, match=r"'v1_2' grades another reply.*--replace"):
        judge([other], endpoint=server.url)
    judge([other], endpoint=server.url, replacing=True)
    assert len(server.asked) == 4
    assert Judged().rows(other).tolist() == [0.5] * 3


def test_grades_by_another_judge_are_not_mixed_in(server: Server, table: LogitTable) -> None:
    judge([table], endpoint=server.url, model="one")
    with pytest.raises(PlanError, match=r"graded by one \(mm-vet-.*--replace.* by two"):
        judge([table], endpoint=server.url, model="two")
    assert len(server.asked) == 3


def test_a_damaged_judgement_is_an_error(server: Server, table: LogitTable) -> None:
    judge([table], endpoint=server.url)
    root = table.path.parents[3]
    kept = sorted((root / "judgements" / "gpt-4-0613").glob("*.json"))
    assert len(kept) == 3
    for text in ("{", '{"score": 1.0}', kept[0].read_text().replace("0.5", "5")):
        grade_path(table.path).unlink(missing_ok=True)
        kept[1].write_text(text)
        with pytest.raises(DamagedFile, match=kept[1].name):
            judge([table], endpoint=server.url)
