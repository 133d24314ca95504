"""``calprune data``: fetch published benchmarks, and check that they are what was published."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calprune.commands.benchmarks import folder_of
from calprune.commands.modes import reading
from calprune.commands.progress import bar
from calprune.errors import BenchmarkError, CalpruneError, PlanError
from calprune.extras import check as installed
from calprune.extras import install
from calprune.terminal import in_columns, printable

if TYPE_CHECKING:
    from calprune.data.benchmark_check import Check

data = typer.Typer(
    name="data",
    help="Fetch published benchmarks, and check that files are what was published.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str], typer.Argument(metavar="NAME", help="See 'calprune ls benchmarks'.")]

_LISTED = 10  # images left out that are named
_NAMED = 8  # differences that the summary names
_FOREIGN = (
    "these are a subset or another release: results on them are not comparable with published ones"
)


def register(app: typer.Typer) -> None:
    """Add ``calprune data`` to the command line."""
    app.add_typer(data)


@data.command(
    cls=reading("data fetch"),
    epilog="Examples:  calprune data fetch pope  ·  calprune data fetch pope gqa  ·  calprune data "
    "fetch pope --dir pope-data",
)
def fetch(
    names: Names,
    dir: Annotated[
        Path | None,
        typer.Option(
            help="An empty folder, to be given as --data later; with several names it gets a "
            "sub-folder for each.  [default: the hub's cache, where collect finds it]"
        ),
    ] = None,
) -> None:
    """Download benchmarks from the hub, and check them. Goes on where it was interrupted."""
    installed("data fetch", "data", "huggingface_hub", "pyarrow")
    for name in names:
        _check_fetchable(name)

    def one(name: str) -> None:
        folder = folder_of(dir, name, names)
        _download(name, folder)
        found = _checked(name, folder)
        where = "" if folder is None else f" --data {folder}"
        print(f"\n{_table(found)}\n\nnow:  calprune collect --bench {name}{where}\n", flush=True)
        _judge(found)

    try:
        _each(names, one)
    except KeyboardInterrupt:
        print(
            "\ncalprune: interrupted; files that have arrived whole are kept: run the same command "
            "again to go on",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None


@data.command(
    cls=reading("data check"),
    epilog="Examples:  calprune data check pope  ·  calprune data check pope --data DIR  ·  "
    "calprune data check pope gqa --format json",
)
def check(
    names: Names,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the benchmark's files; with several names, its sub-folders of these "
            "names.  [default: what was fetched]"
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Read whole benchmarks, every image too, and compare them with what was published."""
    from calprune import registry

    if format not in ("table", "json"):
        raise PlanError(registry.unknown("format", format, ("table", "json")))
    found: list[Check] = []

    def one(name: str) -> None:
        found.append(_checked(name, folder_of(data, name, names)))
        if format == "table":
            print(_table(found[-1]), end="\n\n", flush=True)
        _judge(found[-1])

    try:
        _each(names, one)
    finally:
        if format == "json":
            print(json.dumps([one.to_json() for one in found], indent=2))


def _each(names: Sequence[str], work: Callable[[str], None]) -> None:
    """One after another; what went wrong with any of several is told at the end, in one line."""
    wrong: list[CalpruneError] = []
    for name in dict.fromkeys(names):
        try:
            work(name)
        except CalpruneError as error:
            wrong.append(error)
    if wrong:
        raise type(wrong[0])("; ".join(map(str, wrong))) from wrong[0]


def _check_fetchable(name: str) -> None:
    """PlanError, with what to do instead, if a benchmark has nothing to fetch."""
    from calprune.data.questions import find_benchmark
    from calprune.data.sources import Released

    benchmark = find_benchmark(name)
    if isinstance(benchmark, Released):
        benchmark.check_fetchable()
    elif not hasattr(benchmark, "fetch"):
        origin = getattr(benchmark, "origin", "") or "no files that calprune knows of"
        raise PlanError(
            f"{name}: nothing on the hub to fetch; its origin: {origin}; run 'calprune collect "
            f"--bench {name}'"
        )


def _download(name: str, folder: Path | None) -> None:
    from calprune.data.questions import find_benchmark

    benchmark: Any = find_benchmark(name)
    for what in ("title", "licence", "origin"):
        said = getattr(benchmark, what, "") or "not stated"
        print(f"{what:8}  {printable(said)}", flush=True)
    benchmark.fetch(folder, lambda text: print(printable(text), flush=True))


def _checked(name: str, folder: Path | None) -> Check:
    from calprune.data.benchmark_check import check as check_all

    with bar(f"checking {name}") as tick:
        return check_all(name, folder, tick)


def _judge(found: Check) -> None:
    """BenchmarkError, which names the differences, if there are any."""
    if wrong := found.differences:
        more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        comparable = f"; {_FOREIGN}" if any(c.differs for c in found.counts) else ""
        raise BenchmarkError(
            f"{found.name} is not as published: {', '.join(wrong[:_NAMED])}{more}{comparable}"
        )


def _table(found: Check) -> str:
    """Counts, then facts, in aligned columns."""
    rows = [("what", "found", "published", "")]
    for c in found.counts:
        known = c.published is not None
        verdict = "" if not known else "DIFFERS" if c.differs else c.excuse or "ok"
        rows.append((c.what, f"{c.found:,}", f"{c.published:,}" if known else "", verdict))
    lines = in_columns(rows, right=(1, 2))
    facts = [f"{what:8}  {printable(text)}".rstrip() for what, text in _facts(found)]
    return "\n".join([printable(found.name), "", *lines, "", *facts])


def _facts(found: Check) -> Iterator[tuple[str, str]]:
    of = f", {found.tables} tables" if found.tables else ""
    sure = f", {found.verified} with the SHA-256 that the hub announced" if found.verified else ""
    yield "layout", found.layout + of + sure
    for revision in found.revisions:
        yield "from", revision
    yield "licence", found.licence
    if found.layout != "generated":
        without = f"read, not decoded: that takes Pillow, {install('collect')}"
        yield "images", "decoded" if found.decoded else without
    for note in found.notes:
        yield "note", note
    for problem in found.problems[:_LISTED]:
        yield "bad", problem
    if len(found.problems) > _LISTED:
        yield "bad", f"and {len(found.problems) - _LISTED} more"
    yield "digest", found.digest
