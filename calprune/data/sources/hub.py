"""Tables of the hub: which files belong to a benchmark, and which of them are on this machine.

What is here is found by the cache's documented layout, ``datasets--org--name/snapshots/commit``, so
that the hub's client, whose import is slow, is needed for nothing but fetching.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calprune.errors import BenchmarkError

CARD = "README.md"
_YAML = re.compile(r"\A\s*---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?=[-.])")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_USUAL = ("", "data", "default")  # folders of the default configuration


@dataclass(frozen=True)
class HubTable:
    """One table on the hub.

    ``repositories``: the same data under several names, tried in this order; ``config`` and
    ``split`` as in the dataset's card; ``config`` ``*`` takes every configuration.
    """

    repositories: tuple[str, ...]
    config: str = "default"
    split: str = "test"


@dataclass(frozen=True)
class Stored:
    """What the hub's client recorded of a file when it stored it; empty where it is not known."""

    repository: str = ""
    commit: str = ""
    sha256: str = ""


def lmms_lab(name: str) -> tuple[str, ...]:
    """The two organisations under which lmms-eval publishes its tables."""
    return (f"lmms-lab/{name}", f"lmms-lab-encoder/{name}")


# --- which files -------------------------------------------------------------------------------


def belonging(files: Iterable[str], card: Mapping[str, Any] | None, table: HubTable) -> list[str]:
    """Which of a repository's files are this table, by its card or else by the usual names."""
    parquet = sorted(f for f in files if f.endswith(".parquet"))
    patterns = [_glob(p) for p in _patterns(card or {}, table)]
    listed = [f for f in parquet if any(p.fullmatch(f) for p in patterns)]
    if listed:
        return listed
    named = [f for f in parquet if _tells(f, table.split)]
    if table.config == "*":
        return named
    if table.config == "default":
        return [f for f in named if f.rpartition("/")[0] in _USUAL] or named
    return [f for f in named if table.config in f.split("/")[:-1]]


def _tells(file: str, split: str) -> bool:
    """Whether a file's name is that of a split, e.g. ``test-00000-of-00003.parquet``."""
    return re.match(rf"{re.escape(split)}[-.]", file.split("/")[-1]) is not None


def _patterns(card: Mapping[str, Any], table: HubTable) -> list[str]:
    """Patterns of the table's files in a card's metadata, in any form that the hub allows."""
    configs = card.get("configs")
    found: list[str] = []
    for config in configs if isinstance(configs, list) else [configs]:
        if not isinstance(config, dict):
            continue
        if table.config not in ("*", str(config.get("config_name", "default"))):
            continue
        folder = str(config.get("data_dir") or "").strip("./")
        inside = f"{folder}/" if folder else ""
        files = config.get("data_files") or ([f"**/{table.split}[-.]*"] if folder else [])
        found += [inside + p.removeprefix("./") for p in _of_split(files, table.split)]
    return found


def _of_split(files: Any, split: str) -> Iterator[str]:
    """A pattern, a list of them, a list of {split, path}, or an object of paths by split."""
    if isinstance(files, dict):
        files = [{"split": name, "path": path} for name, path in files.items()]
    for entry in files if isinstance(files, list) else [files]:
        if isinstance(entry, dict):
            if entry.get("split") == split:
                path = entry.get("path")
                yield from map(str, path if isinstance(path, list) else [path] if path else [])
        elif isinstance(entry, str) and (split == "train" or _tells(entry, split)):
            yield entry  # without a split of its own the hub takes it for train


def _glob(pattern: str) -> re.Pattern[str]:
    """A file pattern as the hub reads it: ``*`` stays in its folder, ``**`` does not."""
    out = ""
    for piece in re.findall(r"\*\*/?|\*|\?|\[[^\]]+\]|.", pattern):
        if piece.startswith("**"):
            out += "(?:.*/)?" if piece.endswith("/") else ".*"
        elif piece.startswith("[") and len(piece) > 1:
            out += piece.replace("[!", "[^").replace("\\", "\\\\")
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
    try:
        return re.compile(out)
    except re.error:  # brackets with nothing sensible in them
        return re.compile(re.escape(pattern))


def read_card(path: Path) -> Mapping[str, Any] | None:
    """The metadata of a dataset's card; None if there is none that can be read."""
    try:
        import yaml  # type: ignore[import-untyped]  # comes with huggingface_hub

        block = _YAML.search(path.read_text(encoding="utf-8-sig"))
        content = yaml.safe_load(block[1]) if block else None
    except ModuleNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):  # names tell as well
        return None
    return content if isinstance(content, dict) else None


# --- what is here ------------------------------------------------------------------------------


def local_tables(root: Path, tables: Mapping[str, HubTable]) -> dict[str, list[Path]] | None:
    """The files of all tables below a folder; None unless each has some.

    Raises BenchmarkError if some files of a table are missing, or are of several releases.
    """
    paths = (p for p in root.rglob("*.parquet") if os.path.isfile(p))  # of links, whole ones
    names = [p.relative_to(root).as_posix() for p in paths]
    names = [n for n in names if not n.startswith(".") and "/." not in n]
    card = read_card(root / CARD) if names else None
    found = {name: belonging(names, card, table) for name, table in tables.items()}
    if not found or not all(found.values()):
        return None
    for name, table in tables.items():
        _check_whole(root, found[name], _patterns(card or {}, table))
    return {name: [root / f for f in files] for name, files in found.items()}


def _check_whole(root: Path, files: Sequence[str], patterns: Sequence[str]) -> None:
    """BenchmarkError if one of a numbered series, or a whole configuration, is not there."""
    again = "an interrupted download? fetch it again, whole files are kept"
    absent = [p for p in patterns if not any(_glob(p).fullmatch(f) for f in files)]
    if absent and len(absent) < len(patterns):
        raise BenchmarkError(f"{root}: nothing is there of {', '.join(absent[:3])}; {again}")
    series: dict[str, list[tuple[int, int]]] = {}
    for file in files:
        if match := _SHARD.search(file):
            series.setdefault(file[: match.start()], []).append((int(match[1]), int(match[2])))
    for stem, numbered in series.items():
        numbers, totals = {i for i, _ in numbered}, {n for _, n in numbered}
        if len(totals) > 1 or len(numbers) < len(numbered):
            raise BenchmarkError(
                f"{root}: the files {stem}-* are of two releases; delete the older ones, or fetch "
                "into an empty folder"
            )
        (total,) = totals
        if lacking := set(range(total)) - numbers:
            series_of = f"{total} files {stem}-*-of-{total:05d}"
            raise BenchmarkError(
                f"{root}: {total - len(lacking)} of the {series_of} are there; {again}"
            )


def cached(table: HubTable) -> list[Path]:
    """The files of a table in the hub's local cache; none if it was never fetched.

    Of several commits the one that ``main`` was last is preferred, then the newest that is whole.
    Raises BenchmarkError if there are only parts of it.
    """
    broken: BenchmarkError | None = None
    for repository in table.repositories:
        for snapshot in _snapshots(repository):
            try:
                found = local_tables(snapshot, {"table": table})
            except BenchmarkError as error:
                broken = broken or error
                continue
            if found:
                return found["table"]
    if broken:
        raise broken
    return []


def _snapshots(repository: str) -> list[Path]:
    try:
        from huggingface_hub import constants
    except ModuleNotFoundError:
        return []
    home = Path(constants.HF_HUB_CACHE) / f"datasets--{repository.replace('/', '--')}"
    try:
        commits = [p for p in (home / "snapshots").iterdir() if p.is_dir()]
        newest = sorted(commits, key=lambda p: p.stat().st_mtime, reverse=True)
    except OSError:
        return []
    main = main_of(home)
    return sorted(newest, key=lambda p: p.name != main)


def main_of(home: Path) -> str:
    """The commit that the branch main was when it was last fetched, of a repository's cache."""
    try:
        return (home / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def stored(path: Path) -> Stored:
    """Where a file in the hub's cache, or in a folder that its client filled, came from."""
    for folder in path.parents:
        if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("datasets--"):
            repository = folder.parent.parent.name.removeprefix("datasets--").replace("--", "/")
            # one step only: the blob may itself be a link into a store with names of its own
            blob = Path(os.readlink(path)).name if path.is_symlink() else ""
            return Stored(repository, folder.name, blob if _SHA256.fullmatch(blob) else "")
        records = folder / ".cache" / "huggingface" / "download"
        record = records / f"{path.relative_to(folder)}.metadata"
        if os.path.isfile(record):  # False also where nobody may look
            try:
                commit, etag = [*record.read_text("utf-8", "replace").split("\n"), "", ""][:2]
            except OSError:
                return Stored()
            return Stored("", commit, etag if _SHA256.fullmatch(etag) else "")
    return Stored()


def revisions(paths: Iterable[Path]) -> tuple[str, ...]:
    """``organisation/name@commit`` of all that these files came from, as far as it is known.

    Of files in a folder of the user's own only the commit is known.
    """
    found = {stored(path) for path in paths}
    return tuple(sorted({f"{s.repository}@{s.commit}".lstrip("@") for s in found if s.commit}))


def damage(path: Path) -> str:
    """What is wrong with a stored file, by its recorded SHA-256; empty if nothing is known."""
    expected = stored(path).sha256
    found = file_sha256(path) if expected else ""
    return "" if found == expected else unlike(path, found, expected)


def unlike(path: Path, found: str, expected: str) -> str:
    """What to say of a file with another SHA-256 than expected."""
    return f"{path}: SHA-256 is {found[:12]}…, the hub announced {expected[:12]}…"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file; BenchmarkError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BenchmarkError(f"cannot read {path}: {error.strerror or error}") from error
