"""One sealed logit file in memory: the only thing that analysis ever reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calprune.data.condition import Condition
from calprune.data.storage.ragged_text import listed, unpack_texts
from calprune.data.storage.schema import LOGITS, Column
from calprune.errors import Mismatch

UNKNOWN = float(np.finfo(np.float32).max)
"""Stands where the format needs a number that an imported log does not have.

In ``entropy``, ``mean_logit`` and ``top2_gap`` as it is, in ``logprob`` with a minus before it.
"""


@dataclass(frozen=True)
class Replies:
    """What the model generated, greedily, in reply to some of ``n`` questions.

    Open questions, which have references, are always replied to; others where that was asked for.

    Attributes:
        id: int32 (m,), token ids of all replies one after another, end tokens included.
        logprob: float32 (m,), log-probability of each token, natural logarithm.
        entropy: float32 (m,), entropy in nats over the vocabulary at each token.
        top2_gap: float32 (m,), lead of the chosen logit over the next.
        offset: int64 (n + 1,), tokens of row i are ``offset[i]:offset[i + 1]``.
        stop: bool (n,), whether the reply ended by itself (its last token is an end token) and not
            by the limit.
        text: the replies in words, without special tokens; empty where there is none.
        question: what was asked.
        references: right answers in words; empty for closed questions.
    """

    id: NDArray[np.int32]
    logprob: NDArray[np.float32]
    entropy: NDArray[np.float32]
    top2_gap: NDArray[np.float32]
    offset: NDArray[np.int64]
    stop: NDArray[np.bool_]
    text: tuple[str, ...]
    question: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]

    @property
    def given(self) -> NDArray[np.bool_]:
        """Which rows have a reply, (n,)."""
        return np.diff(self.offset) > 0

    @property
    def likelihoods(self) -> bool:
        """Whether the log-probability of every token is known."""
        return not bool((self.logprob <= -UNKNOWN).any())

    @property
    def open(self) -> NDArray[np.bool_]:
        """Which of them have references that the reply is held to, (n,)."""
        return self.given & np.array([bool(x) for x in self.references], dtype=np.bool_)


class Later(NamedTuple):
    """Columns that are read when they are asked for, by the names of their fields."""

    names: frozenset[str]
    read: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class LogitTable:
    """Raw answers to ``n`` questions under one condition (``a`` answers, ``s`` spellings each).

    Attributes:
        path: where it was read from.
        condition: what was asked.
        provenance: versions, device, numerics; never part of the key.
        id, split, category, cluster: text (n,). ``cluster`` is the image, the unit of resampling;
            ``category`` is a subtask or subject, empty where a benchmark has none.
        duplicate_of: int32 (n,), first row with the same (image, prompt); own index if none.
        label: int16 (n,), index of the right answer; −1 for an open question.
        offered: bool (n, a), the answers that this question allows.
        answers: names of the answers, length a.
        answer_tokens: int32 (a, s), vocabulary ids, −1 where there is no such spelling.
        answer_logits: float32 (n, a, s), raw, at the first generated position; −inf if absent.
        log_z: float32 (n,), log-sum-exp over the whole vocabulary.
        entropy: float32 (n,), entropy in nats of the softmax over the whole vocabulary.
        mean_logit: float32 (n,), mean logit over the whole vocabulary.
        top_token, top_logit: int32, float32 (n, t), the t largest logits in falling order.
        tokens: int32 (n, layers), all tokens that each layer saw for this question.
        visual: int32 (n, layers), the visual ones among them.
        group: text (n,), rows that are scored together; None if there are none.
        tags: further groups for reports, text (n,) by name.
        scorer: name of the rule that gives the benchmark's own score; empty if not recorded.
        replies: generated answers; None if there are none.
        parser: name of the rule that reads replies to closed questions; empty if they have none.
    """

    path: Path
    condition: Condition
    provenance: dict[str, Any]
    id: NDArray[np.str_]
    split: NDArray[np.str_]
    category: NDArray[np.str_]
    cluster: NDArray[np.str_]
    duplicate_of: NDArray[np.int32]
    label: NDArray[np.int16]
    offered: NDArray[np.bool_]
    answers: tuple[str, ...]
    answer_tokens: NDArray[np.int32]
    answer_logits: NDArray[np.float32]
    log_z: NDArray[np.float32]
    entropy: NDArray[np.float32]
    mean_logit: NDArray[np.float32]
    top_token: NDArray[np.int32]
    top_logit: NDArray[np.float32]
    tokens: NDArray[np.int32]
    visual: NDArray[np.int32]
    group: NDArray[np.str_] | None = None
    tags: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    scorer: str = ""
    replies: Replies | None = None
    parser: str = ""

    def __getattr__(self, name: str) -> Any:
        """A column that was left in its file, see ``deferred``."""
        later: Later | None = self.__dict__.get("later")
        if later is None or name not in later.names:
            raise AttributeError(f"a table of logits has no {name!r}")
        return later.read()[name]

    @property
    def template(self) -> str:
        """Name of the prompt's template, or the beginning of its digest if it is not recorded."""
        named = str(self.provenance.get("template", "")).split(":")[0]
        return named or self.condition.template[:8]

    def held_to_references(self) -> NDArray[np.bool_]:
        """Rows that are held to references, (n,): those that have a reply and one to hold it to.

        Raises:
            Mismatch: a row that has neither that nor answers to choose from.
        """
        by_reply = np.zeros(len(self), dtype=np.bool_)
        if self.replies is not None:
            by_reply = self.replies.open
        lost = ~by_reply & ~self.offered.any(axis=1)
        if lost.any():
            row = int(np.flatnonzero(lost)[0])
            raise Mismatch(
                f"{self.path}: row {row} ({self.id[row]}) has neither answers to choose from nor a "
                "reply with a reference, so it cannot be scored; run collect again"
            )
        return by_reply

    def __len__(self) -> int:
        return len(self.id)


def table_of(
    path: Path,
    condition: Condition,
    provenance: dict[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> LogitTable:
    """What a sealed logit file holds as a table.

    Mismatch if texts are none.
    """
    return LogitTable(
        path=path, condition=condition, provenance=provenance, **columns_of(path, arrays)
    )


def columns_of(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Each column by the field that its format names, replies included; Mismatch as above."""
    found: dict[str, dict[str, Any]] = {"": {}, "replies": {}}
    try:
        for name, array in arrays.items():
            column = LOGITS.column(name)
            if column is None or not column.field:
                continue
            member, _, field = column.field.rpartition(".")
            if column.path.endswith("*"):
                tag = name.removeprefix(column.path[:-1])
                found[member].setdefault(field, {})[tag] = _read(column, array)
            elif name.endswith("/text"):
                texts = unpack_texts(array, arrays[name.replace("/text", "/offset")])
                read = tuple(map(listed, texts)) if field == "references" else texts
                found[member][field] = read
            else:
                found[member][field] = _read(column, array)
    except (Mismatch, UnicodeDecodeError) as error:
        told = error if isinstance(error, Mismatch) else f"text that is not UTF-8 ({error})"
        raise Mismatch(f"{path}: {told}") from error
    replies = Replies(**found["replies"]) if found["replies"] else None
    return {"replies": replies, **found[""]}


_AS = {"i": "int32", "f": "float32", "b": "bool"}


def _read(column: Column, array: NDArray[Any]) -> Any:
    """A column as readers have it; text of the whole file as one text, of answers as a tuple."""
    if column.kind != "S":
        return array.astype(column.dtype or _AS[column.kind], copy=False)
    text = _decoded(array.tobytes(), array.dtype.str, array.shape)
    if column.dims == ("one",):
        return str(text[0])
    return tuple(map(str, text)) if column.dims == ("a",) else text


@lru_cache(maxsize=32)
def _decoded(content: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Files of a benchmark share their ids, splits and images: decoded and held once, read-only."""
    found = np.char.decode(np.frombuffer(content, dtype).reshape(shape), "utf-8")
    found.flags.writeable = False
    return found
