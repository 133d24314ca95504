"""Packs as stores: what they hold, in a private folder that is named after their content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from calprune.data.sharing.pack import Member, each_file, members, sha256_of_file
from calprune.data.storage.noted import cache_folder
from calprune.data.storage.publishing import abandoned, temporary
from calprune.errors import Mismatch, WriteError
from calprune.terminal import Tell, silent


def opened_pack(path: Path, tell: Tell = silent) -> Path:
    """A folder with all that a pack holds, each file as its manifest says; it is a store.

    It lies in the user's cache, is named after the SHA-256 of the pack, and may be deleted.

    Raises:
        StoreError: the pack is damaged or none.
        WriteError: it cannot be copied there.
    """
    tell(f"reading {path.name}")
    members(path)  # what is no pack is not hashed first
    name = sha256_of_file(path)
    target = private("packs") / name
    if target.is_dir():
        return target
    for left in target.parent.iterdir():
        if abandoned(left.name):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
    fresh = temporary(target.parent)

    def write(member: Member, pieces: Iterator[bytes]) -> None:
        tell(f"reading {path.name}: {member.name}")
        place = fresh / member.name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            file.writelines(pieces)

    try:
        fresh.mkdir(mode=0o700)
        each_file(path, write)
        if sha256_of_file(path) != name:
            raise Mismatch(f"{path}: has changed while it was read; run the command again")
        os.rename(fresh, target)
    except OSError as error:
        if target.is_dir():  # another process was first
            return target
        raise WriteError(
            f"cannot copy {path} to {target.parent}: {error.strerror or error}; free some space, "
            "or name another folder by XDG_CACHE_HOME"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def private(room: str) -> Path:
    """A folder in the user's cache that nobody else may look into; WriteError if there is none."""
    try:
        folder = cache_folder() / room
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = folder.stat()
        if about.st_uid != os.geteuid() or about.st_mode & 0o022:
            raise WriteError(
                f"{folder}: others may write there, and what is read from it must be private: "
                "'chmod go-w' it, or name another folder by XDG_CACHE_HOME"
            )
        return folder
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise WriteError(
            f"no private folder for what is read from others ({why}); name one by XDG_CACHE_HOME"
        ) from error
