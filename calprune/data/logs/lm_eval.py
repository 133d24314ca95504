"""``lm-eval``: ``samples_<task>_<time>.jsonl`` of lm-evaluation-harness, as of 0.4.13.

Numbers stand in it as text. The file of results beside it, of the same time, tells model, version
and what was printed. A task with several filters logs every question once for each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from calprune.data.log import Head, Log, LogRow
from calprune.data.logs._records import as_number, in_unit, unique
from calprune.data.logs._results import mapping, printed_of, results_of
from calprune.data.sources.records import Record, json_lines

__all__ = ["LmEval"]

HARNESS = "lm-evaluation-harness"
_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
_KEYS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps"}
_IMAGES = ("image", "image_id", "image_path")
_KEPT = ("model", "model_args", "model_dtype", "device", "batch_size", "limit", "gen_kwargs")


class LmEval:
    """Choices by the log-likelihood of whole options, or replies with a verdict."""

    title: ClassVar[str] = "samples_*.jsonl of lm-evaluation-harness 0.4"

    def claims(self, head: Head) -> bool:
        """See ``LogReader``."""
        return head.path.suffix == ".jsonl" and head.first.keys() >= _KEYS

    def read(self, path: Path) -> Log:
        """See ``LogReader``."""
        found = list(json_lines(path))
        named = _NAME.fullmatch(path.name)
        task = named["task"] if named else ""
        results = results_of(path.with_name(f"results_{named['time']}.json")) if named else {}
        config = mapping(results, "config")
        args = mapping(config, "model_args")
        filters = list(dict.fromkeys(str(row.get("filter")) for row in found))
        rows = [row for row in found if str(row.get("filter")) == filters[0]]
        metric = _metric(rows)
        notes = []
        if len(filters) > 1:
            others = ", ".join(filters[1:])
            notes.append(f"filtered by {filters[0]!a}; other filters are not read: {others}")
        seen: dict[str, str] = {}
        made = []
        for row in rows:
            one = _row(row, metric)
            seen[unique(seen, row, one.id)] = row.where
            made.append(one)
        return Log(
            path,
            HARNESS,
            tuple(made),
            version=str(results.get("lm_eval_version", "")),
            benchmark=task,
            model=str(args.get("pretrained") or results.get("model_name") or ""),
            metric=metric,
            printed=printed_of(results, task, metric, filters[0] if filters else ""),
            settings={name: config.get(name) for name in _KEPT}
            | {"task_version": mapping(results, "versions").get(task)},
            notes=tuple(notes),
        )


def _metric(rows: list[Record]) -> str:
    """The first metric of the log that is a number between 0 and 1 in every row."""
    named = rows[0].get("metrics") if rows else []
    for name in named if isinstance(named, list) else []:
        if all(in_unit(row.values.get(name)) for row in rows):
            return str(name)
    return ""


def _row(row: Record, metric: str) -> LogRow:
    doc = mapping(row.values, "doc")
    calls = list(mapping(row.values, "arguments").values())
    if not calls or not all(isinstance(call, Mapping) for call in calls):
        raise row.wrong("arguments", "no requests, as lm-eval 0.4 logs them")
    image = next((doc[name] for name in _IMAGES if isinstance(doc.get(name), str)), "")
    about = LogRow(
        row.where,
        str(row.integer("doc_id")),
        question=str(calls[0].get("arg_0", "")),
        image=image,
        score=as_number(row, metric, row.values.get(metric)) if metric else None,
    )
    replies = row.get("filtered_resps")
    if not isinstance(replies, list) or not replies:
        raise row.wrong("filtered_resps", "a list expected, with something in it")
    if isinstance(calls[0].get("arg_1"), Mapping):
        target = row.get("target")
        right = target if isinstance(target, list) else [target]
        return replace(about, reply=str(replies[0]), references=tuple(map(str, right)))
    return _choice(row, about, calls, replies)


def _choice(
    row: Record, about: LogRow, calls: list[Mapping[str, Any]], replies: list[Any]
) -> LogRow:
    """Options with their log-likelihoods; those without the question, for a metric, are no more."""
    ends = [str(call.get("arg_1", "")) for call in calls]
    if len(ends) > 2 and len(ends) % 2 == 0 and ends[: len(ends) // 2] == ends[len(ends) // 2 :]:
        ends = ends[: len(ends) // 2]
    if len(replies) < len(ends):
        raise row.wrong("filtered_resps", f"{len(replies)} of them for {len(ends)} options")
    if len(ends) < 2:
        return replace(about, lost="a likelihood of one text only, which is no choice")
    if len(set(ends)) < len(ends):  # options fill a gap, and what follows is the same
        ends = [str(call.get("arg_0", "")) for call in calls]
    stated = []
    for i, reply in enumerate(replies[: len(ends)]):
        if not isinstance(reply, list) or len(reply) != 2:
            why = f"log-likelihood and greediness expected, found {reply!r:.60}"
            raise row.wrong("filtered_resps", why)
        stated.append(as_number(row, f"filtered_resps, {i}", reply[0]))
    options = tuple(end.strip() for end in ends)
    label = _label(row, options)
    lost = "" if label >= 0 else "its right answer is not one of the options"
    return replace(about, options=options, log_p=tuple(stated), label=label, lost=lost)


def _label(row: Record, options: tuple[str, ...]) -> int:
    """The target, an index as text or an option's words; −1 if it is neither."""
    target = str(row.get("target")).strip()
    if target.isascii() and target.isdigit() and len(target) < 6 and int(target) < len(options):
        return int(target)
    return options.index(target) if target in options else -1
