"""``inspect``: logs of inspect_ai, as of 0.3.285: ``.eval``, a zip of JSON, or the same as JSON.

The verdict is the first scorer's. Log-probabilities of its local models go on behind the end of a
reply, with tokens that were never said: those count that spell the reply, and where none do, its
confidence is not known.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from calprune.data.log import Head, Log, LogRow
from calprune.data.logs._archive import unpacked
from calprune.data.logs._records import as_number, unique
from calprune.data.logs._results import mapping
from calprune.data.sources.records import Record
from calprune.errors import DamagedFile

__all__ = ["Inspect"]

HARNESS = "inspect_ai"
VERDICTS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_IMAGES = ("image", "image_id", "image_path")
_KEPT = ("task_args", "model_args", "model_generate_config", "task_version", "config", "created")
_MOST_JSON = 1 << 28


class Inspect:
    """Replies with verdicts, and log-probabilities where the model was asked for them."""

    title: ClassVar[str] = ".eval and .json logs of inspect_ai 0.3"

    def claims(self, head: Head) -> bool:
        """See ``LogReader``."""
        return head.path.suffix == ".eval" and zipfile.is_zipfile(head.path)

    def read(self, path: Path) -> Log:
        """See ``LogReader``."""
        if path.suffix == ".json":
            header = _whole(path)
            samples = enumerate(header.get("samples") or [], 1)
            found = [Record(f"{path}, sample {i}", _fields(path, one)) for i, one in samples]
        else:
            header, found = _archived(path)
        if header.get("status") != "success":
            raise DamagedFile(
                f"{path}: its run did not succeed (status {header.get('status')!r}); run it again"
            )
        about = mapping(header, "eval")
        scores = mapping(header, "results").get("scores") or [{}]
        name, metric, printed = _score(scores[0] if isinstance(scores, list) else {})
        seen: dict[str, str] = {}
        rows = []
        again = any(record.integer("epoch") > 1 for record in found)
        for record in found:
            row = _row(record, name, again)
            seen[unique(seen, record, row.id)] = row.where
            rows.append(row)
        packages = mapping(about, "packages")
        return Log(
            path,
            HARNESS,
            tuple(rows),
            version=str(packages.get("inspect_ai", "")),
            benchmark=str(about.get("task") or ""),
            model=str(about.get("model") or ""),
            metric=metric,
            printed=printed,
            settings={key: about.get(key) for key in _KEPT} | {"scorer": name},
        )


def _archived(path: Path) -> tuple[Mapping[str, Any], list[Record]]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DamagedFile(f"{path}: not a whole .eval log ({error})") from error
    with archive:
        header = _json(path, "header.json", unpacked(path, archive, "header.json"))
        names = [n for n in archive.namelist() if n.startswith("samples/") and n.endswith(".json")]
        return header, list(_samples(path, archive, names))


def _samples(path: Path, archive: zipfile.ZipFile, names: list[str]) -> Iterator[Record]:
    for name in names:
        yield Record(f"{path}, {name}", _json(path, name, unpacked(path, archive, name)))


def _json(path: Path, name: str, raw: bytes) -> Mapping[str, Any]:
    try:
        return _fields(path, json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path}: {name}: not JSON ({error})") from error


def _whole(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise DamagedFile(f"{path}: over {_MOST_JSON >> 20} MiB; write .eval logs")
        return _json(path, "log", path.read_bytes())
    except OSError as error:
        raise DamagedFile(f"cannot read {path}: {error.strerror or error}") from error


def _fields(path: Path, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DamagedFile(f"{path}: an object expected, found {value!r:.60}")
    return value


def _score(score: Any) -> tuple[str, str, float | None]:
    """Name of a scorer, its first metric, and the value that was printed."""
    metrics = mapping(score, "metrics")
    name = "accuracy" if "accuracy" in metrics else next(iter(metrics), "")
    value = mapping(metrics, name).get("value")
    printed = value if isinstance(value, float | int) and name in ("accuracy", "mean") else None
    return str(mapping({"": score}, "").get("name", "")), str(name), printed


def _row(record: Record, scorer: str, again: bool) -> LogRow:
    """A sample; without images, those of several epochs of one are about the same."""
    name, epoch = record.text("id"), record.integer("epoch")
    output = mapping(record.values, "output")
    choices = output.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    reply = output.get("completion")
    target = record.values.get("target")
    metadata = mapping(record.values, "metadata")
    image = next((metadata[x] for x in _IMAGES if isinstance(metadata.get(x), str)), "")
    return LogRow(
        record.where,
        name if epoch == 1 else f"{name}#{epoch}",
        reply=reply if isinstance(reply, str) else "",
        token_log_p=_tokens(record, choice, reply if isinstance(reply, str) else ""),
        references=tuple(map(str, target if isinstance(target, list) else [target])),
        score=_verdict(record, scorer),
        question=_question(record),
        image=image or name * again,
        lost="its sample ended in an error" if record.values.get("error") else "",
    )


def _verdict(record: Record, scorer: str) -> float | None:
    """What the scorer gave; None if it gave nothing, or nothing that is 0 to 1."""
    score = mapping(record.values, "scores").get(scorer)
    value = score.get("value") if isinstance(score, Mapping) else None
    if isinstance(value, str) and value in VERDICTS:
        return VERDICTS[value]
    if isinstance(value, bool):
        return float(value)
    found = as_number(record, "score", value) if isinstance(value, int | float) else None
    return found if found is not None and 0 <= found <= 1 else None


def _tokens(record: Record, choice: Any, reply: str) -> tuple[float | None, ...]:
    """Log-probabilities of the tokens that spell the reply; (None,) where none do."""
    content = mapping(choice, "logprobs").get("content")
    if not isinstance(content, list) or not content:
        return ()
    said, found = "", list[float | None]()
    for token in content:
        if not isinstance(token, Mapping):
            raise record.wrong("logprobs", f"a token expected, found {token!r:.60}")
        log = as_number(record, "logprob", token.get("logprob"))
        if log is not None and log > 1e-3:
            raise record.wrong("logprob", f"{log!r} is the logarithm of no probability")
        found.append(log)
        said += str(token.get("token", ""))
        if said.strip() == reply.strip() or not reply.strip():
            return tuple(found)
    return (None,)


def _question(record: Record) -> str:
    """What was asked, in words; pictures and long texts lie in the log's attachments."""
    asked = record.values.get("input")
    if isinstance(asked, str):
        return _attached(record, asked)
    parts = []
    for message in asked if isinstance(asked, list) else []:
        content = mapping({"": message}, "").get("content")
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                parts.append(_attached(record, text))
    return "\n".join(parts)


def _attached(record: Record, text: str) -> str:
    prefix = "attachment://"
    if not text.startswith(prefix):
        return text
    return str(mapping(record.values, "attachments").get(text[len(prefix) :], text))
