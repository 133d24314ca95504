"""The last check before a file gets its name: its values, and the condition that it is of."""

from __future__ import annotations

from pathlib import Path

from calprune.data.condition import Condition
from calprune.data.storage import origin
from calprune.data.storage.agreement import check_agreement
from calprune.data.storage.container import Sealed, header, pack, sha256_of_body
from calprune.data.storage.publishing import publish
from calprune.data.storage.validation import check_values
from calprune.errors import Mismatch, StoreError


def seal(path: Path, sealed: Sealed) -> bool:
    """Publish a sealed file; False if it was there already.

    Raises Mismatch if its values break a law of its format, before anything is written.
    """
    try:
        check_values(sealed.kind, sealed.arrays)
    except Mismatch as error:
        raise Mismatch(f"{path}: {error}") from error
    condition_of(path, sealed)
    return publish(path, pack(sealed), _claimed_header)


def _claimed_header(image: memoryview) -> bytes:
    """The header of a file that is sealed here, which is noted by the SHA-256 in it."""
    made = header(image)
    origin.claim(sha256_of_body(made))
    return made


def condition_of(path: Path, sealed: Sealed, *, passed: bool = False) -> Condition | None:
    """The condition that a file of logits or audits is of; Mismatch if it is not of any.

    ``passed``: it was found to agree with its columns before.
    """
    if sealed.kind not in ("calprune.logits", "calprune.audits"):
        return None
    try:
        condition = Condition.from_json(sealed.manifest)
        if sealed.kind == "calprune.logits" and not passed:
            check_agreement(condition, sealed.arrays)
    except StoreError as error:
        raise Mismatch(f"{path}: {error}") from error
    return condition
