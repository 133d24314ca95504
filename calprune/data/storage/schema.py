"""The file formats as tables; ``docs/format.md`` is their prose. Nothing here touches a disk."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = (1, 3)
LONGEST_TEXT = 512
MOST_BYTES = 8 << 30


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


def _text(name: str, meaning: str) -> tuple[Column, Column]:
    """A long text for each row: bytes, and where each row's begin and end."""
    return (
        Column(f"{name}/text", "S", (f"{name}s",), f"{meaning}, UTF-8 bytes", must=False),
        Column(
            f"{name}/offset", "i", ("n+1",), "bytes of row i: offset[i]:offset[i+1]", must=False
        ),
    )


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
        Column("image/offset", "i", ("images+1",), "rows of image i are offset[i]:offset[i+1]"),
        Column("signal/value", "f", ("rows", "width"), "what some selectors measure"),
    ),
)

MERGES = Format(
    "calprune.merges",
    (
        *_IMAGE,
        Column("image/question", "i", ("images",), "distinct question, -1: all", must=False),
        Column("image/offset", "i", ("images+1",), "new tokens of image i: offset[i]:offset[i+1]"),
        Column("token/offset", "i", ("tokens+1",), "entries of token i: offset[i]:offset[i+1]"),
        Column("entry/token", "i", ("entries",), "visual token, -1: the tower's CLS token"),
        Column("entry/weight", "f", ("entries",), "its weight in the new token"),
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
        Column("example/group", "S", ("n",), "rows that are scored together", must=False),
        Column("tag/*", "S", ("n",), "further groups for reports, by name", must=False),
        Column("benchmark/scorer", "S", ("one",), "rule that gives its score", must=False),
        Column("benchmark/parser", "S", ("one",), "rule that reads closed replies", must=False),
        Column("example/label", "i", ("n",), "index of the right answer, -1 if there is none"),
        Column("example/offered", "b", ("n", "a"), "answers that this question allows"),
        Column("prompt/head", "i", ("h",), "token ids before the image", must=False),
        Column("prompt/tail", "i", ("n", "w"), "token ids after it, -1 padded", must=False),
        Column("answer/name", "S", ("a",), "names of the answers, if there are any"),
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
        Column(
            "run/merged", "i", ("n", "layers"), "new ones among these", must=False, unit="token"
        ),
        Column("gen/id", "i", ("m",), "token ids of generated replies", must=False),
        Column("gen/logprob", "f", ("m",), "their log-probabilities", must=False, unit="nat"),
        Column("gen/entropy", "f", ("m",), "entropy over the vocabulary", must=False, unit="nat"),
        Column("gen/top2_gap", "f", ("m",), "lead of the largest logit", must=False),
        Column("gen/offset", "i", ("n+1",), "tokens of row i: offset[i]:offset[i+1]", must=False),
        Column("gen/stop", "b", ("n",), "ended by itself, not by the limit", must=False),
        *_text("reply", "text of the generated reply"),
        *_text("question", "what was asked, without template"),
        *_text("reference", "right answers in words, a JSON list"),
        Column("image/id", "S", ("g",), "images asked about"),
        Column("image/kept", "i", ("g", "k"), "kept tokens in raster order, -1 padded", must=False),
        Column("image/position", "i", ("g", "k"), "their position ids, -1 padded", must=False),
        Column("image/question", "i", ("g",), "distinct question, -1: all", must=False),
        Column("image/tied", "i", ("g",), "kept tokens that only their index decided", must=False),
        Column("image/until", "i", ("g", "v"), "first layer without this token", must=False),
        Column("image/margin", "f", ("g",), "smallest relative lead at a cut", must=False),
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
