"""``lmms-eval``: ``<time>_samples_<task>.jsonl`` of lmms-eval, as of 0.7.3.

Replies and verdicts: documents and arguments are not logged, log-likelihoods lose the options they
are of, and some models log a mean loss in their place. The file of results of the same time tells
model, version and what was printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from calprune.data.log import Head, Log, LogRow
from calprune.data.logs._records import in_unit, unique
from calprune.data.logs._results import mapping, printed_of, results_of
from calprune.data.sources.records import Record, json_lines

__all__ = ["LmmsEval"]

HARNESS = "lmms-eval"
_NAME = re.compile(r"(?P<time>\d{8}_\d{6})_samples_(?P<task>.+)\.jsonl")
_KEYS = {"doc_id", "target", "filtered_resps", "doc_hash", "input"}
_OTHERS = {"resps", "token_counts", "input_media", "doc", "arguments", "filter", "metrics"}
_HASHES = {"prompt_hash", "target_hash"}
_KEPT = ("model", "model_args", "batch_size", "device", "limit", "gen_kwargs")
NO_JUDGE = "its judge failed"


class LmmsEval:
    """Replies with verdicts."""

    title: ClassVar[str] = "*_samples_*.jsonl of lmms-eval 0.7"

    def claims(self, head: Head) -> bool:
        """See ``LogReader``."""
        first = head.first.keys()
        return head.path.suffix == ".jsonl" and first >= _KEYS and "arguments" not in first

    def read(self, path: Path) -> Log:
        """See ``LogReader``."""
        found = list(json_lines(path))
        named = _NAME.fullmatch(path.name)
        task = named["task"] if named else ""
        results = results_of(path.with_name(f"{named['time']}_results.json")) if named else {}
        metric = _metric(found)
        seen: dict[str, str] = {}
        rows = []
        for record in found:
            row = _row(record, metric)
            seen[unique(seen, record, row.id)] = row.where
            rows.append(row)
        config = mapping(results, "config")
        return Log(
            path,
            HARNESS,
            tuple(rows),
            version=str(results.get("lmms_eval_version", "")),
            benchmark=task,
            model=str(results.get("model_name") or config.get("model") or ""),
            metric=metric,
            printed=printed_of(results, task, metric, "none"),
            settings={name: config.get(name) for name in _KEPT},
        )


def _metric(rows: list[Record]) -> str:
    """The first metric whose score is between 0 and 1 in every row that was judged."""
    known = _KEYS | _OTHERS | _HASHES
    for name in [x for x in (rows[0].values if rows else ()) if x not in known]:
        if all(_failed(row.values.get(name)) or in_unit(_score(row, name)) for row in rows):
            return str(name)
    return ""


def _score(row: Record, metric: str) -> Any:
    """A number, also where it stands in an object beside what it is of."""
    value = row.values.get(metric)
    return value.get("score") if isinstance(value, Mapping) else value


def _failed(value: Any) -> bool:
    """Whether a judge gave nothing: logged as 0.0 by no model."""
    named = isinstance(value, Mapping) and "eval_model" in value
    return named and not str(value["eval_model"] or "").strip() and value.get("score") == 0


def _row(row: Record, metric: str) -> LogRow:
    replies = row.get("filtered_resps")
    reply = replies[0] if isinstance(replies, list) and replies else replies
    media = row.values.get("input_media")
    named = isinstance(media, list) and len(media) == 1 and isinstance(media[0], str)
    score = _score(row, metric) if metric else None
    return LogRow(
        row.where,
        str(row.integer("doc_id")),
        reply=reply if isinstance(reply, str) else "",
        references=(str(row.get("target")),),
        score=float(score or 0) if in_unit(score) else None,
        question=str(row.values.get("input") or ""),
        image=media[0] if named and media else "",
        lost=NO_JUDGE if metric and _failed(row.values.get(metric)) else "",
    )
