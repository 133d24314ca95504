"""``calprune judge``: grades for replies that no rule can score."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calprune.commands.benchmarks import one_benchmark
from calprune.commands.modes import reading
from calprune.commands.progress import bar
from calprune.errors import IncompleteError, PlanError
from calprune.terminal import counted, printable

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
            help="Of these grades: name in 'calprune ls', e.g. full, or key.  [default: the key "
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
    from calprune.data.storage.places import store_path
    from calprune.judge.exports import form_of

    root, reader = store_path(store, writing=True), Reader()
    only = None if bench is None else one_benchmark(bench)
    tables = _scored(reader.tables([root], only, model), root, form_of(format).scorer)
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
            f"{root}: none of its {counted(len(tables), 'condition')} has generated replies that "
            f"are scored as {scorer}: run 'calprune collect --bench {example}' first"
        )
    return wanted


def _chosen(tables: Sequence[LogitTable], condition: str, grades: Path) -> LogitTable:
    """The condition whose grades a file holds; PlanError if that is not clear."""
    from calprune.analyze.experiments.match import match
    from calprune.data.condition_names import name_of

    if not condition:
        found = [t for t in tables if t.condition.key[:8] in grades.name]
        if len(found) != 1:
            raise PlanError(f"--grades {grades}: say whose they are with --condition NAME")
        return found[0]
    found = match(condition, tables)
    if len(found) > 1:
        listed = ", ".join(
            f"{name_of(c)} ({c.key[:8]}, {c.model}, {c.benchmark})"
            for c in (t.condition for t in found)
        )
        raise PlanError(
            f"--condition {condition!r}: {len(found)} conditions are called so; write a whole "
            f"name, --model or --bench, or one of their keys: {listed}"
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
        with bar("judging replies") as progress:
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
    from calprune.data.condition_names import name_of
    from calprune.data.grades import found_path, grades_of
    from calprune.judge.run import mean_score

    for table in tables:
        grades, c = grades_of(table), table.condition
        score = (
            f"{100 * mean_score(table, grades):.1f} over {counted(len(grades), 'reply', 'replies')}"
        )
        where = found_path(table.path)
        print(printable(f"{c.model} {c.benchmark} {name_of(c)}: {score}, {where}"))


def _export(tables: Sequence[LogitTable], format: str, out: Path) -> None:
    from calprune.data.condition_names import name_of
    from calprune.judge.exports import export, form_of

    for table in tables:
        path = export(table, format, out)
        print(
            printable(
                f"{path}: {counted(len(table), 'reply', 'replies')} of {name_of(table.condition)}"
            )
        )
    print(f"next: {form_of(format).next}")
