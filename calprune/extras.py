"""Parts of the installation that are optional, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from calprune.errors import MissingExtra

NAME = "calprune"
_OFFERED = {"numba", "PIL", "safetensors", "tokenizers", "torch", "transformers"}
_OFFERED |= {"huggingface_hub", "pyarrow"}
"""What extras bring, as it is imported."""


def install(extra: str) -> str:
    """The command that installs an extra, from where calprune itself came.

    Installers record that beside the package (PEP 610) unless it is an index.
    """
    import json
    import shlex
    from importlib.metadata import Distribution, PackageNotFoundError

    try:
        recorded = Distribution.from_name(NAME).read_text("direct_url.json")
        origin = json.loads(recorded) if recorded else {}
    except PackageNotFoundError:  # run from a folder of sources
        folder = Path(__file__).resolve().parent.parent
        sources = (folder / "pyproject.toml").is_file()
        origin = {"url": folder.as_uri(), "dir_info": {"editable": True}} if sources else {}
    except (OSError, ValueError):
        origin = {}
    return " ".join(["pip install", *map(shlex.quote, _words(extra, origin))])


def _words(extra: str, origin: Mapping[str, Any]) -> list[str]:
    """Arguments of ``pip install`` for an origin as PEP 610 records it."""
    from urllib.parse import unquote, urlsplit

    url = str(origin.get("url", ""))
    if "dir_info" in origin and url.startswith("file:"):
        editable = ["-e"] if origin["dir_info"].get("editable") else []
        return [*editable, f"{unquote(urlsplit(url).path)}[{extra}]"]
    if "vcs_info" in origin:
        kept = origin["vcs_info"]
        revision = kept.get("requested_revision") or kept.get("commit_id")
        return [f"{NAME}[{extra}] @ {kept['vcs']}+{url}{f'@{revision}' if revision else ''}"]
    return [f"{NAME}[{extra}]" + (f" @ {url}" if url else "")]


@contextmanager
def needed(what: str, extra: str = "collect", also: str = NAME) -> Iterator[None]:
    """Around imports that ``what`` needs: MissingExtra if a package of an extra is not there.

    A module that is missing in this package is a mistake there, and so in that of a plug-in,
    ``also``, which may need what no extra brings.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in (NAME, also):
            raise
        known = also == NAME or (error.name or "").partition(".")[0] in _OFFERED
        advice = f": {install(extra)}" if known else ", which is not installed"
        raise MissingExtra(f"{what} needs the package {error.name!r}{advice}") from error


def check(what: str, extra: str, *packages: str) -> None:
    """MissingExtra, before anything is done, if a package is not there. Imports none."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(f"{what} needs the package {package!r}: {install(extra)}")
