"""``calprune gc`` and ``migrate``: what a store no longer needs, and files of older formats."""

from __future__ import annotations

from typing import Annotated

import typer

from calprune.commands.modes import reading
from calprune.commands.options import StoreOption, listed
from calprune.errors import PlanError, StoreError
from calprune.terminal import counted, in_columns, printable, remark

KINDS = ("temporary", "parts", "features", "rankings")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        cls=reading("gc"),
        epilog="Examples:  calprune gc  ·  calprune gc --kind temporary,parts  ·  calprune gc "
        "--store calprune-store --kind features --delete",
    )(gc)
    app.command(cls=reading("migrate"), epilog="Example:  calprune migrate --store calprune-store")(
        migrate
    )


def gc(
    store: StoreOption = None,
    kind: Annotated[
        str | None,
        typer.Option(help=f"Only {', '.join(KINDS)}, separated by commas.  [default: all]"),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what is listed; without it nothing is.")
    ] = False,
) -> None:
    """List what no sealed result needs: leftovers, unsealed parts, features; delete if asked.

    Sealed logits, audits and grades are never listed. Do not delete while collect is running on the
    same store: what it is about to read could be among the features.
    """
    from calprune import registry
    from calprune.commands.progress import status
    from calprune.data.storage.leftovers import freed, leftovers, remove
    from calprune.data.storage.places import store_path
    from calprune.data.storage.store import Store

    kinds = listed(kind) or list(KINDS)
    for name in kinds:
        if name not in KINDS:
            raise PlanError(registry.unknown("kind", name, KINDS))
    with status() as tell:
        tell("looking at what was made from what")
        found = leftovers(Store(store_path(store, writing=True)))
    found = [one for one in found if one.kind in kinds]
    if not found:
        print("nothing to delete")
        return
    rows = [
        (one.kind, _size(one.size), counted(len(one.files), "file"), str(one.path), one.about)
        for one in found
    ]
    print("\n".join(in_columns(rows, right=(1, 2))), end="\n\n")
    for name, count, size in freed(found):
        print(f"{name}: {counted(count, 'file')}, {_size(size)}")
    if not delete:
        print("nothing was deleted: say --delete")
        return
    for one in found:
        remove(one)
    print(f"deleted: {_size(sum(one.size for one in found))}")


def migrate(store: StoreOption = None) -> None:
    """Write new files for those of an older format beside them; old ones stay as they are.

    Files of an older minor version are read as they are, for ever: they need nothing.
    """
    from collections import Counter

    from calprune.commands.progress import status
    from calprune.data.storage.migration import migrate as each
    from calprune.data.storage.places import store_path
    from calprune.data.storage.store import Store

    versions, made, bad = Counter[str](), 0, 0
    with status() as tell:
        for one in each(Store(store_path(store, writing=True))):
            tell(f"reading {one.path.name}")
            if one.error is not None:
                bad += 1
                remark(one.error)
            elif one.made is not None:
                made += 1
                print(printable(f"{one.path} ({one.version}) -> {one.made}"))
            else:
                versions[one.version] += 1
    for version, count in sorted(versions.items()):
        print(f"format {version}: {counted(count, 'file')}, read as they are")
    print(f"{counted(made, 'file')} written" if made else "nothing needs to be migrated")
    if bad:
        print(f"{counted(bad, 'file')} cannot be read")
        raise typer.Exit(StoreError.exit_code)


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
