"""``calprune judge``: grades for replies that no rule can score."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calprune.commands.modes import reading
from calprune.errors import IncompleteError, PlanError
from calprune.terminal import printable

if TYPE_CHECKING:
    from calprune.data.storage.logits import LogitTable

EPILOG = (
    "Examples:  calprune judge --endpoint https://api.openai.com/v1  ·  calprune judge --endpoint "
    "http://localhost:8000/v1 --judge my-model  ·  calprune judge --out submissions  ·  calprune "
    "judge --grades FILE --condition full  ·  calprune judge --format gqa --bench gqa"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=reading("judge"), epilog=EPILOG)(judge)


def judge(
    endpoint: Annotated[
        str,
        typer.Option(
            help="Address of an OpenAI-compatible server, e.g. http://localhost:8000/v1. Without "
            "one, replies are exported."
        ),
    ] = "",
    judge: Annotated[
        str, typer.Option(help="The model that grades.  [default: gpt-4-0613, as in MM-Vet]")
    ] = "",
    key_env: Annotated[
        str,
        typer.Option(
            help="Environment variable with the server's key.  [default: OPENAI_API_KEY, if set]"
        ),
    ] = "",
    grades: Annotated[
        Path | None,
        typer.Option(help="Import a grade file of MM-Vet or a log of lmms-eval's mmvet."),
    ] = None,
    condition: Annotated[
        str,
        typer.Option(
            help="Of these grades: label of 'calprune ls', e.g. full, or key.  [default: the key "
            "in the file's name]"
        ),
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for exported replies.")] = Path("submissions"),
    format: Annotated[str, typer.Option(help="Of the export: mm-vet, gqa or textvqa.")] = "mm-vet",
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of the cache.  [default: $CALPRUNE_STORE or ./calprune-store]"),
    ] = None,
    bench: Annotated[str | None, typer.Option(help="Only this benchmark.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 4,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds until a silent request is given up.")
    ] = 60,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace grades that are there already.")
    ] = False,
) -> None:
    """Grade generated replies by a judge, import grades, or export replies for official servers.

    Every judgement is saved at once and never paid for twice.
    """
    from calprune.commands.reading import Reader
    from calprune.data.storage.store import store_path
    from calprune.judge.exports import form_of

    root, reader = store_path(store, writing=True), Reader()
    tables = _scored(reader.tables(root, bench, model), root, form_of(format).scorer)
    if grades is not None:
        _import(_chosen(tables, condition, grades), grades, replace)
    elif endpoint:
        _judge(tables, endpoint, judge, key_env, root, workers, timeout, replace)
    else:
        _export(tables, format, out)
    reader.end()


def _scored(tables: Sequence[LogitTable], root: Path, scorer: str) -> list[LogitTable]:
    """Conditions with replies whose benchmark is scored so, or does not say how."""
    wanted = [t for t in tables if t.replies is not None and t.scorer in (scorer, "")]
    if not wanted:
        example = {"judged": "mm-vet", "exact-match": "gqa", "vqa": "textvqa"}.get(scorer, scorer)
        raise IncompleteError(
            f"{root}: none of its {len(tables)} conditions has generated replies that are scored "
            f"as {scorer}: run 'calprune collect --bench {example}' first"
        )
    return wanted


def _chosen(tables: Sequence[LogitTable], condition: str, grades: Path) -> LogitTable:
    """The condition whose grades a file holds; PlanError if that is not clear."""
    from calprune.registry import unknown

    def names(table: LogitTable) -> tuple[str, ...]:
        label, key = table.condition.label, table.condition.key
        return label, key, key[:8], f"{label}-{key[:8]}"

    if not condition:
        found = [t for t in tables if t.condition.key[:8] in grades.name]
        if len(found) != 1:
            raise PlanError(f"--grades {grades}: say whose they are with --condition LABEL")
        return found[0]
    found = [t for t in tables if condition in names(t)]
    if not found:
        labels = {t.condition.label for t in tables}
        raise PlanError(f"--condition: {unknown('condition', condition, labels)}")
    if len(found) > 1:
        keys = ", ".join(
            f"{t.condition.key[:8]} ({t.condition.model}, {t.condition.benchmark})" for t in found
        )
        raise PlanError(
            f"--condition {condition!r}: {len(found)} conditions are called so; write --model or "
            f"--bench, or one of their keys: {keys}"
        )
    return found[0]


def _judge(
    tables: Sequence[LogitTable],
    endpoint: str,
    judge: str,
    key_env: str,
    root: Path,
    workers: int,
    timeout: float,
    replace: bool,
) -> None:
    from calprune.judge import judge as run
    from calprune.judge.prompt import JUDGE

    try:
        with _progress() as progress:
            run(
                tables,
                endpoint=endpoint,
                model=judge or JUDGE,
                key_env=key_env,
                store=root,
                workers=workers,
                timeout=timeout,
                replacing=replace,
                progress=progress,
            )
    except KeyboardInterrupt:
        print(
            "calprune: interrupted; what has been judged is saved: run the same command again to "
            "go on",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    _report(tables)
    print(f"next: calprune analyze --store {root}")


def _import(table: LogitTable, grades: Path, replace: bool) -> None:
    from calprune.judge.imports import import_grades

    import_grades(table, grades, replace)
    _report([table])


def _report(tables: Sequence[LogitTable]) -> None:
    from calprune.data.grades import found_path, grades_of
    from calprune.judge.run import mean_score

    for table in tables:
        grades, c = grades_of(table), table.condition
        score = f"{100 * mean_score(table, grades):.1f} over {len(grades)} replies"
        where = found_path(table.path)
        print(printable(f"{c.model} {c.benchmark} {c.label}: {score}, {where}"))


def _export(tables: Sequence[LogitTable], format: str, out: Path) -> None:
    from calprune.judge.exports import export, form_of

    for table in tables:
        path, what = export(table, format, out), f"{len(table)} replies of {table.condition.label}"
        print(printable(f"{path}: {what}"))
    print(f"next: {form_of(format).next}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A callback that moves a bar with an ETA on a terminal, else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = Progress(
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with shown:
        task = shown.add_task("judging replies", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
