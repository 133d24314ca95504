"""Publishing sealed files in a dataset repository of the hub: one commit, nothing replaced.

The repository's manifest lists all that it holds, from this and from earlier pushes. A file that is
there already is not sent again; another file of its name is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calprune.data.sharing.locations import Hub
from calprune.data.sharing.pack import (
    CARD,
    LARGEST_MANIFEST,
    MANIFEST,
    Member,
    manifest_bytes,
    member_of,
    parsed,
)
from calprune.errors import IncompleteError, Mismatch, PlanError
from calprune.extras import needed
from calprune.terminal import Tell, silent


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        hub: the repository at the commit that holds it all.
        sent: names of files that were not there.
        there: names of those that were.
    """

    hub: Hub
    sent: list[str]
    there: list[str]


def push(
    hub: Hub, card: str, files: Mapping[str, Path], tell: Tell = silent, *, create: bool = False
) -> Pushed:
    """Add files to a repository, with a card and the manifest.

    Args:
        hub: where to; a commit makes no sense.
        card: Markdown.
        files: by their names in a store.
        tell: told what is being done.
        create: make the repository, a public one, if it is not there.

    Raises:
        PlanError: a commit was named.
        IncompleteError: the repository is not there, cannot be reached or not be written; what was
            sent is kept by the hub, and the next push goes on.
        Mismatch: another file of some name is there.
        MissingExtra: the hub's client is not installed.
    """
    with needed("push", "share"):
        from huggingface_hub import CommitOperationAdd, HfApi
    if hub.commit:
        raise PlanError(f"{hub}: a push makes a new commit: leave @{hub.commit} out")
    api = HfApi()
    try:
        if create:
            api.create_repo(hub.repository, repo_type="dataset", exist_ok=True)
        head = str(api.dataset_info(hub.repository).sha)
    except Exception as error:  # the client raises its own, and those of its HTTP library
        raise _failed(hub, error) from error
    before = {m.name: m for m in _listed(Hub(hub.repository, head))}
    tell("reading files")
    own = {name: member_of(name, path) for name, path in files.items()}
    for name, member in own.items():
        if name in before and before[name] != member:
            raise Mismatch(
                f"{hub} holds another {name} than {files[name]}; nothing was sent: keep one of "
                "them, or push to another repository"
            )
    sent = [name for name in own if name not in before]
    text = card.encode()
    card_member = Member(CARD, len(text), hashlib.sha256(text).hexdigest())
    if not sent and before.get(CARD) == card_member:
        return Pushed(Hub(hub.repository, head), [], list(own))
    others = {**before, **own}
    others.pop(CARD, None)
    manifest = manifest_bytes([card_member, *(others[name] for name in sorted(others))])
    operations = [
        CommitOperationAdd(MANIFEST, manifest),
        CommitOperationAdd(CARD, text),
        *(CommitOperationAdd(name, str(files[name])) for name in sent),
    ]
    tell(f"sending {len(sent)} files, {sum(own[n].size for n in sent) / 1e6:.1f} MB")
    try:
        made = api.create_commit(
            hub.repository,
            operations,
            commit_message=f"calprune push: {len(sent)} files",
            repo_type="dataset",
            parent_commit=head,
        )
    except Exception as error:
        raise _failed(hub, error) from error
    return Pushed(Hub(hub.repository, str(made.oid)), sent, [n for n in own if n in before])


def _listed(hub: Hub) -> list[Member]:
    """What a repository says that it holds; nothing if it has no manifest yet."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        found = Path(
            hf_hub_download(hub.repository, MANIFEST, repo_type="dataset", revision=hub.commit)
        )
    except EntryNotFoundError:
        return []
    except Exception as error:
        raise _failed(hub, error) from error
    if found.stat().st_size > LARGEST_MANIFEST:
        raise Mismatch(f"{hub}: its {MANIFEST} is too large")
    return parsed(f"{hub}/{MANIFEST}", found.read_bytes())


def _failed(hub: Hub, error: Exception) -> IncompleteError:
    kind = type(error).__name__
    first = (str(error).strip().splitlines() or [""])[0][:200]
    what = {
        "RepositoryNotFoundError": "there is no such dataset repository, or not for you: say "
        "--create to make a public one, or run 'hf auth login' first",
        "LocalTokenNotFoundError": "you are not logged in: run 'hf auth login'",
    }.get(kind, f"{kind}: {first}; what was sent is kept: run the command again")
    return IncompleteError(f"{hub}: {what}")
