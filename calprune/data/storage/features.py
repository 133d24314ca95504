"""Features that lie in the store of a condition, found without a plan."""

from __future__ import annotations

from pathlib import Path

from calprune.data.condition import Condition
from calprune.data.storage.container import Arrays, unpack
from calprune.data.storage.store import safe


def first_features(root: Path, condition: Condition) -> Arrays | None:
    """The first block of features of a condition's model and benchmark; None without any.

    Args:
        root: of the store.
        condition: whose model and picture rule the features have.

    Raises:
        StoreError: a file is damaged.
    """
    folder = root / "features" / safe(condition.model)
    wanted = {"model_digest": condition.model_digest, "pixels": condition.pixels}
    for path in sorted(folder.glob(f"{safe(condition.benchmark)}-????????/00000.h5")):
        sealed = unpack(path, "calprune.features")
        if wanted.items() <= sealed.manifest.items():
            return sealed.arrays
    return None
