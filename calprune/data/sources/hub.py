"""Parquet files of the hub: which belong to a benchmark, what is here, and fetching the rest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from calprune.errors import BenchmarkError, MissingExtra

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?=[-.])")


@dataclass(frozen=True)
class Part:
    """One table on the hub.

    ``repositories``: the same data under several names, tried in this order; ``config`` and
    ``split`` as in the dataset's card; ``config`` ``*`` takes every configuration.
    """

    repositories: tuple[str, ...]
    config: str = "default"
    split: str = "test"


def lmms_lab(name: str) -> tuple[str, ...]:
    """The two organisations under which lmms-eval publishes its tables."""
    return (f"lmms-lab/{name}", f"lmms-lab-encoder/{name}")


def belonging(files: Iterable[str], card: Mapping[str, Any] | None, part: Part) -> list[str]:
    """Which of a repository's files are this part, by its card or else by the usual names."""
    parquet = sorted(f for f in files if f.endswith(".parquet"))
    patterns = _patterns(card or {}, part)
    if patterns:
        return [f for f in parquet if any(fnmatchcase(f, p) for p in patterns)]
    named = [f for f in parquet if re.match(rf"{re.escape(part.split)}[-.]", f.split("/")[-1])]
    if part.config in ("default", "*"):
        return named
    return [f for f in named if part.config in f.split("/")[:-1]]


def _patterns(card: Mapping[str, Any], part: Part) -> list[str]:
    """File patterns of a configuration and split in the metadata of a dataset card."""
    found: list[str] = []
    configs = card.get("configs")
    for config in configs if isinstance(configs, list) else []:
        if part.config not in ("*", config.get("config_name", "default")):
            continue
        entries = config.get("data_files") or []
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("split") == part.split:
                path = entry.get("path") or []
                found += [path] if isinstance(path, str) else list(path)
    return [p.removeprefix("./") for p in found]


def local_parts(root: Path, parts: Mapping[str, Part]) -> dict[str, list[Path]] | None:
    """The files of all parts below a folder; None unless each part has some.

    Raises BenchmarkError if some files of a part are missing.
    """
    names = [p.relative_to(root).as_posix() for p in root.rglob("*.parquet")]
    names = [n for n in names if not n.startswith(".") and "/." not in n]
    card = _card(root / "README.md")
    found = {name: belonging(names, card, part) for name, part in parts.items()}
    if not found or not all(found.values()):
        return None
    return {name: _whole(root, files) for name, files in found.items()}


def _whole(root: Path, files: list[str]) -> list[Path]:
    """Paths of a part's files; BenchmarkError if one of a numbered series is not there."""
    for name in files:
        match = _SHARD.search(name)
        if match:
            stem = name[: match.start()]
            there = {m[1] for f in files if f.startswith(stem) and (m := _SHARD.search(f))}
            if len(there) < int(match[2]):
                raise BenchmarkError(
                    f"{root}: {len(there)} of the {int(match[2])} files {stem}-*-of-{match[2]} are "
                    "there; an interrupted download? fetch it again, what is here is kept"
                )
    return [root / name for name in files]


def _card(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    try:
        from huggingface_hub import metadata_load
    except ModuleNotFoundError:
        return None
    try:
        return metadata_load(path)
    except Exception:  # a card that is no YAML: names tell as well
        return None


def cached(part: Part) -> list[Path]:
    """The files of a part in the hub's local cache; none if it was never fetched."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ModuleNotFoundError:
        return []
    for repository in part.repositories:
        try:
            folder = snapshot_download(repository, repo_type="dataset", local_files_only=True)
        except LocalEntryNotFoundError:
            continue
        found = local_parts(Path(folder), {"part": part})
        if found:
            return found["part"]
    return []


def fetch(
    part: Part, folder: Path | None = None, say: Callable[[str], None] = lambda text: None
) -> list[Path]:
    """Download a part, continuing where an earlier try stopped, and check every file's SHA-256.

    Args:
        part: what to download.
        folder: where to; None uses the hub's cache, where collect finds it by itself.
        say: told what happens, a line at a time.

    Raises:
        BenchmarkError: no repository has it, the network failed, or a file is not as announced.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import RepositoryNotFoundError
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "fetching needs the package 'huggingface_hub': pip install 'calprune[data]'"
        ) from error
    for repository in part.repositories:
        try:
            info = HfApi().dataset_info(repository, files_metadata=True)
        except RepositoryNotFoundError:
            say(f"{repository}: not there")
            continue
        except Exception as error:  # the client raises its own, and those of its HTTP library
            raise _failed(repository, error) from error
        digests = {s.rfilename: s.lfs.sha256 if s.lfs else None for s in info.siblings or []}

        def get(name: str, repository: str = repository) -> Path:
            try:
                return Path(
                    hf_hub_download(repository, name, repo_type="dataset", local_dir=folder)
                )
            except Exception as error:
                raise _failed(repository, error) from error

        card = _card(get("README.md")) if "README.md" in digests else None
        names = belonging(digests, card, part)
        if not names:
            raise BenchmarkError(
                f"{repository}: no parquet files of configuration {part.config!r}, split "
                f"{part.split!r}; it has {', '.join(sorted(digests)[:8])}"
            )
        say(f"{repository} at {info.sha}: {len(names)} files")
        return [_verified(get(name), digests[name]) for name in names]
    raise BenchmarkError(f"the hub has none of {', '.join(part.repositories)}")


def _verified(path: Path, sha256: str | None) -> Path:
    if sha256 is None:  # small files have no announced digest
        return path
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise BenchmarkError(
            f"{path}: SHA-256 {found[:12]}…, {sha256[:12]}… announced; delete it and fetch again"
        )
    return path


def _failed(repository: str, error: Exception) -> BenchmarkError:
    first = str(error).strip().split("\n")[0]
    return BenchmarkError(
        f"cannot fetch {repository}: {type(error).__name__}: {first}; what has arrived is kept: "
        "run the same command again to go on"
    )
