"""A judge on this machine that answers what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
