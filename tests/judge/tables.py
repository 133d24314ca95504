"""Replies that wait for a judge, as tables of a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calprune.data.condition import canonical_json
from calprune.data.storage.container import Sealed, as_text
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.ragged_text import pack_texts
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from tests.analyze.test_text_scorers import condition, open_table

ROWS = [("x = 3", ["-1<AND>-5"]), ("a cat", ["cat<OR>dog"]), ("a cat", ["bird"])]


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


def replace_rows(table: LogitTable, n: int) -> LogitTable:
    return stored(table.path.parents[3], None, ROWS[:n])


def official(n: int = 3) -> str:
    grade = {"model": ["gpt-4-0613"] * 2, "content": ["0.0", "1.0"], "score": [0.0, 1.0]}
    return json.dumps({f"v1_{i}": grade for i in range(n)})
