"""The file formats as tables; ``docs/format.md`` is their prose. Nothing here touches a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.errors import Mismatch

VERSION = (1, 0)
LONGEST_TEXT = 512
MOST_BYTES = 8 << 30
_IDS = 2**31


@dataclass(frozen=True)
class Column:
    """One dataset. ``path`` may end in ``*``, which stands for any plain name.

    ``kind`` is numpy's: i, f, b or S. ``dims`` name the axes; equal names have equal lengths, and
    ``x+1`` is one longer than ``x``.
    """

    path: str
    kind: str
    dims: tuple[str, ...]
    meaning: str
    must: bool = True
    unit: str = ""


@dataclass(frozen=True)
class Format:
    """A kind of sealed file."""

    kind: str
    columns: tuple[Column, ...]

    def column(self, path: str) -> Column | None:
        """The column that describes ``path``, if the format knows it."""
        for column in self.columns:
            if column.path == path:
                return column
            if column.path.endswith("*"):
                stem = column.path[:-1]
                if path.startswith(stem) and "/" not in path[len(stem) :] and path != stem:
                    return column
        return None


_IMAGE = (
    Column("image/id", "S", ("images",), "name of the image within its benchmark"),
    Column("image/digest", "S", ("images",), "SHA-256 of the image's bytes or pixels"),
)

FEATURES = Format(
    "calprune.features",
    (
        *_IMAGE,
        Column("image/offset", "i", ("images+1",), "rows of image i are offset[i]:offset[i+1]"),
        Column("image/size", "i", ("images", "hw"), "height and width as processed", unit="pixel"),
        Column("token/cell", "i", ("rows", "three"), "crop, row and column of a visual token"),
        Column("token/glue", "b", ("rows",), "rows that are always kept, such as row ends"),
        Column("token/box", "f", ("rows", "ltrb"), "left, top, right, bottom", unit="pixel"),
        Column("view/*", "f", ("rows", "*"), "what selectors measure or the language model reads"),
        Column("saliency/*", "f", ("rows",), "saliency by name; NaN on glue", must=False),
    ),
)

RANKINGS = Format(
    "calprune.rankings",
    (
        *_IMAGE,
        Column("rank/order", "i", ("images", "v"), "tokens in the order taken, padded with -1"),
        Column("rank/gain", "f", ("images", "v"), "score at which each was taken", must=False),
        Column("rank/margin", "f", ("images", "v"), "relative lead over the next", must=False),
        Column("rank/tied", "b", ("images", "v"), "decided by index, not by score", must=False),
    ),
)

LOGITS = Format(
    "calprune.logits",
    (
        Column("example/id", "S", ("n",), "stable name of the question; unique"),
        Column("example/split", "S", ("n",), "split, empty if none"),
        Column("example/category", "S", ("n",), "subtask or subject, empty if none"),
        Column("example/cluster", "S", ("n",), "resampling unit: the image"),
        Column("example/duplicate_of", "i", ("n",), "first row with this image and prompt"),
        Column("example/label", "i", ("n",), "index of the right answer"),
        Column("example/offered", "b", ("n", "a"), "answers that this question allows"),
        Column("prompt/head", "i", ("h",), "token ids before the image", must=False),
        Column("prompt/tail", "i", ("n", "w"), "token ids after it, -1 padded", must=False),
        Column("answer/name", "S", ("a",), "names of the answers"),
        Column("answer/token", "i", ("a", "s"), "vocabulary ids of spellings, padded with -1"),
        Column(
            "logit/answer", "f", ("n", "a", "s"), "raw logit, first generated position; -inf pad"
        ),
        Column("logit/log_z", "f", ("n",), "log-sum-exp over the vocabulary", unit="nat"),
        Column("logit/entropy", "f", ("n",), "entropy over the vocabulary", unit="nat"),
        Column("logit/mean", "f", ("n",), "mean logit over the vocabulary"),
        Column("logit/top_token", "i", ("n", "t"), "ids of the largest logits, falling"),
        Column("logit/top", "f", ("n", "t"), "the largest logits, falling"),
        Column("run/tokens", "i", ("n", "layers"), "tokens that each layer saw", unit="token"),
        Column("run/visual", "i", ("n", "layers"), "visual tokens among them", unit="token"),
        Column("image/id", "S", ("g",), "images asked about"),
        Column("image/kept", "i", ("g", "k"), "kept tokens in raster order, -1 padded", must=False),
        Column("image/position", "i", ("g", "k"), "their position ids, -1 padded", must=False),
        Column("image/tied", "i", ("g",), "kept tokens that only their index decided", must=False),
    ),
)

AUDITS = Format(
    "calprune.audits",
    (
        Column("example/id", "S", ("n",), "question that was asked again by itself"),
        Column("logit/answer", "f", ("n", "a", "s"), "logit from per-question generate; -inf pad"),
        Column("logit/log_z", "f", ("n",), "its log-sum-exp", unit="nat"),
        Column("delta/answer", "f", ("n",), "largest difference of an answer logit from the cache"),
        Column("delta/log_z", "f", ("n",), "difference of log-sum-exp from the cache"),
        Column("delta/flipped", "b", ("n",), "the answer changed"),
    ),
)

FORMATS = {f.kind: f for f in (FEATURES, RANKINGS, LOGITS, AUDITS)}


def check_columns(form: Format, arrays: dict[str, NDArray[Any]]) -> None:
    """Every MUST column there, nothing unknown, kinds and axes consistent; else Mismatch."""
    sizes: dict[str, int] = {"three": 3, "hw": 2, "ltrb": 4}
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

    if len(np.unique(ids)) != n or (np.char.str_len(ids) == 0).any():
        raise Mismatch("question ids are empty or not unique")
    if len(np.unique(names)) != len(names):
        raise Mismatch("answer names are not unique")
    spelled = np.broadcast_to(token >= 0, logit.shape)
    used = token[token >= 0]
    if len(np.unique(used)) != len(used) or not (token >= 0).any(axis=1).all():
        raise Mismatch("answer tokens overlap or are missing")
    if (token < -1).any() or (token >= _IDS).any():
        raise Mismatch("answer tokens that are no vocabulary ids")
    every((label >= 0) & (label < len(names)), f"label outside 0..{len(names) - 1}")
    every(offered[rows, label], "the right answer is not offered")
    every(np.isfinite(np.where(spelled, logit, 0)).all(axis=(1, 2)), "a logit is not finite")
    for name in ("log_z", "entropy", "mean"):
        every(np.isfinite(arrays[f"logit/{name}"]), f"{name} is not finite")
    every(np.isfinite(arrays["logit/top"]).all(axis=1), "a top logit is not finite")
    largest = np.where(spelled, logit, -np.inf).max(axis=(1, 2))
    every(arrays["logit/log_z"] >= largest - 1e-3, "log-sum-exp below an answer's logit")
    every(arrays["logit/entropy"] >= 0, "negative entropy")
    every(np.where(spelled, True, logit == -np.inf).all(axis=(1, 2)), "a logit without spelling")
    every((np.diff(arrays["logit/top"], axis=1) <= 0).all(axis=1), "top logits do not fall")
    every((arrays["run/tokens"] > 0).all(axis=1), "a layer saw no token")
    visual = arrays["run/visual"]
    every(
        ((visual >= 0) & (visual <= arrays["run/tokens"])).all(axis=1),
        "visual tokens that are none",
    )
    ids_seen = arrays["logit/top_token"]
    every(((ids_seen >= 0) & (ids_seen < _IDS)).all(axis=1), "a top token that is no vocabulary id")
    first = arrays["example/duplicate_of"]
    every((first >= 0) & (first <= rows), "duplicate_of points outside the file")


def _plain(text: bytes) -> str:
    return ascii(text.decode("utf-8", "replace"))[1:-1]


def check_features(arrays: dict[str, NDArray[Any]]) -> None:
    """Offsets cover all rows in order; views are finite, and saliency off glue is too."""
    offset, glue = arrays["image/offset"], arrays["token/glue"]
    if offset[0] != 0 or offset[-1] != len(glue) or (np.diff(offset) < 0).any():
        raise Mismatch("image/offset does not cut the rows in order")
    for name, array in arrays.items():
        values = array[~glue] if name.startswith("saliency/") else array
        if name.startswith(("view/", "saliency/")) and not np.isfinite(values).all():
            raise Mismatch(f"{name}: a value is not finite")


def check_rankings(arrays: dict[str, NDArray[Any]]) -> None:
    """Every order takes each token at most once, and its padding comes last."""
    order = arrays["rank/order"].astype(np.int64)
    v = order.shape[1]
    taken = np.where(order >= 0, order, v + np.arange(v))
    padded = order < 0
    if (order < -1).any() or (order >= v).any() or (padded[:, :-1] & ~padded[:, 1:]).any():
        raise Mismatch("rank/order: indices out of range, or padding between them")
    if (np.diff(np.sort(taken, axis=1), axis=1) == 0).any():
        raise Mismatch("rank/order: a token is taken twice")


CHECKS = {
    "calprune.features": check_features,
    "calprune.rankings": check_rankings,
    "calprune.logits": check_logits,
}


def check_values(kind: str, arrays: dict[str, NDArray[Any]]) -> None:
    """The laws of a kind that types cannot state; Mismatch if one is broken."""
    if kind in CHECKS:
        CHECKS[kind](arrays)
