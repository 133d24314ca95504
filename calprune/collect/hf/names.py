"""From what a user calls a model to a folder with its files: short names, hub names, folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from calprune.collect.adapter import Found
from calprune.collect.made_for import DECLARATION, declared
from calprune.errors import ModelError, PlanError

EMBEDDED = "shapes-llava"
_EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"

SHORT = {
    "llava-1.5-7b": "llava-hf/llava-1.5-7b-hf",
    "llava-1.5-13b": "llava-hf/llava-1.5-13b-hf",
    "llava-next-vicuna-7b": "llava-hf/llava-v1.6-vicuna-7b-hf",
    "llava-next-vicuna-13b": "llava-hf/llava-v1.6-vicuna-13b-hf",
    "llava-next-mistral-7b": "llava-hf/llava-v1.6-mistral-7b-hf",
}

# No pickles: weights come as safetensors or not at all.
_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", DECLARATION]


DTYPES = ("float32", "float16", "bfloat16")
DEVICES = ("cpu", "cuda", "mps", "xpu")


def check_dtype(name: str) -> None:
    """PlanError for a dtype that nothing runs in; an empty name is the default."""
    if name and name not in DTYPES:
        raise PlanError(f"unknown dtype {name!r}: known: {', '.join(DTYPES)}")


def check_device_kind(name: str) -> None:
    """PlanError for a device of no known kind; whether one is there, torch knows."""
    if name and name.split(":")[0] not in DEVICES:
        raise PlanError(
            f"--device {name!r} cannot be used here (known kinds: {', '.join(DEVICES)})"
        )


def find(name: str, revision: str = "", download: bool = True) -> Found:
    """The folder of a model; ``download`` fetches it if it has a hub name and is not here yet.

    Raises PlanError with what can be named instead, ModelError if the hub does not give it.
    """
    if name == EMBEDDED and revision:
        raise PlanError(f"--revision {revision!r}: {name} is part of calprune and has none")
    if name == EMBEDDED:
        return _found(name, _EMBEDDED_FOLDER / EMBEDDED, {"folder": "embedded"})
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        if revision:
            raise PlanError(f"--revision {revision!r}: {path} is a local folder and has none")
        return _found(path.resolve().name, path, {"folder": path.resolve().name})
    repository = SHORT.get(name, name)
    if repository.count("/") != 1 or name.startswith((".", "/", "~")):
        raise PlanError(
            f"unknown model {name!r}: give one of {', '.join([EMBEDDED, *SHORT])}, a repository "
            "such as llava-hf/llava-1.5-7b-hf, or a local folder in Hugging Face format"
        )
    folder = _snapshot(repository, revision or "main", download)
    short = {r: s for s, r in SHORT.items()}
    # a snapshot's folder is named after the commit to which its revision was resolved
    source = {"repository": repository, "revision": revision or "main", "commit": folder.name}
    return _found(short.get(repository, repository.split("/")[1]), folder, source)


def _found(name: str, folder: Path, source: dict[str, str]) -> Found:
    return Found(name, folder, source, declared(folder))


def _snapshot(repository: str, revision: str, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=_WANTED,
                local_files_only=not download,
            )
        )
    except RepositoryNotFoundError as error:
        raise PlanError(f"the hub has no model {repository!r}, or it is not public") from error
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{repository} is no local folder, and at {revision!r} it is not in the local hub "
            "cache and cannot be downloaded from here; download it where there is a network and "
            "give its folder with --model"
        ) from error
    except Exception as error:  # the hub's client raises its own, and those of its HTTP library
        raise ModelError(f"cannot download {repository} at {revision!r}: {error}") from error


def config_of(found: Found) -> dict[str, Any]:
    """The folder's config.json; ModelError if it cannot be read or is not a published layout."""
    path = found.folder / "config.json"
    try:
        config = json.loads(path.read_text())
        config["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{found.folder}: no readable config.json with a model_type ({error})"
        ) from error
    if "mm_vision_tower" in config:
        raise ModelError(
            f"{found.folder}: a checkpoint in the layout of the original LLaVA code, without its "
            "vision tower; take the same model in Hugging Face layout, such as "
            "llava-hf/llava-1.5-7b-hf"
        )
    plain: dict[str, Any] = config
    return plain


def family(found: Found) -> str:
    """The ``model_type`` of a model's configuration."""
    return str(config_of(found)["model_type"])
