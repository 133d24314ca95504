"""``calprune import``: results of other programs, for the same analysis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calprune.commands.modes import reading
from calprune.commands.options import StoreOption
from calprune.errors import IncompleteError, PlanError
from calprune.terminal import counted, printable

if TYPE_CHECKING:
    from calprune.data.importing import Imported
    from calprune.data.log import Log, LogReader
    from calprune.data.storage.logits import LogitTable
    from calprune.data.storage.store import Store

EPILOG = (
    "Examples:  calprune import results.csv --bench pope --model mine --selector full  ·  calprune "
    "import results64.csv --bench pope --model mine --selector scope:alpha=0.5 --keep 64  ·  "
    "calprune import OUT/*/samples_*.jsonl --from lm-eval"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(name="import", cls=reading("import"), epilog=EPILOG)(import_)


def import_(
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOG...", help="Per-sample logs, or tables.")
    ],
    from_: Annotated[
        str,
        typer.Option(
            "--from", help="One of {names of logs}.  [default: what the file shows it is]"
        ),
    ] = "",
    store: StoreOption = None,
    bench: Annotated[str, typer.Option(help="Name of the questions.  [default: the log's]")] = "",
    model: Annotated[str, typer.Option(help="Name of the model.  [default: the log's]")] = "",
    selector: Annotated[
        str,
        typer.Option(
            help="How tokens were pruned: full, or any name, e.g. scope:alpha=0.5.  [default: "
            "imported, which says nothing]"
        ),
    ] = "",
    keep: Annotated[str, typer.Option(help="Tokens kept: a count, or a share as 25%.")] = "",
    label: Annotated[
        str, typer.Option(help="Tells conditions apart of which nothing else is known.")
    ] = "",
) -> None:
    """Read what another program logged, or a table of probabilities, into the cache.

    Whatever a log does not say is told; rows without what is needed are left out and counted.
    """
    from calprune.data.importing import Named, imported
    from calprune.data.storage.places import store_path
    from calprune.data.storage.store import Store

    root = store_path(store, writing=True)
    named = Named(bench, model, selector, keep, label)
    found = []
    for path in logs:
        name, reader, guessed = _reader(path, from_)
        log = reader.read(path)
        found.append((log, imported(log, named, name), f"{name}{', by its looks' * guessed}"))
    _check_apart(found)
    for log, made, how in found:
        table, new = _published(Store(root), made)
        _tell(log, made, how, table, new)
    print(f"next: calprune analyze --store {root}{_metrics(found)}")


def _reader(path: Path, asked: str) -> tuple[str, LogReader, bool]:
    """Name and reader of a file, and whether it was guessed; PlanError where that is not clear."""
    from calprune import registry
    from calprune.data.logs._records import head_of

    if not path.is_file():
        why = "a folder: name the files in it" if path.is_dir() else "no such file"
        raise IncompleteError(f"{path}: {why}")
    if asked:
        return asked, registry.load("logs", asked)(), False
    head = head_of(path)
    readers = {name: registry.load("logs", name)() for name in registry.names("logs")}
    claiming = [name for name, reader in readers.items() if reader.claims(head)]
    if len(claiming) != 1:
        looks = " and ".join(claiming) or "none of them"
        raise PlanError(
            f"{path} looks like {looks}: say what it is with --from, one of {', '.join(readers)}"
        )
    return claiming[0], readers[claiming[0]], True


def _check_apart(found: list[tuple[Log, Imported, str]]) -> None:
    """PlanError if two of the logs would be one condition."""
    seen: dict[str, Path] = {}
    for log, made, _ in found:
        other = seen.setdefault(made.condition.key, log.path)
        if other is not log.path:
            raise PlanError(
                f"{other} and {log.path} would be the same condition: import them one by one, with "
                "--selector and --keep, or --label, to say what each is"
            )


def _published(store: Store, made: Imported) -> tuple[LogitTable, bool]:
    """The table that is in the store now, and whether it is new.

    Grades first: without its sealed file nobody reads them. PlanError if another log is there
    under this name.
    """
    from calprune.data.grades import write_grades
    from calprune.data.storage.logits import table_of
    from calprune.data.storage.reading import read_logits
    from calprune.data.storage.sealing import seal

    path, sealed = store.logits(made.condition), made.sealed
    if path.exists():
        table = read_logits(path)
        given = table.provenance.get("imported", {}).get("sha256")
        if given != sealed.provenance["imported"]["sha256"]:
            raise PlanError(
                f"{path}: there already, from another file; --label NAME imports this one beside "
                "it, or delete that file"
            )
        return table, False
    if made.grades:
        write_grades(
            table_of(path, made.condition, sealed.provenance, sealed.arrays), made.grades, True
        )
    seal(path, sealed)
    return read_logits(path), True


def _tell(log: Log, made: Imported, how: str, table: LogitTable, new: bool) -> None:
    from calprune.data.condition_names import name_of

    c = made.condition
    written = "" if new else ", there already"
    print(printable(f"{log.path} ({how}): {c.model} on {c.benchmark}, {name_of(c)}"))
    print(printable(f"  {table.path}{written}"))
    kept = f"{len(made.kept):,} of {counted(len(log.rows), 'question')}"
    print(f"  {kept}; accuracy {_accuracy(log, table)}")
    for why, n in made.left_out.items():
        print(printable(f"  left out: {counted(n, 'question')}: {why}"))
    for line in made.said:
        print(printable(f"  {line}"))
    print(f"  metrics: {', '.join(_remaining(table))}")


def _accuracy(log: Log, table: LogitTable) -> str:
    from calprune.analyze.pipeline import read_predictions

    ours = f"{100 * float(read_predictions(table).correct.mean()):.2f}%"
    if log.printed is None:
        return ours
    return f"{ours}; {log.harness} printed {log.metric} {100 * log.printed:.2f}%"


def _remaining(table: LogitTable) -> list[str]:
    """Metrics that have a value here."""
    from calprune import registry
    from calprune.analyze.metric import resolve
    from calprune.analyze.pipeline import read_predictions
    from calprune.analyze.results.availability import has_value

    predictions = read_predictions(table)
    return [n for n in registry.names("metrics") if has_value(resolve(n)[0], predictions)]


def _metrics(found: list[tuple[Log, Imported, str]]) -> str:
    """What the next command is to ask for where the usual metrics are not to be had."""
    none = all(
        not made.condition.answer_tokens
        and not any(p is not None for row in made.kept for p in row.token_log_p)
        for _, made, _ in found
    )
    return " --metric accuracy" if none else ""
