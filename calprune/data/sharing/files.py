"""Which files of a store are shared with conditions, and how what was shared comes into another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from calprune.data.grades import found_path, read_grades, root_of
from calprune.data.sharing.pack import check_name, pieces_of, sha256_of_file
from calprune.data.storage.container import Sealed
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.needs import blocks_of, needed
from calprune.data.storage.publishing import publish_pieces
from calprune.data.storage.reading import check_file
from calprune.data.storage.store import Store
from calprune.data.storage.walk import files
from calprune.errors import Mismatch
from calprune.terminal import Tell, silent

_KINDS = {
    "logits": {"calprune.logits"},
    "audits": {"calprune.audits"},
    "features": {"calprune.features", "calprune.signals"},
    "rankings": {"calprune.rankings", "calprune.merges"},
}


def shared_files(
    tables: Sequence[LogitTable], roots: Collection[Path], *, features: bool = False
) -> dict[str, Path]:
    """Files that belong to conditions, by their names in a store, in order.

    Args:
        tables: the conditions.
        roots: of the stores that they are from.
        features: those too that the conditions were made from, and rankings; they are large.

    Raises:
        Mismatch: two different files hold one condition.
    """
    found: dict[str, Path] = {}
    for table in tables:
        place = Store(Path()).logits(table.condition)
        other = found.setdefault(place.as_posix(), table.path)
        if other != table.path and sha256_of_file(other) != sha256_of_file(table.path):
            raise Mismatch(f"{other} and {table.path} hold one condition; keep one of them")
        grades = found_path(table.path)
        if grades is not None:
            inside = place.relative_to("logits").with_suffix(".json")
            found[(Path("grades") / inside).as_posix()] = grades
        root = root_of(table.path)
        if root is not None:
            beside = root / "audits" / place.parent.relative_to("logits")
            for path in sorted(beside.glob(f"{place.stem}-*.h5")):
                found[path.relative_to(root).as_posix()] = path
    for root in roots if features else ():
        for blocks in needed(blocks_of(root), [t.condition for t in tables]):
            found.update({p.relative_to(root).as_posix(): p for p in blocks.files})
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Received:
    """What came into a store: names of files that were written, and of those there already."""

    written: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)


def everything(_name: str) -> bool:
    """All files."""
    return True


def receive(
    folder: Path,
    store: Store,
    tell: Tell = silent,
    wanted: Callable[[str], bool] = everything,
) -> Received:
    """Copy shared files from a private folder into a store, each checked; nothing is replaced.

    Args:
        folder: that holds them.
        store: the one to add to.
        tell: told what is being done.
        wanted: which files, by their names in a store.

    Raises:
        StoreError: a file cannot be trusted, or another one of its name or of its key is there;
            then nothing is written.
        WriteError: the disk is full or not ours; files that are written are whole, and the next
            time they are there already.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in files(folder))
    names = [name for name in names if "/" in name and wanted(name)]  # the card is for people
    done = Received()
    fresh: list[str] = []
    own = _by_key(store)
    for i, name in enumerate(names, start=1):
        tell(f"checking file {i} of {len(names)}")
        sealed = _checked(name, folder / name)
        there = store.root / name
        rivals = [there] if there.exists() else own(sealed)
        for rival in rivals:
            _check_same(folder / name, sealed, rival)
        (done.there if rivals else fresh).append(name)
    for i, name in enumerate(fresh, start=1):
        tell(f"writing file {i} of {len(fresh)}")
        if not publish_pieces(store.root / name, pieces_of(folder / name)):
            _check_same(folder / name, _checked(name, folder / name), store.root / name)
        done.written.append(name)
    return done


def _checked(name: str, path: Path) -> Sealed | None:
    """What a file holds, None of grades; StoreError unless it is one of those its name promises."""
    try:
        check_name(name)
    except ValueError as error:
        raise Mismatch(f"{path}: {error}") from error
    room = name.split("/")[0]
    if room == "grades":
        read_grades(path)
        return None
    sealed = check_file(path)
    if sealed.kind not in _KINDS[room]:
        raise Mismatch(f"{path}: holds {sealed.kind}, which does not belong into {room}/")
    return sealed


def _by_key(store: Store) -> Callable[[Sealed | None], list[Path]]:
    """Logit files of a store with a sealed file's key, wherever they lie."""
    paths: Iterable[Path] = store.logit_files() if store.root.is_dir() else ()
    listed = list(paths)

    def found(sealed: Sealed | None) -> list[Path]:
        if sealed is None or sealed.kind != "calprune.logits":
            return []
        alike = (p for p in listed if p.stem.endswith(f"-{sealed.key[:8]}"))
        return [p for p in alike if check_file(p).key == sealed.key]

    return found


def _check_same(path: Path, sealed: Sealed | None, there: Path) -> None:
    """Mismatch, which names both, unless they hold the same."""
    if sha256_of_file(path) == sha256_of_file(there):
        return
    if sealed is None or check_file(there).digest != sealed.digest:
        what = "other grades" if sealed is None else f"other content for key {sealed.key[:8]}"
        raise Mismatch(
            f"{there} is there and holds {what} than {path}; nothing was written: keep one of "
            "them, or take the new one into another store with --into"
        )
