"""``calprune pack``, ``unpack``, ``push`` and ``pull``: conditions handed to others, and taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calprune.commands.modes import reading
from calprune.commands.options import (
    OnlyBenchOption,
    OnlyKeepOption,
    OnlyModelOption,
    OnlySelectOption,
    listed,
)
from calprune.errors import PlanError
from calprune.extras import check as installed
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

    app.command(
        cls=reading("push"),
        epilog="Examples:  calprune push calprune-store hf://me/pope-pruned  ·  calprune push "
        "calprune-store hf://me/pope-pruned --create --bench pope --select full --select scope",
    )(push)
    app.command(
        cls=reading("pull"),
        epilog="Examples:  calprune pull hf://lab/theirs@COMMIT  ·  calprune pull "
        "hf://lab/theirs@COMMIT --bench pope --model llava-1.5-7b --into their-store  ·  calprune "
        "pull 'https://…/theirs.calprune#sha256=…'",
    )(pull)


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
    from calprune.data.sharing.locations import SUFFIX
    from calprune.data.sharing.pack import packed
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


def push(
    store: Annotated[Path, typer.Argument(help="Folder of the cache.")],
    to: Annotated[str, typer.Argument(metavar="hf://OWNER/NAME", help="A dataset repository.")],
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    select: OnlySelectOption = None,
    keep: OnlyKeepOption = None,
    features: FeaturesOption = False,
    create: Annotated[
        bool, typer.Option("--create", help="Make the repository, a public one, if need be.")
    ] = False,
) -> None:
    """Publish sealed conditions in a dataset repository of the hub, with a README; one commit.

    Files that are there already are not sent again; none is ever replaced. Log in first, by 'hf
    auth login'; HF_ENDPOINT names another hub.
    """
    from calprune.analyze.readme_card import readme_card
    from calprune.commands.progress import status
    from calprune.commands.reading import Reader
    from calprune.data.sharing.files import shared_files
    from calprune.data.sharing.locations import hub_of
    from calprune.data.sharing.push import push as publish
    from calprune.data.storage.places import store_path

    hub = hub_of(to)
    installed("push", "share", "huggingface_hub")
    reader = Reader()
    with status() as tell:
        root = store_path(store)
        tables = reader.tables([root], bench, model, tell, select=select, keep=keep)
        files = shared_files(tables, [root], features=features)
        tell("writing the card")
        card = readme_card(tables, f"calprune analyze --store {hub}@COMMIT")
        done = publish(hub, card, files, tell, create=create)
    there = f", {len(done.there)} there already" if done.there else ""
    print(printable(f"{hub}: {counted(len(done.sent), 'file')} sent{there}"))
    print(printable(f"others now:  calprune analyze --store {done.hub}"))
    reader.end()


def pull(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="hf://OWNER/NAME@COMMIT or https://…#sha256=…"),
    ],
    bench: OnlyBenchOption = None,
    model: OnlyModelOption = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Only files with this in their names, such as scope or k64; repeat it."),
    ] = None,
    features: FeaturesOption = False,
    into: Annotated[
        Path | None,
        typer.Option(help="The store to add to.  [default: none; what was fetched is read]"),
    ] = None,
) -> None:
    """Fetch what somebody published; go on where it was cut off; add it to a store if asked.

    It is pinned: to a commit, or to the SHA-256 of the bytes. Without --into it stays in a private
    folder, which 'calprune analyze --store SOURCE' reads, and completes.
    """
    from calprune.commands.progress import status
    from calprune.data.sharing.files import receive
    from calprune.data.sharing.locations import Web, location
    from calprune.data.sharing.pull import fetched, pulled
    from calprune.data.storage.places import store_path
    from calprune.data.storage.store import Store

    where = location(source)
    chosen = Chosen(bench, model, tuple(condition or ()), features)
    if isinstance(where, Web) and chosen != Chosen():
        raise PlanError(f"{where.url} is fetched as a whole: leave {chosen.options} out")
    root = None if into is None else store_path(into, writing=True)
    with status() as tell:
        if isinstance(where, Web):
            folder = fetched(source, tell)
        else:
            installed("pull", "share", "huggingface_hub")
            folder = pulled(where, chosen, tell)
        if root is None:
            print(printable(f"{where}: {counted(len(Store(folder).logit_files()), 'condition')}"))
            read = folder if chosen != Chosen() else f"'{where}'"
            print(printable(f"now:  calprune analyze --store {read}"))
            return
        done = receive(folder, Store(root), tell, chosen)
    there = f", {len(done.there)} there already" if done.there else ""
    print(printable(f"{root}: {counted(len(done.written), 'file')} added{there}"))
    print(printable(f"now:  calprune analyze --store {root}"))


@dataclass(frozen=True)
class Chosen:
    """Which files of a repository are fetched, by their names in a store."""

    bench: str | None = None
    model: str | None = None
    conditions: tuple[str, ...] = ()
    features: bool = False

    def __call__(self, name: str) -> bool:
        """Whether a file is."""
        from calprune.data.storage.store import safe

        room, model, bench, *rest = name.split("/")
        blocks = room in ("features", "rankings")
        if blocks and not self.features:
            return False
        benches = [safe(one) for one in listed(self.bench)]
        if self.model is not None and model not in [safe(one) for one in listed(self.model)]:
            return False
        if room == "features":
            return not benches or any(bench.startswith(f"{one}-") for one in benches)
        if benches and bench not in benches:
            return False
        words = rest[0].removesuffix(".h5").split("-")
        return not self.conditions or any(
            set(safe(one).split("-")) <= set(words) for one in self.conditions
        )

    @property
    def options(self) -> str:
        """Those that were given."""
        given = {"--bench": self.bench, "--model": self.model, "--condition": self.conditions}
        return ", ".join(name for name, value in given.items() if value) or "--features"


def _counted(tables: list[LogitTable]) -> str:
    places = {(t.condition.model, t.condition.benchmark) for t in tables}
    where = (
        " on ".join(*places) if len(places) == 1 else f"{len(places)} pairs of model and benchmark"
    )
    return f"{counted(len(tables), 'condition')} of {where}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
