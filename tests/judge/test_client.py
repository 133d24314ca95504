"""Servers that are busy, silent, wrong or curious: what is waited for, said, and kept secret."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Thread
from urllib.parse import quote

import pytest

from calprune.analyze.scorers.judged import Judged
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError, IncompleteError, ModelError, PlanError
from calprune.judge import judge
from calprune.judge.client import Endpoint
from tests.judge.server import Answer, Server, refused, said
from tests.judge.tables import replace_rows

KEY = "sk-mostly/s3cret+="


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
