"""What others published, as one writes it down: ``hf://owner/name@commit``, ``https://…#sha256=…``.

Both are pinned: the same words mean the same bytes for ever, or an error.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from calprune.errors import PlanError

SUFFIX = ".calprune"
"""Of the names of packs."""

_HUB = re.compile(
    r"hf:/{1,2}(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<commit>[^/@]{1,200}))?/?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WEB = re.compile(r"(?P<scheme>https?):/{1,2}(?P<rest>[^/#\s]+/[^#\s]*)(?:#sha256=(?P<sha>[^#]*))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HERE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/")


@dataclass(frozen=True)
class Hub:
    """A dataset repository of the hub; ``commit`` is empty where none was named."""

    repository: str
    commit: str = ""

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.commit}" if self.commit else "")


@dataclass(frozen=True)
class Web:
    """A pack on a server, and the SHA-256 that its bytes must have."""

    url: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.url}#sha256={self.sha256}"


def is_pack(path: Path | str) -> bool:
    """Whether this names a pack that is here: a file, not a folder of that name."""
    return str(path).endswith(SUFFIX) and os.path.isfile(path)


def is_remote(text: object) -> bool:
    """Whether this names something that is not a file here."""
    return re.match(r"(hf|https?):/", str(text)) is not None


def hub_of(text: Path | str) -> Hub:
    """A repository; PlanError if it is not written as one. A doubled slash may be lost in paths."""
    found = _HUB.fullmatch(str(text))
    if found is None:
        raise PlanError(f"{str(text)[:200]}: write hf://owner/name@commit")
    return Hub(found["repository"], found["commit"] or "")


def location(text: Path | str) -> Hub | Web:
    """What can be read: pinned to a commit, or to a SHA-256; PlanError says what is missing."""
    if str(text).startswith("hf:"):
        found = hub_of(text)
        if found.commit and not _COMMIT.fullmatch(found.commit):
            raise PlanError(
                f"{found}: a branch or tag may move: name a commit, 40 hexadecimal digits; "
                f"'calprune pull hf://{found.repository}' tells the newest"
            )
        return found
    web = _WEB.fullmatch(str(text))
    if web is None:
        raise PlanError(f"{str(text)[:200]}: write https://…/FILE.calprune#sha256=…")
    url = f"{web['scheme']}://{web['rest']}"
    if web["scheme"] != "https" and not _HERE.match(web["rest"]):
        raise PlanError(f"{url}: only https is read")
    if not _SHA256.fullmatch(web["sha"] or ""):
        raise PlanError(
            f"{url}: add #sha256= and the 64 digits that its publisher printed, in quotes for the "
            "shell: what a server sends is compared with them"
        )
    return Web(url, web["sha"])
