"""The judge: asked over HTTP on this machine only, cached, exported, imported."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import quote

import pytest
import typer
from typer.testing import CliRunner

from calprune.analyze.scorers.judged import Judged
from calprune.commands.judge import register
from calprune.data.condition import canonical_json
from calprune.data.grades import MARK, grade_path, grades_of
from calprune.data.storage.container import Sealed, as_text
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.ragged_text import pack_texts
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.errors import (
    CalpruneError,
    DamagedFile,
    IncompleteError,
    Mismatch,
    ModelError,
    PlanError,
)
from calprune.judge import judge
from calprune.judge.client import Endpoint
from calprune.judge.prompt import AGAIN, VERSION
from tests.analyze.test_text_scorers import condition, open_table
from tests.children import hearing, start

ROWS = [("x = 3", ["-1<AND>-5"]), ("a cat", ["cat<OR>dog"]), ("a cat", ["bird"])]
KEY = "sk-mostly/s3cret+="
Answer = tuple[int, dict[str, str], bytes]


def said(content: object, model: str = "judge-0613") -> Answer:
    body = {"model": model, "choices": [{"message": {"role": "assistant", "content": content}}]}
    return 200, {}, json.dumps(body).encode()


def refused(code: int, message: str = "no", headers: dict[str, str] | None = None) -> Answer:
    return code, headers or {}, json.dumps({"error": {"message": message, "code": None}}).encode()


@dataclass
class Server:
    """A judge that answers what ``answer`` makes of (request, how many came before)."""

    answer: Callable[[dict[str, Any], int], Answer] = lambda body, i: said("0.5")
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("CALPRUNE_STORE", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    made, lock = Server(), Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                before = len(made.asked)
                made.asked.append(body | {"path": self.path})
                made.headers.append(dict(self.headers))
            code, headers, raw = made.answer(body, before)
            with suppress(OSError):  # the other side may have hung up
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", headers.get("X-Length", str(len(raw))))
                self.end_headers()
                self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    made.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def table(tmp_path: Path) -> LogitTable:
    return stored(tmp_path)


def stored(root: Path, budget: int | None = None, rows: Any = ROWS) -> LogitTable:
    """A table whose path is that of a store; nothing is written."""
    made = condition(budget, "mm-vet")
    return open_table(rows, path=Store(root).logits(made), made=made)


def write_table(table: LogitTable) -> None:
    """Write a table where its path says."""
    r, c = table.replies, table.condition
    assert r is not None
    arrays: dict[str, Any] = {
        **{f"example/{x}": as_text(getattr(table, x).tolist()) for x in _TEXTS},
        "benchmark/scorer": as_text([table.scorer]),
        "answer/name": as_text(list(table.answers)),
        "image/id": as_text(table.cluster.tolist()),
        "example/duplicate_of": table.duplicate_of,
        "example/label": table.label,
        "example/offered": table.offered,
        "answer/token": table.answer_tokens,
        "logit/answer": table.answer_logits,
        "logit/log_z": table.log_z,
        "logit/entropy": table.entropy,
        "logit/mean": table.mean_logit,
        "logit/top_token": table.top_token,
        "logit/top": table.top_logit,
        "run/tokens": table.tokens,
        "run/visual": table.visual,
        **{f"gen/{x}": getattr(r, x) for x in ("id", "logprob", "entropy", "top2_gap")},
        "gen/offset": r.offset,
        "gen/stop": r.stop,
    }
    texts = {
        "reply": r.text,
        "question": r.question,
        "reference": [canonical_json(list(x)) if x else "" for x in r.references],
    }
    for name, column in texts.items():
        arrays[f"{name}/text"], arrays[f"{name}/offset"] = pack_texts(column)
    table.path.parent.mkdir(parents=True, exist_ok=True)
    sealed = Sealed("calprune.logits", c.key, c.to_json(), {}, arrays)
    assert seal(table.path, sealed)


_TEXTS = ("id", "split", "category", "cluster")


def run(*arguments: str) -> Any:
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["judge", *arguments])


# Asking ----------------------------------------------------------------------------------------


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


def replace_rows(table: LogitTable, n: int) -> LogitTable:
    return stored(table.path.parents[3], None, ROWS[:n])


# Servers that do not answer --------------------------------------------------------------------


def test_busy_servers_are_waited_for(server: Server, table: LogitTable) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answers = [
        refused(429, headers={"Retry-After": "7"}),
        refused(503, headers={"Retry-After": soon}),
        refused(500, headers={"Retry-After": "nan"}),
        refused(502, headers={"Retry-After": "whenever"}),
        said("0.5"),
    ]
    server.answer = lambda body, i: answers[i]
    waits: list[float] = []
    judge([replace_rows(table, 1)], endpoint=server.url, sleep=waits.append)
    assert waits[0] == 7
    assert 25 < waits[1] <= 30
    assert waits[2:] == [4, 8]


def test_servers_that_stay_busy_are_an_error(server: Server, table: LogitTable) -> None:
    server.answer = lambda body, i: refused(429, "slow\x1b[0m down")
    waits: list[float] = []
    with pytest.raises(IncompleteError, match=r"HTTP 429 \(slow.*6 times in a row") as caught:
        judge([table], endpoint=server.url, workers=1, sleep=waits.append)
    assert waits == [1, 2, 4, 8, 16]
    assert "\x1b" not in str(caught.value)
    server.answer = lambda body, i: refused(429, headers={"Retry-After": "86400"})
    with pytest.raises(IncompleteError, match="asks to wait for 86400 s"):
        judge([table], endpoint=server.url, sleep=waits.append)
    quota = json.dumps({"error": {"message": "pay", "code": "insufficient_quota"}}).encode()
    server.answer = lambda body, i: (429, {}, quota)
    with pytest.raises(IncompleteError, match="no credit left"):
        judge([table], endpoint=server.url, sleep=waits.append)
    assert len(waits) == 5


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refused(401), PlanError, "wants a key: HTTP 401.*OPENAI_API_KEY.*--key-env"),
        (refused(404, "no such model"), PlanError, "no model 'gpt-4-0613'.*--judge and --endpoint"),
        ((302, {"Location": "http://example.org"}, b""), PlanError, "moved to http://example.org"),
        ((400, {}, b"<html>" + b"x" * 5000), PlanError, "HTTP 400 .<html>x{194}…"),
        ((200, {}, b"<html>hello"), ModelError, "not a chat completion: <html>hello.*/v1"),
        ((200, {}, b'{"choices": []}'), ModelError, "not a chat completion"),
        ((200, {}, b"[" * 200_000), ModelError, "not a chat completion"),
        ((200, {}, b"\xff\xfe\x00"), ModelError, "not a chat completion"),
        (said(0.5), ModelError, "not a chat completion"),
        (said(["0.5"]), ModelError, "not a chat completion"),
        (said("0" * (1 << 20)), ModelError, "over 1048576 bytes"),
    ],
)
def test_other_answers_are_errors(
    server: Server, table: LogitTable, answer: Answer, error: type[CalpruneError], message: str
) -> None:
    server.answer = lambda body, i: answer
    with pytest.raises(error, match=message) as caught:
        judge([table], endpoint=server.url, workers=1)
    assert len(str(caught.value)) < 700


def test_a_refused_key_is_not_printed(
    server: Server, table: LogitTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-12345")
    server.answer = lambda body, i: refused(403)
    with pytest.raises(PlanError, match=r"refuses the key in \$MY_KEY") as caught:
        judge([table], endpoint=server.url, key_env="MY_KEY")
    assert "sk-12345" not in str(caught.value)
    with pytest.raises(PlanError, match=r"\$OPENAI_API_KEY holds characters") as caught:
        judge([table], endpoint=server.url, key="sk\n12345")
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refused(403, f"Bearer {KEY} is not valid"), r"HTTP 403 \(Bearer \*\*\* is not valid\)"),
        (refused(404, f"{KEY}: no model"), r"HTTP 404 \(\*\*\*: no model\)"),
        (refused(400, " " * 1980 + KEY), r"HTTP 400 \(\*\*\*\)"),
        (refused(400, "x" * 185 + KEY), r"x{185}\*\*\*"),
        ((400, {}, json.dumps({"headers": f"Bearer {KEY}"}).encode()), r"Bearer \*\*\*"),
        ((200, {}, f'{{"a": "{KEY}"}}'.replace("/", r"\/").encode()), r'{"a": "\*\*\*"}'),
        ((302, {"Location": f"http://h/?k={KEY}"}, b""), r"moved to http://h/\?k=\*\*\*: name"),
        ((307, {"Location": f"http://h/?k={quote(KEY, '')}"}, b""), r"http://h/\?k=\*\*\*: name"),
        (refused(429, f"slow down, {KEY}"), r"HTTP 429 \(slow down, \*\*\*\), 6 times"),
        (said(f"I was sent {KEY}"), r"'I was sent \*\*\*'"),
    ],
)
def test_a_key_that_a_server_echoes_is_not_printed(
    server: Server, table: LogitTable, answer: Answer, message: str
) -> None:
    server.answer = lambda body, i: answer
    with pytest.raises(CalpruneError, match=message) as caught:
        judge([table], endpoint=server.url, key=KEY, workers=1, sleep=lambda _: None)
    assert not any(part in str(caught.value) for part in ("s3cret", "mostly"))


@pytest.mark.parametrize(
    "form",
    [
        "".join(f"%{ord(c):02x}" for c in KEY),
        "".join(f"%{ord(c):02X}" for c in KEY),
        quote(quote(KEY, "")),
        quote(KEY, "/+="),
        quote(KEY, "+").lower(),
        f"%73{KEY[1:]}",
        "".join(f"\\u{ord(c):04x}" for c in KEY),
        "".join(f"&#{ord(c)};" for c in KEY),
        "".join(f"&#x{ord(c):X};" for c in KEY),
        KEY.upper().replace("/", r"\/"),
    ],
)
def test_a_key_is_hidden_however_it_is_escaped(form: str) -> None:
    endpoint = Endpoint("http://localhost/v1", key=KEY)
    assert endpoint._hidden(f"k={form}&x=1") == "k=***&x=1"
    assert endpoint._quoted(f"<{form}>") == "<***>"


def test_a_key_in_a_line_that_is_no_http_is_not_printed(table: LogitTable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def echo() -> None:
            for _ in range(6):
                connection, _ = odd.accept()
                with connection, suppress(OSError):
                    connection.recv(1 << 16)
                    connection.sendall(f"Bearer \x1b {KEY}\r\n".encode())

        thread = Thread(target=echo)
        thread.start()
        url = f"http://127.0.0.1:{odd.getsockname()[1]}/v1"
        one = [replace_rows(table, 1)]
        with pytest.raises(IncompleteError, match=r"no answer \(Bearer \\x1b \*\*\*\)"):
            judge(one, endpoint=url, key=KEY, workers=1, sleep=lambda _: None)
        thread.join()


def test_no_key_gets_into_grades(server: Server, table: LogitTable) -> None:
    server.answer = lambda body, i: said(f"0.5 {KEY}", f"judge {KEY}")
    (path,) = judge([table], endpoint=server.url, key=KEY)
    entry = json.loads(path.read_text())["v1_0"]
    assert (entry["model"], entry["content"]) == (["judge ***"], ["0.5 ***"])
    files = [p for p in table.path.parents[3].rglob("*.json") if "s3cret" in p.read_text()]
    assert files == []


def test_a_placeholder_for_a_key_spoils_no_score(server: Server, table: LogitTable) -> None:
    judge([table], endpoint=server.url, key="0.5")
    assert Judged().rows(table).tolist() == [0.5] * 3


def test_no_server_there(table: LogitTable) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(IncompleteError, match=r"connection refused.*--endpoint"):
        judge([table], endpoint=f"http://127.0.0.1:{port}/v1")


def test_a_silent_server_is_given_up(table: LogitTable) -> None:
    waits: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(IncompleteError, match=r"\(timed out\), 6 times"):
            judge([replace_rows(table, 1)], endpoint=url, timeout=0.05, sleep=waits.append)
    assert len(waits) == 5


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000/v1",
        "file:///etc/passwd",
        "http://",
        "http://a b/v1",
        "http://host:port/v1",
        "http://user:word@host/v1",
        "http://höst/v1",
        "http://host/v1?x=1",
        "http://host/v1\n",
    ],
)
def test_addresses_that_are_none(table: LogitTable, url: str) -> None:
    with pytest.raises(PlanError, match="--endpoint"):
        judge([table], endpoint=url)


def test_a_password_in_an_address_is_not_repeated(table: LogitTable) -> None:
    with pytest.raises(PlanError, match=r"'http://\*\*\*@host/v1\?\*\*\*'.*--key-env") as told:
        judge([table], endpoint="http://user:word@host/v1?key=more")
    assert not any(secret in str(told.value) for secret in ("word@", "more"))


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


def test_command_judges(server: Server, tmp_path: Path) -> None:
    for table in (stored(tmp_path), stored(tmp_path, 8)):
        write_table(table)
    done = run("--endpoint", server.url, "--store", str(tmp_path), "--judge", "m/1")
    assert done.exit_code == 0, done.output
    assert "toy mm-vet full: 50.0 over 3 replies" in done.output
    assert f"next: calprune analyze --store {tmp_path}" in done.output
    assert len(list((tmp_path / "judgements" / "m_1").glob("*.json"))) == len(server.asked) == 3
    for table in Store(tmp_path).tables():
        assert Judged().rows(table).tolist() == [0.5] * 3
    assert len(list(Store(tmp_path).verify())) == 2


def test_command_says_how_to_go_on_after_ctrl_c(server: Server, tmp_path: Path) -> None:
    write_table(stored(tmp_path))

    def interrupt(body: dict[str, Any], before: int) -> Answer:
        if before == 0:
            interrupt_main()
        return said("0.5")

    server.answer = interrupt
    with hearing():
        done = run("--endpoint", server.url, "--store", str(tmp_path), "--workers", "1")
    assert done.exit_code == 130
    assert "interrupted; what has been judged is saved" in done.output


def test_command_is_stopped_by_sigterm_as_by_ctrl_c(server: Server, tmp_path: Path) -> None:
    write_table(stored(tmp_path))
    asked, answered = Event(), Event()

    def hold(body: dict[str, Any], before: int) -> Answer:
        asked.set()
        answered.wait(60)
        return said("0.5")

    server.answer = hold
    where = ("--endpoint", server.url, "--store", str(tmp_path), "--workers", "1")
    running = start([sys.executable, "-m", "calprune", "judge", *where], stderr=subprocess.PIPE)
    assert asked.wait(60)
    running.terminate()
    _, told = running.communicate(timeout=60)
    answered.set()
    assert running.returncode == 130
    assert told.count("\n") == 1
    assert "interrupted; what has been judged is saved" in told
