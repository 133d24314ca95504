"""Where a store is: a folder, the packaged sample, or a copy of what others have shared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from calprune.data.sharing.locations import is_pack, is_remote
from calprune.data.storage.origin import SAMPLE
from calprune.errors import PlanError
from calprune.terminal import remark

DEFAULT_STORE = "calprune-store"


def store_path(given: Path | str | None = None, *, writing: bool = False) -> Path:
    """The store asked for, or ``$CALPRUNE_STORE``, or ``./calprune-store``.

    ``sample`` is the small cache of the embedded study that is part of the package; a folder of
    that name is told by its absolute path. A pack, ``FILE.calprune``, and what others published,
    ``hf://owner/name@commit`` or ``https://…#sha256=…``, are read from private copies. PlanError if
    any of these is wanted for ``writing``.
    """
    asked = str(given or os.environ.get("CALPRUNE_STORE") or DEFAULT_STORE)
    if is_shared(asked) and writing:
        raise PlanError(f"{asked} is only read: 'calprune unpack' or 'pull' it into a store first")
    if (folder := shared_folder(asked)) is not None:
        return folder
    if asked != "sample":
        try:
            os.lstat(asked)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass  # who opens it will say so
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise PlanError(f"--store {asked[:40]!a}…: {why}; choose another folder") from error
        return Path(asked)
    if writing:
        raise PlanError(
            "the sample is only read; name another --store, or a folder of that name by "
            "its absolute path"
        )
    return SAMPLE


def shared_folder(asked: Path | str) -> Path | None:
    """The private folder of a pack, or of what others published; None for anything else."""
    if is_remote(asked):
        from calprune.data.sharing.pull import fetched

        return fetched(asked)
    if is_pack(asked):
        from calprune.data.sharing.opened import opened_pack

        return opened_pack(Path(asked))
    return None


def is_shared(asked: Path | str) -> bool:
    """Whether this names a pack that is here, or what others published."""
    return is_remote(asked) or is_pack(asked)


def store_paths(given: Sequence[Path | str] | None = None) -> list[Path]:
    """Those asked for, each once, or the one of ``store_path``.

    Of several, those that others shared are told on stderr with the folders that they are read
    from, so that messages about their files can be understood.
    """
    found: dict[str, Path] = {}
    for one in given or ("",):
        path = store_path(one)
        if given and len(given) > 1 and is_shared(one):
            remark(f"{one} is read from {path}")
        found.setdefault(os.path.realpath(path), path)
    return list(found.values())
