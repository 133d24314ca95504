"""A hub on this machine: what the client asks of the real one when it fetches or sends files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Repositories by name, each with its files; and all the ways in which a hub can misbehave.

    Attributes:
        cuts: connections for this file that break, each after so many bytes.
        lies: content that is sent instead of a file's own, always or for so many times.
        gated: repositories whose files are refused; ``listed`` ones can be looked at.
        hold: of this file only half is sent, until this is empty again.
        down, why: every answer is this status, with this message.
        log: method, path and range of every request.
        earlier: what a repository held at each commit that was replaced by another.
        uploaded: contents that were sent and await a commit, by SHA-256.
        readers: whoever asks may only read.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    cuts: dict[str, list[int]] = field(default_factory=dict)
    lies: dict[str, list[bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    listed: bool = True
    hold: str = ""
    down: int = 0
    why: str = ""
    log: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""
    earlier: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    readers: bool = False

    def add(self, repository: str, folder: Path) -> None:
        """Publish all files of a folder."""
        files = (p for p in sorted(folder.rglob("*")) if p.is_file())
        self.repositories[repository] = {
            p.relative_to(folder).as_posix(): p.read_bytes() for p in files
        }

    def sent(self, file: str) -> list[str]:
        """Ranges of all GET requests for a file, "" for the whole."""
        return [r for method, path, r in self.log if method == "GET" and path.endswith(f"/{file}")]

    def __enter__(self) -> FakeHub:
        hub = self

        class Handler(_Handler):
            fake = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.fake.log.append((self.command, path, self.headers.get("Range", "")))
        if self.fake.down:
            why = {"X-Error-Message": self.fake.why} if self.fake.why else {}
            return self._send(self.fake.down, b"out of order", why)
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/.+)?", path):
            return self._list(found[1])
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(found[1], found[2], found[3])
        return self._send(404, b"")

    def _take(self) -> None:
        """What the client sends: files, and commits of them."""
        fake, path = self.fake, unquote(urlsplit(self.path).path)
        fake.log.append((self.command, path, ""))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fake.readers:
            return self._send(403, b'{"error": "only for readers"}')
        if self.command == "PUT":
            fake.uploaded[path.rpartition("/")[2]] = body
            return self._send(200, b"")
        if path == "/api/validate-yaml":
            return self._send(200, b'{"errors": [], "warnings": []}')
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            fake.repositories.setdefault(name, {})
            return self._send(200, json.dumps({"url": f"{fake.url}/datasets/{name}"}).encode())
        if re.fullmatch(r"/api/datasets/[^/]+/[^/]+/preupload/.+", path):
            files = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if _large(f["path"]) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for f in json.loads(body)["files"]
            ]
            return self._send(200, json.dumps({"files": files}).encode())
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = []
            for o in json.loads(body)["objects"]:
                upload = {"href": f"{fake.url}/upload/{o['oid']}", "header": {}}
                known = {} if o["oid"] in fake.uploaded else {"actions": {"upload": upload}}
                objects.append({"oid": o["oid"], "size": o["size"], **known})
            return self._send(200, json.dumps({"transfer": "basic", "objects": objects}).encode())
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/commit/.+", path):
            return self._commit(found[1], body)
        return self._send(404, b"")

    def _commit(self, repository: str, body: bytes) -> None:
        fake, lines = self.fake, [json.loads(line) for line in body.splitlines()]
        if lines[0]["value"].get("parentCommit") not in (None, fake.commit):
            return self._send(412, b'{"error": "A commit has happened since"}')
        fake.earlier.setdefault(fake.commit, {})[repository] = dict(fake.repositories[repository])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                content = base64.b64decode(value["content"])
            else:
                content = fake.uploaded[value["oid"]]
            fake.repositories[repository][value["path"]] = content
        fake.commit = hashlib.sha1(body).hexdigest()
        url = f"{fake.url}/datasets/{repository}/commit/{fake.commit}"
        self._send(200, json.dumps({"commitOid": fake.commit, "commitUrl": url}).encode())

    def _refused(self, repository: str) -> bool:
        if repository not in self.fake.repositories:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif repository in self.fake.gated:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        else:
            return False
        return True

    def _list(self, repository: str) -> None:
        open_ = self.fake.listed and repository in self.fake.repositories
        if not open_ and self._refused(repository):
            return
        files = self.fake.repositories[repository]
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": _git(content)}
            | ({"lfs": _lfs(content)} if _large(name) else {})
            for name, content in files.items()
        ]
        described = {"id": repository, "sha": self.fake.commit, "siblings": siblings}
        self._send(200, json.dumps(described | _REST).encode())

    def _file(self, repository: str, commit: str, name: str) -> None:
        if self._refused(repository):
            return
        newest = commit in (self.fake.commit, "main")
        held = self.fake.repositories if newest else self.fake.earlier.get(commit, {})
        true = held.get(repository, {}).get(name)
        if true is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        etag = _lfs(true)["sha256"] if _large(name) else _git(true)
        headers = {
            "X-Repo-Commit": self.fake.commit if newest else commit,
            "ETag": f'"{etag}"',
            "X-Linked-Etag": f'"{etag}"',
            "X-Linked-Size": str(len(true)),
            "Accept-Ranges": "bytes",
        }
        if self.command == "HEAD":
            return self._send(200, true, headers)
        lies = self.fake.lies.get(name)
        content, status = lies.pop(0) if lies else true, 200
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            first = int(asked[1])
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content, status = content[first:], 206
        cuts = self.fake.cuts.get(name)
        return self._send(status, content, headers, cuts.pop(0) if cuts else None)

    def _send(
        self,
        status: int,
        content: bytes,
        headers: Mapping[str, str] = {},
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fake.hold and self.path.endswith(self.fake.hold):
            half = len(content) // 2
            self.wfile.write(content[:half])
            while self.fake.hold:
                time.sleep(0.02)
            content = content[half:]
        try:
            self.wfile.write(content[:cut])
        except OSError:  # nobody listens any more
            self.close_connection = True
        if cut is not None:
            self.close_connection = True


_REST: dict[str, Any] = {
    **{"author": None, "private": False, "gated": False, "disabled": False},
    **{"downloads": 0, "likes": 0, "tags": []},
}


def _large(name: str) -> bool:
    """Whether git holds a pointer in its place."""
    return name.endswith((".parquet", ".h5"))


def _lfs(content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"sha256": digest, "size": len(content), "pointerSize": 130}


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
