"""Models: one adapter file a family.

A plug-in file exports one class that opens a model, a ``Family``; what it opens has the methods of
``Adapter``. The contract stands in ``collect/adapter``; plug-ins find all of it here.
"""

from __future__ import annotations

from dataclasses import replace

from calprune import registry
from calprune.collect.adapter import (
    Adapter,
    EncodedImage,
    Family,
    Found,
    ImageRequest,
    LayerwiseModel,
    ModelOptions,
    Prompt,
    Reach,
    Shape,
    Step,
    TokenLayout,
)
from calprune.collect.hf import names
from calprune.collect.hf.names import EMBEDDED
from calprune.errors import CalpruneError, ModelError, PlanError

__all__ = [
    "EMBEDDED",
    "Adapter",
    "EncodedImage",
    "Family",
    "Found",
    "ImageRequest",
    "LayerwiseModel",
    "ModelOptions",
    "Prompt",
    "Reach",
    "Shape",
    "Step",
    "TokenLayout",
    "open_adapter",
]


def open_adapter(
    name: str = EMBEDDED,
    options: ModelOptions | None = None,
    *,
    revision: str = "",
    download: bool = True,
) -> Adapter:
    """The adapter for a model, chosen by the ``model_type`` in its config.json.

    Raises PlanError for an unknown model or family, ModelError for a folder that cannot be used.
    """
    found = names.find(name, revision, download)
    plugin = names.family(found).replace("_", "-")
    if plugin not in registry.names("models"):
        raise PlanError(registry.unknown("model family", plugin, registry.names("models")))
    options = replace(options or ModelOptions(), download=download)
    opening = registry.load("models", plugin)
    try:
        adapter: Adapter = opening(found, options)
    except (CalpruneError, ImportError):
        raise
    except Exception as error:  # settings of strangers may be odd in any way
        raise ModelError(
            f"{found.folder}: cannot be opened as {plugin}: {registry.reason(error)}"
        ) from error
    return adapter
