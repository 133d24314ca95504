"""A benchmark as it will be asked: checked, grouped by image, and identified by one digest."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from calprune import registry
from calprune.data.benchmark import (
    Benchmark,
    Blob,
    Example,
    OpenedBenchmark,
    Picture,
    picture_digest,
    upright,
)
from calprune.data.condition import canonical_json, sha256_of
from calprune.data.storage.ragged_text import MOST_REFERENCE
from calprune.errors import BenchmarkError, CalpruneError, PlanError
from calprune.failures import working_on

LONGEST_ID = 512  # bytes, as the cache stores them
MOST_TAGS = 32
RESERVED = ("split", "category", "kind", "n_options")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,63}")


@dataclass(frozen=True)
class Questions:
    """Examples in image order, image digests, and one overall digest.

    ``images[i]`` has digest ``digests[i]``; ``rows[i]`` are the indices of its examples. Images
    with the same bytes are one, under the first of their names. ``left_out`` says of images that
    could not be read what is wrong with them. ``closed_tokens``: most tokens of a reply to a
    question with answers to choose from and without references; 0 has none generated.
    """

    name: str
    source: OpenedBenchmark
    examples: tuple[Example, ...]
    images: tuple[str, ...]
    digests: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    left_out: tuple[str, ...] = ()
    closed_tokens: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over ids, image digests, prompts, labels, offered answers and groups."""
        of = dict(zip(self.images, self.digests, strict=True))
        answers = [[a.name, *a.spellings] for a in self.source.answers]
        rows = [_plain(e, of[e.image]) for e in self.examples]
        return sha256_of([answers, rows])

    def picture(self, image: str) -> Picture:
        """Pixels, file or bytes of an image."""
        found = _picture(self.source, image)
        return upright(found) if self.source.upright else found

    def reply_tokens(self, example: Example) -> int:
        """Most tokens to generate in reply; 0 for a question that gets none."""
        return self.source.reply_tokens if example.references else self.closed_tokens

    @property
    def open(self) -> bool:
        """Whether some questions have references, and replies are generated."""
        return any(e.references for e in self.examples)

    def replying(self, tokens: int) -> Questions:
        """The same benchmark with this limit for replies, to closed questions too.

        PlanError if nobody would read them: there are no open questions, and the benchmark names no
        rule for the others.
        """
        closed = bool(self.source.parser) and not all(e.references for e in self.examples)
        if not self.open and not closed:
            raise PlanError(
                f"--reply-tokens {tokens}: {self.name} has no open questions and names no rule by "
                "which replies to the others are read; leave it out"
            )
        if tokens < 1:
            raise PlanError(f"--reply-tokens {tokens}: a number above 0 is needed")
        source = replace(self.source, reply_tokens=tokens) if self.open else self.source
        return replace(self, source=source, closed_tokens=tokens if closed else 0)

    def noting(self, note: str) -> Questions:
        """The same benchmark with one more note for readers of the results."""
        source = replace(self.source, notes=(*self.source.notes, note))
        return replace(self, source=source)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know about the files, of the source and beyond."""
        n = sum("\r" in e.prompt for e in self.examples)
        note = (
            f"{n:,} questions hold carriage returns (line breaks of Windows), which are asked as "
            "they stand in the files; a copy without them asks otherwise, and has another digest"
        )
        return (*self.source.notes, *([note] if n else []))

    def without(self, images: Collection[str], apart: bool = False) -> Questions:
        """The same benchmark less some images and their questions.

        Questions that are scored together with one of these go too, unless ``apart``.
        """
        lost = {e.group for e in self.examples if e.group and e.image in images and not apart}
        groups = [
            (image, digest, [self.examples[i] for i in rows if self.examples[i].group not in lost])
            for image, digest, rows in zip(self.images, self.digests, self.rows, strict=True)
            if image not in images
        ]
        groups = [group for group in groups if group[2]]
        if not groups:
            raise BenchmarkError(f"{self.name}: none of its images can be used")
        return replace(
            self,
            examples=tuple(e for _, _, rows in groups for e in rows),
            images=tuple(image for image, _, _ in groups),
            digests=tuple(digest for _, digest, _ in groups),
            rows=_ranges([len(rows) for _, _, rows in groups]),
        )


def _plain(e: Example, image: str) -> list[object]:
    """What identifies a question; fields that do not apply are absent, so that digests stay."""
    row: list[object] = [e.id, image, e.prompt, e.label, list(e.offered), e.split, e.category]
    if e.cluster or e.group or e.references or e.tags:
        row += [e.cluster, e.group, list(e.references), [list(t) for t in e.tags]]
    return row


def find_benchmark(name: str) -> Benchmark:
    """The plug-in of a name; ``file:questions.jsonl`` hands what follows the colon to ``file``.

    Raises PlanError for an unknown name, or for one that takes no argument.
    """
    plain, colon, argument = name.partition(":")
    plugin = registry.load("benchmarks", plain)
    given = [argument] if colon else []
    try:
        inspect.signature(plugin).bind(*given)
    except TypeError as error:
        wanted = "takes nothing after a colon" if colon else "needs a file: write file:PATH"
        raise PlanError(f"benchmark {plain!r} {wanted}") from error
    benchmark: Benchmark = plugin(*given)
    return benchmark


def open_questions(
    name: str, root: Path | None = None, images: int | None = None, strict: bool = False
) -> Questions:
    """Load and check a benchmark; ``images`` keeps the first so many distinct images only.

    An image that cannot be read is left out with its questions and listed, or is an error if
    ``strict``. Questions that are scored together stay together: all of a group are there, with
    further images if they have others, or none. Raises PlanError for an unknown name and
    BenchmarkError if data are missing or inconsistent.
    """
    source = open_source(name, root)
    examples = list(_checked(name, source))
    known: dict[str, str] = {}  # digest to the first image that has it
    alias: dict[str, str | None] = {}
    problems: list[str] = []

    def look(image: str) -> None:
        try:
            alias[image] = known.setdefault(_digest(source, image), image)
        except BenchmarkError as error:
            if strict:
                raise
            problems.append(str(error))
            alias[image] = None

    for e in examples:
        if e.image not in alias and (images is None or len(known) < images):
            look(e.image)
    first = [e for e in examples if e.image in alias]
    together = {e.group for e in first if e.group and alias[e.image] is not None}
    chosen = [e for e in examples if e.image in alias or e.group in together]
    for e in chosen:
        if e.image not in alias:
            look(e.image)
    lost = {e.group for e in chosen if e.group and alias[e.image] is None}
    grouped: dict[str, list[Example]] = {}
    for e in chosen:
        image = alias[e.image]
        if image is not None and e.group not in lost:
            grouped.setdefault(image, []).append(replace(e, image=image))
    if not grouped:
        raise BenchmarkError(problems[0] if problems else f"{name}: no questions found")
    if source.reply_tokens < 1 and any(e.references for g in grouped.values() for e in g):
        raise BenchmarkError(f"{name}: open questions, but its source has no reply_tokens")
    return Questions(
        name=short_name(name),
        source=source,
        examples=tuple(e for group in grouped.values() for e in group),
        images=tuple(grouped),
        digests=tuple({image: digest for digest, image in known.items()}[i] for i in grouped),
        rows=_ranges([len(group) for group in grouped.values()]),
        left_out=tuple(problems),
    )


def short_name(name: str) -> str:
    """What stands in labels and folders: of a file's path only the stem."""
    plain, colon, argument = name.partition(":")
    return f"{plain}:{Path(argument).stem}" if colon else name


def _digest(source: OpenedBenchmark, image: str) -> str:
    if source.digest is None:
        return picture_digest(_picture(source, image))
    with working_on(f"image {image!r}"):
        return source.digest(image)


def _picture(source: OpenedBenchmark, image: str) -> Picture:
    with working_on(f"image {image!r}"):
        found = source.picture(image)
    if isinstance(found, np.ndarray):
        fit = found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3
        if not fit or not found.size:
            raise BenchmarkError(
                f"image {image!r}: pixels are uint8 (height, width, 3), not {found.dtype} "
                f"{found.shape}"
            )
    elif not isinstance(found, Path | Blob):
        raise BenchmarkError(
            f"image {image!r}: a picture is an array of pixels, a Path or a Blob, not "
            f"{type(found).__name__}"
        )
    return found


def _ranges(sizes: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    ends = np.cumsum([0, *sizes]).tolist()
    return tuple(tuple(range(a, b)) for a, b in pairwise(ends))


def open_source(name: str, root: Path | None) -> OpenedBenchmark:
    """The source of a benchmark, which may come from another package and fail in any way.

    Raises PlanError for an unknown name and for a folder that is not read, BenchmarkError for
    files that are missing or cannot be used.
    """
    benchmark = find_benchmark(name)
    if root is not None and not getattr(benchmark, "reads_files", True):
        raise PlanError(f"--data {root}: {name} is generated and reads no files: leave it out")
    try:
        source = benchmark.open(root)
    except CalpruneError:
        raise
    except Exception as error:
        raise BenchmarkError(_failed(name, error)) from error
    if not isinstance(source, OpenedBenchmark):
        raise BenchmarkError(
            f"benchmark {name!r} opened as {type(source).__name__}, not an OpenedBenchmark"
        )
    for group, rule in (("scorers", source.scorer), ("parsers", source.parser)):
        known = registry.names(group)
        if rule not in known and (rule or group == "scorers"):
            raise BenchmarkError(f"{name}: {registry.unknown(group[:-1], rule, known)}")
    return source


def _failed(name: str, error: Exception) -> str:
    return f"benchmark {name!r} failed: {registry.reason(error)}"


def _read(name: str, source: OpenedBenchmark) -> Iterator[Example]:
    try:
        yield from source.examples
    except CalpruneError:
        raise
    except Exception as error:
        raise BenchmarkError(_failed(name, error)) from error


def _checked(name: str, source: OpenedBenchmark) -> Iterator[Example]:
    """The laws that every benchmark obeys, whoever wrote its plug-in."""
    seen: dict[str, str] = {}
    tags: set[str] = set()
    for e in _read(name, source):
        _check_types(name, e)
        where = e.where or f"{name}: question {e.id!r}"
        _check_texts(where, e)
        if e.id in seen:
            raise BenchmarkError(
                f"{where}: id {e.id!r} is already that of {seen[e.id]}; ids must be unique: "
                "remove or rename one of the two rows"
            )
        seen[e.id] = e.where or "another question"
        tags.update(tag for tag, _ in e.tags)
        if len(tags) > MOST_TAGS:
            raise BenchmarkError(f"{where}: more than {MOST_TAGS} different tags: {sorted(tags)}")
        if any(not 0 <= i < len(source.answers) for i in e.offered):
            raise BenchmarkError(f"{where}: offers answers that the benchmark does not have")
        if e.offered and e.label not in e.offered:
            raise BenchmarkError(f"{where}: its label is not among its {len(e.offered)} options")
        if not e.offered and (e.label != -1 or not e.references):
            raise BenchmarkError(f"{where}: neither options to choose from nor a reference answer")
        yield e


def _check_types(name: str, e: Example) -> None:
    """Fields are of the types that they are declared with; BenchmarkError names one that is not."""
    if not isinstance(e, Example):
        raise BenchmarkError(f"{name}: a question is an Example, not {type(e).__name__}")
    texts = (e.id, e.image, e.prompt, e.split, e.category, e.cluster, e.group, *e.references)
    for text in (*texts, *(word for tag in e.tags for word in tag)):
        if not isinstance(text, str):
            raise BenchmarkError(f"{e.where or name}: question {e.id!r}: {text!r} is no text")
    for index in (e.label, *e.offered):
        if not isinstance(index, int | np.integer) or isinstance(index, bool):
            raise BenchmarkError(
                f"{e.where or name}: question {e.id!r}: label and offered are indices of answers, "
                f"counted from 0, not {index!r}"
            )


def _check_texts(where: str, e: Example) -> None:
    """What the cache cannot hold is refused before anything is spent."""
    short = {"id": e.id, "split": e.split, "category": e.category, "cluster": e.cluster}
    short |= {"group": e.group, "image": e.image, **{f"tag {name}": text for name, text in e.tags}}
    for what, text in {**short, "question": e.prompt, "answers": "".join(e.references)}.items():
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise BenchmarkError(f"{where}: {what}: half of a character ({error})") from error
        if what in short and (size > LONGEST_ID or "\0" in text):
            raise BenchmarkError(
                f"{where}: {what}: {size} bytes, at most {LONGEST_ID} and no zero bytes can be "
                f"stored: {text[:40]!r}"
            )
    if len(canonical_json(list(e.references))) > MOST_REFERENCE:
        raise BenchmarkError(f"{where}: right answers of over {MOST_REFERENCE} characters")
    if not e.id:
        raise BenchmarkError(f"{where}: its id is empty")
    if not e.prompt.strip():
        raise BenchmarkError(f"{where}: its question is empty")
    for tag, _ in e.tags:
        if not _TAG.fullmatch(tag) or tag in RESERVED:
            raise BenchmarkError(
                f"{where}: a tag cannot be called {tag!r}: letters, digits and ._+=- only, up to "
                f"64, and none of {', '.join(RESERVED)}"
            )
