"""Fetching what others published, into private folders that are read like stores.

A repository of the hub holds a manifest as a pack does: names, sizes and SHA-256 of all files. It
bounds what is fetched, and everything that arrives is compared with it. What is here already and
whole is not fetched again; a file that was cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from calprune.data.sharing.locations import SUFFIX, Hub, Web, location
from calprune.data.sharing.opened import opened_pack, private
from calprune.data.sharing.pack import (
    CARD,
    LARGEST_MANIFEST,
    MANIFEST,
    Member,
    parsed,
    pieces_of,
    sha256_of_file,
)
from calprune.data.storage.publishing import publish, publish_pieces
from calprune.errors import DamagedFile, IncompleteError, PlanError, StoreError
from calprune.extras import needed
from calprune.terminal import Tell, silent

_PATIENCE = 30.0  # seconds for an answer
_LARGEST_PACK = 64 << 30
_PIECE = 1 << 20

Wanted = Callable[[str], bool]


def fetched(text: Path | str, tell: Tell = silent) -> Path:
    """A folder, which is a store, with all logits that a location names.

    Raises:
        PlanError: it is not pinned.
        IncompleteError: it is not there, or cannot be reached.
        StoreError: what arrives is not what was published.
        MissingExtra: the hub's client is not installed.
    """
    where = location(text)
    if isinstance(where, Web):
        return opened_pack(downloaded(where, tell), tell)
    return pulled(where, tell=tell)


def everything(name: str) -> bool:
    """All that results need."""
    return not name.startswith(("features/", "rankings/"))


def pulled(hub: Hub, wanted: Wanted = everything, tell: Tell = silent) -> Path:
    """As ``fetched``, of a repository: the files that are ``wanted``, by their names in a store."""
    if not hub.commit:
        raise PlanError(f"{hub}: name a commit; the newest is {hub}@{newest(hub)}")
    name = hashlib.sha256(str(hub).encode()).hexdigest()
    folder = private("pulled") / name
    members = {m.name: m for m in _manifest(hub, folder)}
    chosen = [m for m in members.values() if m.name == CARD or wanted(m.name)]
    if len(chosen) <= 1:
        raise IncompleteError(f"{hub}: none of its {len(members) - 1} files is asked for")
    missing = [m for m in chosen if not _whole(folder / m.name, m)]
    size = sum(m.size for m in missing)
    for i, member in enumerate(missing, start=1):
        tell(f"fetching file {i} of {len(missing)}, {size / 1e6:.1f} MB in all: {member.name}")
        _fetch(hub, member, folder / member.name)
    return folder


def newest(hub: Hub) -> str:
    """The commit that the repository's main branch is at."""
    with needed("hf://", "share"):
        from huggingface_hub import HfApi
    try:
        info = HfApi().dataset_info(hub.repository, timeout=_PATIENCE)
    except Exception as error:  # the client raises its own, and those of its HTTP library
        raise _failed(hub, error) from error
    return str(info.sha)


def _manifest(hub: Hub, folder: Path) -> list[Member]:
    path = folder / MANIFEST
    if not path.is_file():
        found = _from_hub(hub, MANIFEST)
        if found.stat().st_size > LARGEST_MANIFEST:
            raise DamagedFile(f"{hub}: its {MANIFEST} is too large")
        raw = found.read_bytes()
        parsed(f"{hub}/{MANIFEST}", raw)
        publish(path, raw)
    return parsed(str(path), path.read_bytes())


def _whole(path: Path, member: Member) -> bool:
    return (
        path.is_file()
        and path.stat().st_size == member.size
        and (sha256_of_file(path) == member.sha256)
    )


def _fetch(hub: Hub, member: Member, path: Path) -> None:
    found = _from_hub(hub, member.name)
    if not _whole(found, member):
        _forget(found)
        found = _from_hub(hub, member.name)
    if not _whole(found, member):
        _forget(found)
        raise DamagedFile(
            f"{hub}: {member.name} is not what its {MANIFEST} announces (SHA-256 "
            f"{member.sha256[:12]}…); tell its publisher"
        )
    path.unlink(missing_ok=True)  # damaged since
    publish_pieces(path, pieces_of(found))


def _from_hub(hub: Hub, name: str) -> Path:
    """A file in the client's own cache, which goes on with what was cut off."""
    with needed("hf://", "share"):
        from huggingface_hub import hf_hub_download
    try:
        return Path(hf_hub_download(hub.repository, name, repo_type="dataset", revision=hub.commit))
    except Exception as error:
        raise _failed(hub, error, name) from error


def _forget(path: Path) -> None:
    """Remove a file from the client's cache, and what it links to."""
    blob = path.parent / os.readlink(path) if path.is_symlink() else path
    path.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)


def _failed(hub: Hub, error: Exception, name: str = "") -> IncompleteError:
    """One line about what the client met."""
    kind = type(error).__name__
    what = {
        "RepositoryNotFoundError": "there is no such dataset repository, or it is private: if you "
        "may read it, run 'hf auth login' first",
        "GatedRepoError": "it is gated: accept its terms on its page, and run 'hf auth login'",
        "RevisionNotFoundError": "it has no such commit",
        "EntryNotFoundError": f"it has no {name}: was it pushed by calprune?",
        "RemoteEntryNotFoundError": f"it has no {name}: was it pushed by calprune?",
        "LocalEntryNotFoundError": "the hub cannot be reached; what has arrived is kept: run the "
        "command again",
    }.get(kind)
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return IncompleteError(f"{hub}: {what or f'{kind}: {first}; run the command again'}")


# --- any server ----------------------------------------------------------------------------------


def downloaded(web: Web, tell: Tell = silent) -> Path:
    """A pack from a server, whole and with the SHA-256 that was asked for, in a private folder."""
    path = private("downloads") / f"{web.sha256}{SUFFIX}"
    if path.is_file() and sha256_of_file(path) == web.sha256:
        return path
    part = path.with_suffix(".part")
    _download(web, part, tell)
    found = sha256_of_file(part)
    if found != web.sha256:
        part.unlink(missing_ok=True)
        raise DamagedFile(
            f"{web.url}: what arrived has SHA-256 {found[:12]}…, {web.sha256[:12]}… expected; it "
            "was removed: is the address right, and the digest its publisher's?"
        )
    os.replace(part, path)
    return path


def _download(web: Web, part: Path, tell: Tell) -> None:
    """The rest of a file, behind what is there of it."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    there = part.stat().st_size if part.is_file() else 0
    request = Request(web.url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urlopen(request, timeout=_PATIENCE) as answer:
            goes_on = there > 0 and answer.status == 206
            if there and not goes_on:
                there = 0
            length = int(answer.headers.get("Content-Length") or 0)
            if there + length > _LARGEST_PACK:
                raise StoreError(f"{web.url}: {there + length} bytes, more than any pack has")
            if shutil.disk_usage(part.parent).free < length:
                raise StoreError(f"{web.url}: {length} bytes, and {part.parent} has less room")
            with part.open("ab" if goes_on else "wb") as file:
                while piece := answer.read(_PIECE):
                    there += len(piece)
                    if there > _LARGEST_PACK:
                        raise StoreError(f"{web.url}: more than any pack has")
                    file.write(piece)
                    tell(f"fetching {there / 1e6:.1f} MB")
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise IncompleteError(
            f"{web.url}: {str(why)[:200]}; what has arrived is kept: run the command again"
        ) from error
