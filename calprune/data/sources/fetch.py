"""Fetching tables from the hub: with its own client, of one commit, and checked file by file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from calprune.data.sources.hub import (
    CARD,
    HubTable,
    belonging,
    cached,
    damage,
    file_sha256,
    local_tables,
    read_card,
    unlike,
)
from calprune.errors import BenchmarkError, CalpruneError, PlanError, WriteError
from calprune.extras import check

_PATIENCE = 30.0  # seconds until the hub's list of files
_DISK = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EEXIST),
}

Say = Callable[[str], None]


def fetch(table: HubTable, folder: Path | None = None, say: Say = lambda text: None) -> list[Path]:
    """Download a table and check every file's SHA-256; files that are here already are not fetched.

    If the hub cannot be asked, what was fetched before will do. A file that arrives otherwise than
    announced is fetched once more, and then removed.

    Args:
        table: what to download.
        folder: where to; None uses the hub's cache, where collect finds it by itself.
        say: told what happens, a line at a time.

    Raises:
        BenchmarkError: no repository has it, the network failed, or a file is not as announced.
        PlanError: ``folder`` holds other files, which might be overwritten or mixed up with these.
        WriteError: nothing can be written there.
        MissingExtra: the hub's client is not installed.
    """
    check("fetching", "data", "huggingface_hub")
    try:
        repository, info = _listed(table, say)
    except BenchmarkError as error:
        here = _here(table, folder)
        if not here:
            raise
        say(f"{error}; what was fetched before is checked instead")
        for path in here:
            if wrong := damage(path):
                raise BenchmarkError(f"{wrong}; fetch it again") from error
        return here
    announced = {s.rfilename: s for s in info.siblings or []}
    commit = info.sha or "main"
    _check_folder(folder, announced, repository)

    def get(name: str, force: bool = False) -> Path:
        return _download(repository, name, commit, folder, force)

    card = read_card(_verified(CARD, announced[CARD], get, say)) if CARD in announced else None
    names = belonging(announced, card, table)
    if not names:
        raise BenchmarkError(
            f"{repository}: no parquet files of configuration {table.config!r}, split "
            f"{table.split!r}; it has {', '.join(sorted(announced)[:8])}"
        )
    size = sum(announced[n].size or 0 for n in names)
    say(f"{repository} at commit {commit[:12]}: {len(names)} files, {size / 1e6:,.1f} MB")
    paths = [_verified(name, announced[name], get, say) for name in names]
    if folder is None and CARD in announced:
        with contextlib.suppress(CalpruneError):  # the client notes which commit main is
            _download(repository, CARD, "main", None, force=False)
    return paths


def _listed(table: HubTable, say: Say) -> tuple[str, Any]:
    """The first repository that is there, and what the hub says of it and its files."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    refused: BenchmarkError | None = None
    for repository in table.repositories:
        try:
            return repository, HfApi().dataset_info(
                repository, files_metadata=True, timeout=_PATIENCE
            )
        except GatedRepoError:
            refused = _gated(repository)
            say(f"{repository}: gated")
        except RepositoryNotFoundError:  # the hub does not tell missing ones from private ones
            say(f"{repository}: not there")
        except Exception as error:  # the client raises its own, and those of its HTTP library
            raise _failed(repository, error) from error
    raise refused or BenchmarkError(
        f"the hub has none of {', '.join(table.repositories)}, or it is private: if you may read "
        "it, run 'hf auth login' first"
    )


def _here(table: HubTable, folder: Path | None) -> list[Path]:
    """What was fetched before, if it is whole."""
    try:
        if folder is None:
            return cached(table)
        found = local_tables(folder, {"table": table})
        return found["table"] if found else []
    except BenchmarkError:
        return []


def _check_folder(folder: Path | None, announced: Mapping[str, Any], repository: str) -> None:
    """PlanError for a folder whose own files would be overwritten, or mixed up with the new."""
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise PlanError(f"--dir {folder}: not a folder")
    if not (folder / ".cache" / "huggingface" / "download").is_dir() and any(folder.iterdir()):
        raise PlanError(f"--dir {folder}: holds other files already; name an empty folder")
    for path in folder.rglob("*.parquet"):
        if path.relative_to(folder).as_posix() not in announced:
            raise PlanError(
                f"--dir {folder}: {path.relative_to(folder)} is not of {repository} as it is now; "
                "delete it, or name an empty folder"
            )


def _download(repository: str, name: str, commit: str, folder: Path | None, force: bool) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(
            hf_hub_download(
                repository,
                name,
                repo_type="dataset",
                revision=commit,  # files of one commit, also if the hub changes meanwhile
                local_dir=folder,
                force_download=force,
            )
        )
    except Exception as error:
        raise _failed(repository, error) from error


def _verified(name: str, announced: Any, get: Callable[..., Path], say: Say) -> Path:
    """The file, downloaded if need be, and again if it is not as announced."""
    path = get(name)
    if not _wrong(path, announced):
        return path
    say(f"{name}: damaged; fetching it again")
    path = get(name, force=True)
    wrong = _wrong(path, announced)
    if wrong:
        _remove(path)
        raise BenchmarkError(
            f"{wrong} twice; it has been removed: is there a proxy or mirror between? try again "
            "later, or from elsewhere"
        )
    return path


def _wrong(path: Path, announced: Any) -> str:
    """How a file differs from what the hub announced; empty if it does not."""
    if announced.lfs:
        found = file_sha256(path)
        return "" if found == announced.lfs.sha256 else unlike(path, found, announced.lfs.sha256)
    try:
        content = path.read_bytes()  # small; git names it by the SHA-1 of length and content
    except OSError as error:
        raise BenchmarkError(f"cannot read {path}: {error.strerror or error}") from error
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if announced.blob_id in (None, blob):
        return ""
    return f"{path}: git's digest is {blob[:12]}…, the hub announced {announced.blob_id[:12]}…"


def _remove(path: Path) -> None:
    blob = path.parent / os.readlink(path) if path.is_symlink() else path
    path.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)


def _gated(repository: str) -> BenchmarkError:
    from huggingface_hub import constants

    return BenchmarkError(
        f"{repository} is gated: accept its terms at {constants.ENDPOINT}/datasets/{repository}, "
        "then run 'hf auth login' and fetch again"
    )


def _failed(repository: str, error: Exception) -> CalpruneError:
    """The client's many errors in words: what to do is what matters."""
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled

    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if isinstance(error, GatedRepoError):
        return _gated(repository)
    if isinstance(error, OfflineModeIsEnabled) or isinstance(cause, OfflineModeIsEnabled):
        return BenchmarkError(
            f"cannot fetch {repository}: HF_HUB_OFFLINE is set; unset it, or fetch with --dir "
            "where there is a network and bring the folder"
        )
    if isinstance(error, OSError) and error.errno in _DISK:
        return WriteError(f"cannot store {repository}: {error}; free or choose another place")
    first = str(cause).strip().split("\n")[0]
    token = getattr(getattr(error, "response", None), "status_code", 0) == 401
    way = "is your token still good? 'hf auth login' or unset HF_TOKEN; " if token else ""
    return BenchmarkError(
        f"cannot fetch {repository}: {type(cause).__name__}: {first}; {way}files that have arrived "
        "whole are kept: run the same command again to go on"
    )
