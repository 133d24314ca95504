"""The file formats as tables; ``docs/format.md`` is their prose. Nothing here touches a disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

VERSION = (1, 3)
LONGEST_TEXT = 512
MOST_BYTES = 8 << 30
MOST_LOGITS = 1 << 30


@dataclass(frozen=True)
class Column:
    """One dataset. ``path`` may end in ``*``, which stands for any plain name.

    Attributes:
        kind: numpy's: i, f, b or S.
        dims: name the axes; equal names have equal lengths, and ``x+1`` is one longer than ``x``.
        field: where readers find it, an attribute of ``LogitTable`` or, as ``replies.id``, of one
            of its members; empty where none needs it.
        dtype: as which it is read; int32, float32, bool or text unless another is named.
        join: how the columns of parts become one: ``rows`` after one another; ``padded``, to the
            width of the widest; ``once``, as all parts share them; ``offset``, moved by what comes
            before; ``row``, indices of rows, moved by the rows before.
        later: parts of older versions may lack it; it is left out if any does.
    """

    path: str
    kind: str
    dims: tuple[str, ...]
    meaning: str
    must: bool = True
    unit: str = ""
    field: str = ""
    dtype: str = ""
    join: Literal["rows", "padded", "once", "offset", "row"] = "rows"
    later: bool = False


@dataclass(frozen=True)
class Format:
    """A kind of sealed file."""

    kind: str
    columns: tuple[Column, ...]

    @cached_property
    def _exact(self) -> dict[str, Column]:
        return {c.path: c for c in self.columns if not c.path.endswith("*")}

    def column(self, path: str) -> Column | None:
        """The column that describes ``path``, if the format knows it."""
        if (exact := self._exact.get(path)) is not None:
            return exact
        for column in self.columns:
            if column.path.endswith("*"):
                stem = column.path[:-1]
                if path.startswith(stem) and "/" not in path[len(stem) :] and path != stem:
                    return column
        return None


def _offset(path: str, dims: str, meaning: str, must: bool = True, field: str = "") -> Column:
    return Column(path, "i", (dims,), meaning, must, field=field, dtype="int64", join="offset")


def _text(name: str, meaning: str, field: str) -> tuple[Column, Column]:
    """A long text for each row: bytes, and where each row's begin and end."""
    bytes_of = "bytes of row i: offset[i]:offset[i+1]"
    return (
        Column(f"{name}/text", "S", (f"{name}s",), f"{meaning}, UTF-8 bytes", False, field=field),
        _offset(f"{name}/offset", "n+1", bytes_of, must=False),
    )


_IMAGE = (
    Column("image/id", "S", ("images",), "name of the image within its benchmark"),
    Column("image/digest", "S", ("images",), "SHA-256 of the image's bytes or pixels"),
)

FEATURES = Format(
    "calprune.features",
    (
        *_IMAGE,
        _offset("image/offset", "images+1", "rows of image i are offset[i]:offset[i+1]"),
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
        Column("image/question", "i", ("images",), "distinct question, -1: all", must=False),
        Column("rank/order", "i", ("images", "v"), "tokens in the order taken, padded with -1"),
        Column("rank/gain", "f", ("images", "v"), "score at which each was taken", must=False),
        Column("rank/margin", "f", ("images", "v"), "relative lead over the next", must=False),
        Column("rank/tied", "b", ("images", "v"), "decided by index, not by score", must=False),
    ),
)

SIGNALS = Format(
    "calprune.signals",
    (
        *_IMAGE,
        Column("image/question", "i", ("images",), "distinct question, -1: all", must=False),
        _offset("image/offset", "images+1", "rows of image i are offset[i]:offset[i+1]"),
        Column("signal/value", "f", ("rows", "width"), "what some selectors measure"),
    ),
)

MERGES = Format(
    "calprune.merges",
    (
        *_IMAGE,
        Column("image/question", "i", ("images",), "distinct question, -1: all", must=False),
        _offset("image/offset", "images+1", "new tokens of image i: offset[i]:offset[i+1]"),
        _offset("token/offset", "tokens+1", "entries of token i: offset[i]:offset[i+1]"),
        Column("entry/token", "i", ("entries",), "visual token, -1: the tower's CLS token"),
        Column("entry/weight", "f", ("entries",), "its weight in the new token"),
    ),
)

LOGITS = Format(
    "calprune.logits",
    (
        Column("example/id", "S", ("n",), "stable name of the question; unique", field="id"),
        Column("example/split", "S", ("n",), "split, empty if none", field="split"),
        Column(
            "example/category", "S", ("n",), "subtask or subject, empty if none", field="category"
        ),
        Column("example/cluster", "S", ("n",), "resampling unit: the image", field="cluster"),
        Column(
            "example/duplicate_of",
            "i",
            ("n",),
            "first row with this image and prompt",
            field="duplicate_of",
            join="row",
        ),
        Column("example/group", "S", ("n",), "rows that are scored together", False, field="group"),
        Column(
            "tag/*", "S", ("n",), "further groups for reports, by name", must=False, field="tags"
        ),
        Column(
            "benchmark/scorer",
            "S",
            ("one",),
            "rule that gives its score",
            must=False,
            field="scorer",
            join="once",
        ),
        Column(
            "benchmark/parser",
            "S",
            ("one",),
            "rule that reads closed replies",
            must=False,
            field="parser",
            join="once",
        ),
        Column(
            "example/label",
            "i",
            ("n",),
            "index of the right answer, -1 if there is none",
            field="label",
            dtype="int16",
        ),
        Column(
            "example/offered", "b", ("n", "a"), "answers that this question allows", field="offered"
        ),
        Column("prompt/head", "i", ("h",), "token ids before the image", False, join="once"),
        Column(
            "prompt/tail", "i", ("n", "w"), "token ids after it, -1 padded", False, join="padded"
        ),
        Column(
            "answer/name",
            "S",
            ("a",),
            "names of the answers, if there are any",
            field="answers",
            join="once",
        ),
        Column(
            "answer/token",
            "i",
            ("a", "s"),
            "vocabulary ids of spellings, padded with -1",
            field="answer_tokens",
            join="once",
        ),
        Column(
            "logit/answer",
            "f",
            ("n", "a", "s"),
            "raw logit, first generated position; -inf pad",
            field="answer_logits",
        ),
        Column(
            "logit/log_z", "f", ("n",), "log-sum-exp over the vocabulary", unit="nat", field="log_z"
        ),
        Column(
            "logit/entropy", "f", ("n",), "entropy over the vocabulary", unit="nat", field="entropy"
        ),
        Column("logit/mean", "f", ("n",), "mean logit over the vocabulary", field="mean_logit"),
        Column(
            "logit/top_token",
            "i",
            ("n", "t"),
            "ids of the largest logits, falling",
            field="top_token",
        ),
        Column("logit/top", "f", ("n", "t"), "the largest logits, falling", field="top_logit"),
        Column(
            "run/tokens",
            "i",
            ("n", "layers"),
            "tokens that each layer saw",
            unit="token",
            field="tokens",
        ),
        Column(
            "run/visual",
            "i",
            ("n", "layers"),
            "visual tokens among them",
            unit="token",
            field="visual",
        ),
        Column(
            "run/merged", "i", ("n", "layers"), "new ones among these", False, "token", later=True
        ),
        Column("gen/id", "i", ("m",), "token ids of generated replies", False, field="replies.id"),
        Column(
            "gen/logprob", "f", ("m",), "their log-probabilities", False, "nat", "replies.logprob"
        ),
        Column(
            "gen/entropy",
            "f",
            ("m",),
            "entropy over the vocabulary",
            must=False,
            unit="nat",
            field="replies.entropy",
        ),
        Column(
            "gen/top2_gap",
            "f",
            ("m",),
            "lead of the largest logit",
            False,
            field="replies.top2_gap",
        ),
        _offset(
            "gen/offset", "n+1", "tokens of row i: offset[i]:offset[i+1]", False, "replies.offset"
        ),
        Column(
            "gen/stop",
            "b",
            ("n",),
            "ended by itself, not by the limit",
            False,
            field="replies.stop",
        ),
        *_text("reply", "text of the generated reply", "replies.text"),
        *_text("question", "what was asked, without template", "replies.question"),
        *_text("reference", "right answers in words, a JSON list", "replies.references"),
        Column("image/id", "S", ("g",), "images asked about"),
        Column(
            "image/kept",
            "i",
            ("g", "k"),
            "kept tokens in raster order, -1 padded",
            must=False,
            join="padded",
        ),
        Column(
            "image/position", "i", ("g", "k"), "their position ids, -1 padded", False, join="padded"
        ),
        Column("image/question", "i", ("g",), "distinct question, -1: all", must=False),
        Column("image/tied", "i", ("g",), "kept tokens that only their index decided", must=False),
        Column(
            "image/until",
            "i",
            ("g", "v"),
            "first layer without this token",
            must=False,
            join="padded",
            later=True,
        ),
        Column("image/margin", "f", ("g",), "smallest relative lead at a cut", False, later=True),
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

FORMATS = {f.kind: f for f in (FEATURES, SIGNALS, RANKINGS, MERGES, LOGITS, AUDITS)}
