"""The laws of sealed files: columns as their format says, and values that make sense together."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calprune.data.storage.finite import all_finite
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.schema import VERSION, Format
from calprune.errors import Mismatch, StoreError

_MOST_ANSWERS = 2**15 - 1  # labels are read as int16
_LARGEST = np.finfo(np.float32).max
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,63}")  # of a group or dataset
MOST_MEMBERS = 64  # of a group


def check_members(paths: Collection[str]) -> None:
    """Names and numbers that a reader accepts; StoreError before anything is written."""
    groups: dict[str, int] = {}
    for path in paths:
        group, _, name = path.partition("/")
        groups[group] = groups.get(group, 0) + 1
        if not (NAME.fullmatch(group) and NAME.fullmatch(name)):
            raise StoreError(f"{path!a} cannot be the name of a dataset")
    if any(n > MOST_MEMBERS for n in (len(groups), *groups.values())):
        raise StoreError(f"more than {MOST_MEMBERS} datasets in one group")


def check_columns(form: Format, arrays: dict[str, NDArray[Any]]) -> None:
    """Every MUST column there, nothing unknown, kinds and axes consistent; else Mismatch."""
    sizes: dict[str, int] = {"one": 1, "three": 3, "hw": 2, "ltrb": 4}
    for path, array in sorted(arrays.items()):
        column = form.column(path)
        if column is None:
            raise Mismatch(f"{path}: not part of {form.kind} {VERSION[0]}.{VERSION[1]}")
        if array.dtype.kind != column.kind:
            raise Mismatch(f"{path}: type {array.dtype}, expected kind {column.kind!r}")
        if array.ndim != len(column.dims):
            raise Mismatch(f"{path}: {array.ndim} axes, expected {column.dims}")
        for dim, size in zip(column.dims, array.shape, strict=True):
            name, base = (dim[:-2], size - 1) if dim.endswith("+1") else (dim, size)
            if name != "*" and sizes.setdefault(name, base) != base:
                raise Mismatch(
                    f"{path}: axis {dim} is {size} long, other datasets say {sizes[name]}"
                )
    for column in form.columns:
        if column.must and not any(form.column(path) is column for path in arrays):
            raise Mismatch(f"{column.path}: missing")


class _Texts(NamedTuple):
    """What is asked of a column of text."""

    not_utf8: str
    unique: bool
    empty: NDArray[np.bool_]


def _texts(array: NDArray[Any]) -> _Texts:
    return _looked_at(array.tobytes(), array.dtype.str)


@lru_cache(maxsize=32)
def _looked_at(content: bytes, dtype: str) -> _Texts:
    """Files of a benchmark share their ids, splits and images: looked at once."""
    array, why = np.frombuffer(content, dtype), ""
    try:
        b"\0".join(array.tolist()).decode("utf-8")
    except UnicodeDecodeError as error:
        why = error.reason
    return _Texts(why, len(np.unique(array)) == len(array), array == b"")


def check_ranges(arrays: dict[str, NDArray[Any]]) -> None:
    """What a reader casts to int32, float32 or text is such; Mismatch names the column.

    Offsets are read as int64, and long texts are cut by them before they are decoded.
    """
    for path, array in sorted(arrays.items()):
        kind, wide = array.dtype.kind, array.dtype.itemsize > 4
        if kind == "S" and not path.endswith("/text"):
            if why := _texts(array).not_utf8:
                raise Mismatch(f"{path}: text that is not UTF-8 ({why})")
        elif kind == "i" and wide and not path.endswith("/offset"):
            if (array != array.astype(np.int32)).any():
                raise Mismatch(f"{path}: a number that 32 bits do not hold")
        elif kind == "f" and wide and (np.abs(array[np.isfinite(array)]) > _LARGEST).any():
            raise Mismatch(f"{path}: a number that float32 does not hold")


def check_logits(arrays: dict[str, NDArray[Any]]) -> None:
    """Laws of a logit file that types cannot state; Mismatch names the first bad row."""
    ids, label, offered = (arrays[f"example/{x}"] for x in ("id", "label", "offered"))
    names, logit, token = arrays["answer/name"], arrays["logit/answer"], arrays["answer/token"]
    n, rows = len(ids), np.arange(len(ids))
    if n == 0:
        raise Mismatch("no questions in it")

    def every(good: Any, law: str) -> None:
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise Mismatch(f"row {row} ({_plain(ids[row])}): {law}")

    for what, column in (("question ids", ids), ("answer names", names)):
        if not _texts(column).unique or _texts(column).empty.any():
            raise Mismatch(f"{what} are empty or not unique")
    if len(names) > _MOST_ANSWERS:
        raise Mismatch(f"{len(names)} answers, at most {_MOST_ANSWERS} are read")
    every(~_texts(arrays["example/cluster"]).empty, "its image has no name")
    spelled = np.broadcast_to(token >= 0, logit.shape)
    used = token[token >= 0]
    if len(np.unique(used)) != len(used) or not (token >= 0).any(axis=1).all():
        raise Mismatch("answer tokens overlap or are missing")
    if (token < -1).any():
        raise Mismatch("answer tokens that are no vocabulary ids")
    closed = offered.any(axis=1)
    every((label >= -1) & (label < len(names)), f"label outside -1..{len(names) - 1}")
    every((label >= 0) | ~closed, "options, but no right answer")
    if len(names):
        every((label < 0) | offered[rows, label], "the right answer is not offered")
    every(np.isfinite(np.where(spelled, logit, 0)).all(axis=(1, 2)), "a logit is not finite")
    for name in ("log_z", "entropy", "mean"):
        every(np.isfinite(arrays[f"logit/{name}"]), f"{name} is not finite")
    every(np.isfinite(arrays["logit/top"]).all(axis=1), "a top logit is not finite")
    largest = np.where(spelled, logit, -np.inf).max(axis=(1, 2), initial=-np.inf)
    every(arrays["logit/log_z"] >= largest - 1e-3, "log-sum-exp below an answer's logit")
    every(arrays["logit/entropy"] >= 0, "negative entropy")
    every(np.where(spelled, True, logit == -np.inf).all(axis=(1, 2)), "a logit without spelling")
    top = arrays["logit/top"]
    every((np.diff(top, axis=1) <= 0).all(axis=1), "top logits do not fall")
    every(
        arrays["logit/log_z"] >= top.max(axis=1, initial=-np.inf) - 1e-3,
        "log-sum-exp below a top logit",
    )
    every((arrays["run/tokens"] > 0).all(axis=1), "a layer saw no token")
    visual = arrays["run/visual"]
    every(
        ((visual >= 0) & (visual <= arrays["run/tokens"])).all(axis=1),
        "visual tokens that are none",
    )
    merged = arrays.get("run/merged", np.zeros_like(visual))
    every(((merged >= 0) & (merged <= visual)).all(axis=1), "merged tokens that are none")
    ids_seen = arrays["logit/top_token"]
    every((ids_seen >= 0).all(axis=1), "a top token that is no vocabulary id")
    every((np.diff(np.sort(ids_seen, axis=1), axis=1) > 0).all(axis=1), "a top token named twice")
    first = arrays["example/duplicate_of"]
    every((first >= 0) & (first <= rows), "duplicate_of points outside the file")
    every(first[first] == first, "duplicate_of points at a duplicate")
    _check_prompt(arrays)
    _check_images(arrays)
    _check_replies(arrays, np.asarray(~closed))
    _check_cuts(arrays)
    if "image/until" in arrays:
        row = _unlike_until(arrays)
        if row is not None:
            raise Mismatch(
                f"row {row} ({_plain(ids[row])}): run/visual is not what image/until leaves of "
                "its image's visual tokens, with those of run/merged"
            )


def _check_prompt(arrays: dict[str, NDArray[Any]]) -> None:
    """Ids of the vocabulary, and their padding last."""
    head, tail = arrays.get("prompt/head"), arrays.get("prompt/tail")
    if head is not None and (head < 0).any():
        raise Mismatch("prompt/head: a token that is no vocabulary id")
    if tail is not None and not _padded_last(tail):
        raise Mismatch("prompt/tail: a token that is no vocabulary id, or padding before one")


def _check_images(arrays: dict[str, NDArray[Any]]) -> None:
    """What is said of images is of tokens and questions, or padding.

    New tokens that are mostly the tower's CLS token stand among the kept ones as −1.
    """
    if _texts(arrays["image/id"]).empty.any():
        raise Mismatch("image/id: an image without a name")
    for name, least in (("kept", -1), ("position", -1), ("question", -1), ("tied", 0)):
        if (arrays.get(f"image/{name}", np.zeros(0)) < least).any():
            raise Mismatch(f"image/{name}: a number below {least}")


_REPLIES = ("gen/id", "gen/logprob", "gen/entropy", "gen/top2_gap", "gen/offset", "gen/stop")


def _check_replies(arrays: dict[str, NDArray[Any]], open_: NDArray[np.bool_]) -> None:
    """Open questions have references and replies, all of one file or none; offsets cut in order."""
    texts = [f"{x}/{y}" for x in ("reply", "question", "reference") for y in ("text", "offset")]
    there = [x in arrays for x in (*_REPLIES, *texts)]
    if not any(there):
        if open_.any():
            raise Mismatch("questions with neither options nor a reply")
        return
    if not all(there):
        raise Mismatch(f"replies need all of {', '.join((*_REPLIES, *texts))}")
    for kind, values in (
        ("gen", "id"),
        ("reply", "text"),
        ("question", "text"),
        ("reference", "text"),
    ):
        offset = arrays[f"{kind}/offset"]
        if not _cuts(offset, len(arrays[f"{kind}/{values}"])):
            raise Mismatch(f"{kind}/offset does not cut {kind}/{values} in order")
    for row in np.flatnonzero(open_ & (np.diff(arrays["gen/offset"]) == 0))[:1]:
        raise Mismatch(f"row {row} ({_plain(arrays['example/id'][row])}): open, but has no reply")
    ids, logprob = arrays["gen/id"], arrays["gen/logprob"]
    if (ids < 0).any():
        raise Mismatch("gen/id: a token that is no vocabulary id")
    if not (np.isfinite(logprob) & (logprob <= 0)).all():
        raise Mismatch("gen/logprob: a log-probability that is none")
    for name in ("entropy", "top2_gap"):
        if not (arrays[f"gen/{name}"] >= 0).all() or not np.isfinite(arrays[f"gen/{name}"]).all():
            raise Mismatch(f"gen/{name}: negative or not finite")


def check_closed_replies(table: LogitTable) -> None:
    """Closed questions have replies, and a rule to read them, where the condition says so.

    Those with references are replied to in any case.
    """
    asked = table.condition.closed_reply is not None
    if asked != bool(table.parser):
        raise Mismatch(
            f"{table.path}: replies to closed questions were{' ' if asked else ' not '}asked for, "
            f"and benchmark/parser is {'missing' if asked else 'there'}"
        )
    given = open_ = np.zeros(len(table), dtype=np.bool_)
    if table.replies is not None:
        given, open_ = table.replies.given, table.replies.open
    for row in np.flatnonzero(table.offered.any(axis=1) & ~open_ & (given != asked))[:1]:
        raise Mismatch(
            f"{table.path}: row {row} ({ascii(str(table.id[row]))[1:-1]}): closed, and has "
            f"{'no' if asked else 'a'} reply, which its condition does not say"
        )


def _check_cuts(arrays: dict[str, NDArray[Any]]) -> None:
    """Margins are leads; ``until`` has a row for each choice and agrees with what is kept."""
    margin, until = arrays.get("image/margin"), arrays.get("image/until")
    if margin is not None and not (np.isfinite(margin) & (margin >= 0)).all():
        raise Mismatch("image/margin: a lead that is none")
    if until is None:
        return
    layers = arrays["run/visual"].shape[1]
    if (until > layers).any() or not _padded_last(until):
        raise Mismatch(f"image/until: a layer outside 0..{layers}, or padding between tokens")
    if len(until) != len(np.unique(arrays["example/duplicate_of"])):
        raise Mismatch("image/until: not one row for each distinct question")
    v, kept = until.shape[1], arrays.get("image/kept", np.zeros((0, 0), np.int32))
    if (kept >= v).any():
        raise Mismatch(f"image/kept: a token beyond the {v} of image/until")
    named = np.zeros((len(kept), v + 1), np.bool_)
    np.put_along_axis(named, np.where(kept >= 0, kept, v).astype(np.int64), True, axis=1)
    for row in np.flatnonzero((named[:, :v] != (until == layers)[: len(kept)]).any(axis=1))[:1]:
        raise Mismatch(f"image/kept: row {row} is not what image/until leaves to the last layer")


def _unlike_until(arrays: dict[str, NDArray[Any]]) -> int | None:
    """The first row one of whose layers saw all its text, but not the visual tokens left to it.

    Where a window hides text, it has hidden visual tokens too, or may have.
    """
    if "prompt/head" not in arrays or "prompt/tail" not in arrays:
        return None
    until, visual = arrays["image/until"], arrays["run/visual"]
    left = np.stack([(until > x).sum(axis=1) for x in range(visual.shape[1])], axis=1)
    _, unit = np.unique(arrays["example/duplicate_of"], return_inverse=True)
    text = len(arrays["prompt/head"]) + (arrays["prompt/tail"] >= 0).sum(axis=1)
    whole = arrays["run/tokens"] - visual == text[:, None]
    wrong = whole & (left[unit] + arrays.get("run/merged", 0) != visual)
    found = np.flatnonzero(wrong.any(axis=1))
    return int(found[0]) if len(found) else None


def _cuts(offset: NDArray[Any], n: int) -> bool:
    """Whether offsets cut n things in order; differences of far-off numbers would overflow."""
    rising = bool((offset[1:] >= offset[:-1]).all())
    return rising and offset[0] == 0 and offset[-1] == n


def _padded_last(values: NDArray[Any]) -> bool:
    """Rows of what is not negative, then of −1."""
    padded = values < 0
    return not ((values < -1).any() or (padded[:, :-1] & ~padded[:, 1:]).any())


def _plain(text: bytes) -> str:
    return ascii(text.decode("utf-8", "replace"))[1:-1]


def _check_questions(arrays: dict[str, NDArray[Any]]) -> None:
    if (arrays.get("image/question", np.zeros(0)) < -1).any():
        raise Mismatch("image/question: a question that is none")


def check_features(arrays: dict[str, NDArray[Any]]) -> None:
    """Offsets cover all rows in order; views are finite, and saliency off glue is too."""
    offset, glue = arrays["image/offset"], arrays["token/glue"]
    if not _cuts(offset, len(glue)):
        raise Mismatch("image/offset does not cut the rows in order")
    for name, array in arrays.items():
        values = array[~glue] if name.startswith("saliency/") else array
        if name.startswith(("view/", "saliency/")) and not all_finite(values):
            raise Mismatch(f"{name}: a value is not finite")
    if (arrays["image/size"] <= 0).any():
        raise Mismatch("image/size: an image without extent")
    if (arrays["token/cell"] < -1).any():
        raise Mismatch("token/cell: a place that is none")
    if np.isinf(arrays["token/box"]).any():
        raise Mismatch("token/box: an edge that is infinitely far")


def check_rankings(arrays: dict[str, NDArray[Any]]) -> None:
    """Every order takes each token at most once, and its padding comes last."""
    order = arrays["rank/order"].astype(np.int64)
    v = order.shape[1]
    taken = np.where(order >= 0, order, v + np.arange(v))
    if (order >= v).any() or not _padded_last(order):
        raise Mismatch("rank/order: indices out of range, or padding between them")
    if (np.diff(np.sort(taken, axis=1), axis=1) == 0).any():
        raise Mismatch("rank/order: a token is taken twice")
    for name in ("rank/gain", "rank/margin"):
        if np.isnan(arrays.get(name, np.zeros(0))).any():
            raise Mismatch(f"{name}: a score that is none")
    _check_questions(arrays)


def check_signals(arrays: dict[str, NDArray[Any]]) -> None:
    """Offsets cover all rows in order, and every value is finite."""
    if not _cuts(arrays["image/offset"], len(arrays["signal/value"])):
        raise Mismatch("image/offset does not cut signal/value in order")
    if not all_finite(arrays["signal/value"]):
        raise Mismatch("signal/value: a value is not finite")
    _check_questions(arrays)


def check_merges(arrays: dict[str, NDArray[Any]]) -> None:
    """Every new token is made of some old ones, with finite weights."""
    ends = arrays["token/offset"]
    if not _cuts(ends, len(arrays["entry/token"])) or (ends[1:] == ends[:-1]).any():
        raise Mismatch("token/offset: a new token of nothing, or entries of no token")
    if not _cuts(arrays["image/offset"], len(ends) - 1):
        raise Mismatch("image/offset does not cut the new tokens in order")
    if not np.isfinite(arrays["entry/weight"]).all():
        raise Mismatch("entry/weight: a weight is not finite")
    _check_questions(arrays)


def check_audits(arrays: dict[str, NDArray[Any]]) -> None:
    """Questions are named once; what generate said, and how far off the cache is, are numbers."""
    ids, logit = arrays["example/id"], arrays["logit/answer"]
    if not _texts(ids).unique or _texts(ids).empty.any():
        raise Mismatch("question ids are empty or not unique")
    if not (np.isfinite(logit) | (logit == -np.inf)).all():
        raise Mismatch("logit/answer: a logit that is none")
    if not np.isfinite(arrays["logit/log_z"]).all():
        raise Mismatch("logit/log_z: not finite")
    for name in ("delta/answer", "delta/log_z"):
        if not (np.isfinite(arrays[name]) & (arrays[name] >= 0)).all():
            raise Mismatch(f"{name}: a distance that is none")


CHECKS = {
    "calprune.audits": check_audits,
    "calprune.features": check_features,
    "calprune.merges": check_merges,
    "calprune.signals": check_signals,
    "calprune.rankings": check_rankings,
    "calprune.logits": check_logits,
}


def check_values(kind: str, arrays: dict[str, NDArray[Any]]) -> None:
    """The laws of a kind that types cannot state; Mismatch if one is broken."""
    check_ranges(arrays)  # first, as all that follows may cast
    CHECKS[kind](arrays)
