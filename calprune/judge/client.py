"""A chat endpoint as OpenAI defined it and many servers offer it; standard library only."""

from __future__ import annotations

import email.utils
import html
import http.client
import json
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from calprune.errors import CalpruneError, IncompleteError, ModelError, PlanError
from calprune.terminal import printable

KEY_ENV = "OPENAI_API_KEY"
_MOST_BYTES = 1 << 20
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each further attempt
_LONGEST_WAIT = 300.0
_LEAST_KEY = 5  # shorter ones are stand-ins, and a score such as 0.25 may hold one
_PASSING = (408, 409, 425, 429)  # and all from 500 on


@dataclass(frozen=True)
class Said:
    """What a judge answered, and the name under which the server has it.

    ``cut``: the server stopped at the limit of tokens, so that the last word may not be whole.
    """

    content: str
    model: str
    cut: bool = False


class _Again(Exception):
    """A failure that may pass by itself."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to the named host and no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """An address whose ``/chat/completions`` answers.

    Attributes:
        url: base of the address, usually ending in ``/v1``; PlanError if it is none.
        key: sent as a bearer token; empty for servers that want none.
        key_env: variable that the key came from, for messages.
        timeout: seconds without a sign of life before a request is given up.
        sleep: waits so many seconds; True if there is no point in going on.
    """

    url: str
    key: str = field(default="", repr=False)
    key_env: str = KEY_ENV
    timeout: float = 60.0
    sleep: Callable[[float], bool | None] = time.sleep

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        plain = self.url.isascii() and self.url.isprintable() and " " not in self.url
        if not (good and plain) or "@" in parts.netloc or parts.query or parts.fragment:
            raise PlanError(
                f"--endpoint {_without_secrets(self.url)!a}: the address of an OpenAI-compatible "
                "server is wanted, e.g. https://api.openai.com/v1 or http://localhost:8000/v1, "
                "with no user, password or query in it: a key comes from --key-env"
            )
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise PlanError(
                f"${self.key_env} holds characters that no key has (a line break, a blank, …)"
            )

    def chat(self, model: str, content: str, temperature: float, tokens: int) -> Said:
        """The answer to one message of a user.

        Tries again, later and later, what may pass by itself. Raises PlanError if the server wants
        another key, model or request, IncompleteError if it cannot be reached or stays busy, and
        ModelError if it answers in another form.
        """
        body = {
            "model": model,
            "messages": [{"role": "user", "content": content}],
            "temperature": temperature,
            "max_tokens": tokens,
        }
        for backoff in (*_WAITS, None):
            try:
                return self._said(self._send(json.dumps(body).encode(), model), model)
            except _Again as trouble:
                if backoff is None:
                    raise IncompleteError(
                        f"{self.url}: {trouble}, {len(_WAITS) + 1} times in a row; try later"
                    ) from trouble
                wait = backoff if trouble.wait is None else trouble.wait
                if wait > _LONGEST_WAIT:
                    raise IncompleteError(
                        f"{self.url}: {trouble}, and asks to wait for {wait:.0f} s; try then"
                    ) from trouble
                if self.sleep(wait):
                    raise IncompleteError(f"{self.url}: stopped while waiting") from trouble
        raise AssertionError("unreachable")

    def _send(self, body: bytes, model: str) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "calprune"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        address = self.url.rstrip("/") + "/chat/completions"
        request = urllib.request.Request(address, body, headers, method="POST")
        try:
            opener = urllib.request.build_opener(_NoRedirect)
            with opener.open(request, timeout=self.timeout) as response:
                raw: bytes = response.read(_MOST_BYTES + 1)
                rest = response.length  # of what was promised; such a read does not miss it
        except HTTPError as error:
            raise self._refusal(error, model) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreached(error) from None
        if len(raw) > _MOST_BYTES:
            raise ModelError(f"{self.url}: an answer of over {_MOST_BYTES} bytes; not a judge's")
        if rest:
            raise _Again(f"an answer cut short after {len(raw)} of {len(raw) + rest} bytes")
        return raw

    def _said(self, raw: bytes, model: str) -> Said:
        try:
            answer = json.loads(raw)
            choice = answer["choices"][0]
            content = choice["message"]["content"]
        except (ValueError, RecursionError, LookupError, TypeError) as error:
            if _cut_short(raw, error):
                raise _Again(f"an answer cut short after {len(raw)} bytes") from error
            content = answer = raw
        if not isinstance(content, str | None):
            raise ModelError(
                f"{self.url}: not a chat completion: {self._quoted(raw)}; does the address lack "
                "its last part, usually /v1?"
            )
        name = answer.get("model")
        name = self._hidden(name) if isinstance(name, str) and name else model
        cut = choice.get("finish_reason") == "length"
        return Said(self._hidden(content or ""), name, cut)

    def _refusal(self, error: HTTPError, model: str) -> CalpruneError | _Again:
        """What a status other than 200 means."""
        with error:
            try:
                raw = error.read(_MOST_BYTES)
            except (OSError, http.client.HTTPException):
                raw = b""
        said, code = _message(raw)
        said = self._quoted(said)
        text = f"HTTP {error.code}{f' ({said})' if said else ''}"
        if code == "insufficient_quota":
            return IncompleteError(f"{self.url}: {text}: the account has no credit left")
        if error.code in _PASSING or error.code >= 500:
            return _Again(text, _retry_after(error.headers.get("Retry-After")))
        if error.code in (401, 403):
            which = f"refuses the key in ${self.key_env}" if self.key else "wants a key"
            return PlanError(
                f"{self.url} {which}: {text}; put a valid one into ${self.key_env}, or name "
                "another variable with --key-env"
            )
        if error.code == 404:
            return PlanError(
                f"{self.url}: {text}: it knows no model {model!r}, or its address is another; see "
                "--judge and --endpoint (usually ending in /v1)"
            )
        if 300 <= error.code < 400:
            target = self._quoted(error.headers.get("Location") or "another address")
            return PlanError(f"{self.url}: {text}, moved to {target}: name that with --endpoint")
        return PlanError(f"{self.url}: {text}: the server does not take this request for {model!r}")

    def _unreached(self, error: Exception) -> CalpruneError | _Again:
        """What a connection that came to nothing means."""
        cause = error.reason if isinstance(error, URLError) else error
        text = self._quoted(str(cause)) or type(cause).__name__  # it may hold what a server said
        if isinstance(cause, ConnectionRefusedError):
            return IncompleteError(
                f"{self.url}: connection refused: no server listens there; start it, or name "
                "another with --endpoint"
            )
        if isinstance(cause, socket.gaierror):
            return IncompleteError(f"{self.url}: no such host ({text}); see --endpoint")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return IncompleteError(f"{self.url}: its certificate is not trusted ({text})")
        return _Again(f"no answer ({text})")

    def _quoted(self, said: bytes | str) -> str:
        """The beginning of what a server said, without the key and fit for a terminal."""
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        return _short(self._hidden(text))

    def _hidden(self, text: str) -> str:
        """The same with *** for the key, which a server may echo, also in an escaped form."""
        if len(self.key) < _LEAST_KEY:
            return text
        return re.sub("".join(map(_any_form, self.key)), "***", text, flags=re.IGNORECASE)


def _any_form(character: str) -> str:
    """A pattern for one character: as it is, or escaped as in URLs, JSON or HTML, once or more.

    Which characters are escaped differs from server to server, so each may be or not be.
    """
    code = ord(character)
    forms = [rf"%(?:25)*{code:02x}", rf"\\+u00{code:02x}", rf"&#0*{code};", rf"&#x0*{code:x};"]
    plain = rf"\\*{re.escape(character)}"
    return f"(?:{'|'.join([*forms, re.escape(html.escape(character)), plain])})"


def _without_secrets(url: str) -> str:
    """An address less what may be a password in it: what stands before ``@`` and after ``?``."""
    return re.sub(
        r"[?#].*", "?***", re.sub(r"//.*@", "//***@", url, flags=re.DOTALL), flags=re.DOTALL
    )


def _cut_short(raw: bytes, error: Exception) -> bool:
    """Whether what is no JSON is the beginning of some, or nothing at all."""
    plain = raw.strip()
    if not plain.startswith(b"{") or not isinstance(error, ValueError):
        return not plain
    at_its_end = isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip())
    return at_its_end or not plain.endswith(b"}")


def _message(raw: bytes) -> tuple[str, str]:
    """A server's own words on what is wrong, and its code for it."""
    code: object = ""
    try:
        said = json.loads(raw)["error"]
        if isinstance(said, dict):
            said, code = said["message"], said.get("code")
    except (ValueError, RecursionError, LookupError, TypeError):
        said = raw.decode("utf-8", "replace")
    return str(said), str(code)


def _short(text: str) -> str:
    """The beginning of what somebody else wrote, fit for a terminal."""
    text = printable(" ".join(text[:2000].split()))
    return text if len(text) <= 200 else f"{text[:200]}…"


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait as a server says, by number or by date; None if it does not."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (when - datetime.now(UTC if when.tzinfo else None)).total_seconds()
    return max(seconds, 0.0) if seconds == seconds else None  # NaN is no time
