"""Are these the published files? Counts against those of the release, and every image read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from calprune.data.benchmark import Benchmark, Example, OpenedBenchmark, Published
from calprune.data.questions import Questions, find_benchmark, open_questions
from calprune.data.sources import Released
from calprune.data.sources.hub import damage, revisions, stored
from calprune.data.usable_images import Tick, unusable


@dataclass(frozen=True)
class Count:
    """Something counted: rows, images, distinct questions, or rows with a value.

    Attributes:
        what: e.g. ``rows`` or ``split=random``.
        found: in the files.
        published: in the release; None where it gives no number.
        excuse: why a difference means nothing; empty if it does.
    """

    what: str
    found: int
    published: int | None = None
    excuse: str = ""

    @property
    def differs(self) -> bool:
        """Whether this is not what was published."""
        return self.published is not None and self.found != self.published and not self.excuse

    def __str__(self) -> str:
        return f"{self.what}: {self.found:,} instead of {self.published or 0:,}"


@dataclass(frozen=True)
class Check:
    """What was found in a benchmark's files.

    Attributes:
        name: of the benchmark.
        digest: SHA-256 of the questions, see ``Questions.digest``: equal for equal content.
        counts: found and published.
        problems: images that ``collect`` would leave out, and files that are damaged.
        layout: which of its published forms was read.
        licence, origin: as the benchmark states them.
        revisions: repositories and commits that the files came from, as far as it is known.
        tables: files of the hub that were read, 0 in the official layout.
        verified: of these, files whose SHA-256 is the one that the hub announced.
        decoded: whether images were decoded; else only read, since Pillow is not installed.
        notes: what a reader of the results should know.
    """

    name: str
    digest: str
    counts: tuple[Count, ...]
    problems: tuple[str, ...]
    layout: str
    licence: str
    origin: str
    revisions: tuple[str, ...]
    tables: int
    verified: int
    decoded: bool
    notes: tuple[str, ...]

    @property
    def differences(self) -> list[str]:
        """What is not as published, in words; empty if all is."""
        n = len(self.problems)
        bad = f"{n} images or files" if n > 1 else "1 image or file"
        unusable = [f"{bad} that cannot be used"] if n else []
        return [str(c) for c in self.counts if c.differs] + unusable

    def to_json(self) -> dict[str, Any]:
        """Plain values, with ``differences``."""
        listed = [{**vars(c), "differs": c.differs} for c in self.counts]
        return {**vars(self), "counts": listed, "differences": self.differences}


def check(name: str, root: Path | str | None = None, tick: Tick | None = None) -> Check:
    """Read all of a benchmark and compare it with what was published.

    Args:
        name: of the benchmark, as for ``open_questions``.
        root: folder with its files; None takes what was fetched from the hub.
        tick: told, now and then, how many of how many images were read.

    Raises:
        PlanError: there is no such benchmark.
        BenchmarkError: data are missing, or break a law that every benchmark obeys.
        MissingExtra: what reads these files is not installed.
    """
    root = None if root is None else Path(root)
    benchmark = find_benchmark(name)
    questions = open_questions(name, root)
    paths = _tables(benchmark, questions.source, root)
    broken = [wrong for path in paths if (wrong := damage(path))]
    return Check(
        name=questions.name,
        digest=questions.digest,
        counts=counts(questions, getattr(benchmark, "published", None)),
        problems=(*broken, *questions.left_out, *unusable(questions, tick).values()),
        layout=questions.source.layout,
        licence=getattr(benchmark, "licence", ""),
        origin=getattr(benchmark, "origin", ""),
        revisions=revisions(paths),
        tables=len(paths),
        verified=sum(bool(stored(path).sha256) for path in paths) - len(broken),
        decoded=find_spec("PIL") is not None,
        notes=questions.notes,
    )


def differences(questions: Questions, published: Published | None) -> list[str]:
    """What is not as published, in words, e.g. ``rows: 8,910 instead of 9,000``.

    Reads nothing. ``questions`` must be all of them: a run of the first few images differs anyway.
    """
    return [str(c) for c in counts(questions, published) if c.differs]


def counts(questions: Questions, published: Published | None) -> tuple[Count, ...]:
    """Rows, images, distinct questions, and all else that is published; reads nothing.

    Images with the same bytes are one. Where all rows are there but images are fewer than
    published, somebody counted names; that is no difference.
    """
    rows, images = len(questions.examples), len(questions.images)
    asked = len({(e.image, e.prompt) for e in questions.examples})
    if published is None:
        return (Count("rows", rows), Count("images", images), Count("questions", asked))
    fewer = published.images - images if rows == published.rows and not questions.left_out else 0
    excuse = f"{fewer} more names, of the same pictures" if fewer > 0 else ""
    found = Counter(v for e in questions.examples for v in _values(e, questions.source))
    expected = {**published.counts, **dict.fromkeys(_unexpected(found, published), 0)}
    return (
        Count("rows", rows, published.rows),
        Count("images", images, published.images or None, excuse),
        Count(
            "questions",
            asked,
            published.questions or None,
            excuse if asked < published.questions else "",
        ),
        *(Count(what, found[what], number) for what, number in expected.items()),
    )


def _values(e: Example, source: OpenedBenchmark) -> Iterator[str]:
    """What a question counts for, as ``Published.counts`` names it."""
    named = [("split", e.split), ("category", e.category), *e.tags]
    if e.offered:
        named += [("options", str(len(e.offered))), ("label", source.answers[e.label].name)]
    return (f"{name}={value}" for name, value in named if value)


def _unexpected(found: Mapping[str, int], published: Published) -> list[str]:
    """Values that the release does not have, of kinds of which it names all."""
    sums = Counter[str]()
    for what, number in published.counts.items():
        sums[what.split("=")[0]] += number
    whole = {kind for kind, number in sums.items() if number == published.rows}
    return sorted(v for v in found if v.split("=")[0] in whole and v not in published.counts)


def _tables(benchmark: Benchmark, source: OpenedBenchmark, root: Path | None) -> list[Path]:
    """The files of tables that were read; none in another layout, and of other benchmarks."""
    if source.layout != "parquet" or not isinstance(benchmark, Released):
        return []
    found = benchmark.files(root) or {}
    return list(dict.fromkeys(path for paths in found.values() for path in paths))
