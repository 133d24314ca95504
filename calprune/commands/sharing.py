"""``calprune pack`` and ``unpack``: conditions as one file, and back into a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calprune.commands.modes import reading
from calprune.commands.options import (
    OnlyBenchOption,
    OnlyKeepOption,
    OnlyModelOption,
    OnlySelectOption,
)
from calprune.errors import PlanError
from calprune.terminal import counted, printable

if TYPE_CHECKING:
    from calprune.data.storage.logits import LogitTable

FeaturesOption = Annotated[
    bool,
    typer.Option(
        "--features",
        help="With what they were made from, to ask for more conditions elsewhere; large.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        cls=reading("pack"),
        epilog="Examples:  calprune pack calprune-store mine.calprune  ·  calprune pack sample "
        "scope.calprune --select full --select scope --keep 64  ·  calprune analyze --store "
        "mine.calprune",
    )(pack)
    app.command(
        cls=reading("unpack"),
        epilog="Examples:  calprune unpack theirs.calprune  ·  calprune unpack theirs.calprune "
        "--into their-store",
    )(unpack)


def pack(
    store: Annotated[Path, typer.Argument(help="Folder of the cache; sample is a small one.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.calprune", help="The file to write.")],
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    select: OnlySelectOption = None,
    keep: OnlyKeepOption = None,
    features: FeaturesOption = False,
) -> None:
    """One file with sealed conditions, for a mail or a paper's supplement, and a README.

    It is a plain tar file; equal conditions give equal bytes. Grades and audits of the conditions
    go with them.
    """
    from calprune.analyze.readme_card import readme_card
    from calprune.commands.progress import status
    from calprune.commands.reading import Reader
    from calprune.data.sharing.files import shared_files
    from calprune.data.sharing.pack import SUFFIX, packed
    from calprune.data.storage.places import store_path
    from calprune.data.storage.publishing import publish_pieces

    if out.suffix != SUFFIX:
        raise PlanError(f"{out}: a pack is called so that one knows it, {out.stem}{SUFFIX}")
    if out.exists():
        raise PlanError(f"{out} is there already: name another file, or move it away")
    reader = Reader()
    with status() as tell:
        root = store_path(store)
        tables = reader.tables([root], bench, model, tell, select=select, keep=keep)
        files = shared_files(tables, [root], features=features)
        tell("writing the card")
        card = readme_card(tables, f"calprune analyze --store FILE{SUFFIX}")
        tell(f"writing {out.name}")
        if not publish_pieces(out, packed(card, files)):
            raise PlanError(f"{out} is there already: name another file, or move it away")
    told = f"{_counted(tables)}, {counted(len(files), 'file')}, {_size(out.stat().st_size)}"
    print(printable(f"{out}: {told}"))
    print(printable(f"now:  calprune analyze --store {out}"))
    reader.end()


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE.calprune", help="What somebody packed.")],
    into: Annotated[
        Path | None,
        typer.Option(help="The store to add to.  [default: $CALPRUNE_STORE or ./calprune-store]"),
    ] = None,
) -> None:
    """Add what somebody packed to a store; every file is checked first, none is ever replaced.

    Files that are there already are left as they are; another file of the same key is refused, and
    then nothing is written.
    """
    from calprune.commands.progress import status
    from calprune.data.sharing.files import receive
    from calprune.data.sharing.opened import opened_pack
    from calprune.data.storage.places import store_path
    from calprune.data.storage.store import Store

    root = store_path(into, writing=True)
    if root.exists() and not root.is_dir():
        raise PlanError(f"--into {root} is a file; a store is a folder")
    with status() as tell:
        done = receive(opened_pack(file, tell), Store(root), tell)
    there = f", {len(done.there)} there already" if done.there else ""
    print(printable(f"{root}: {counted(len(done.written), 'file')} added{there}"))
    print(printable(f"now:  calprune analyze --store {root}"))


def _counted(tables: list[LogitTable]) -> str:
    places = {(t.condition.model, t.condition.benchmark) for t in tables}
    where = (
        " on ".join(*places) if len(places) == 1 else f"{len(places)} pairs of model and benchmark"
    )
    return f"{counted(len(tables), 'condition')} of {where}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
