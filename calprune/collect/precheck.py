"""What is wrong with a request, told before torch is imported: names, paths, counts of tokens.

Only what is certain is refused here, in the words of whoever refuses it otherwise; the rest is
found where the model is opened.
"""

from __future__ import annotations

from typing import Any

from calprune import registry
from calprune.collect.adapter import Found
from calprune.collect.asked import generated
from calprune.collect.hf import names
from calprune.collect.hf.template_texts import CHAT, TEMPLATES
from calprune.collect.request import CollectRequest
from calprune.collect.suggestions import check_compat
from calprune.data.questions import find_benchmark, open_source
from calprune.errors import ModelError, PlanError


def refuse_early(request: CollectRequest) -> None:
    """Raise what opening this request's model and benchmark would raise, as far as it is plain.

    Raises:
        PlanError: a name that does not exist, or more tokens than an image has.
        BenchmarkError: files of the benchmark are missing or cannot be used.
        ModelError: a folder that is no model.
    """
    refuse_names(request)
    if request.data_folder is not None or not generated(request):
        open_source(request.bench, request.data_folder)


def refuse_names(request: CollectRequest) -> None:
    """The same without the benchmark's files, for which an estimate has published counts.

    Raises:
        PlanError: a name that does not exist, or more tokens than an image has.
        ModelError: a folder that is no model.
    """
    r = request
    names.check_dtype(r.dtype)
    names.check_device_kind(r.device)
    if r.template and r.template not in (*TEMPLATES, CHAT):
        raise PlanError(registry.unknown("template", r.template, (*TEMPLATES, CHAT)))
    find_benchmark(r.bench)
    if r.selectors and not r.every:
        for choice in r.choices:
            if choice.compat:
                check_compat(choice.name, choice.selector)
    found = found_here(r)
    if found is not None:
        _check_model(r, found)


def found_here(request: CollectRequest) -> Found | None:
    """The request's model if its files are here; None if they may be fetched."""
    try:
        return names.find(request.model, request.revision, download=False)
    except ModelError:
        if not request.download:
            raise
        return None


def _check_model(r: CollectRequest, found: Found) -> None:
    config = names.config_of(found)
    family = names.family(found).replace("_", "-")
    known = registry.names("models")
    if family not in known:
        raise PlanError(registry.unknown("model family", family, known))
    said: dict[str, Any] = registry.told("models", family, ("pictures", "ragged")) or {}
    if r.picture and said and r.picture not in said["pictures"]:
        raise PlanError(registry.unknown("way to show a picture", r.picture, said["pictures"]))
    count = _patches(config)
    if said.get("ragged") is False and count:
        for choice in r.choices_of(count):
            choice.budget.tokens(count)


def _patches(config: dict[str, Any]) -> int:
    """Patches of the square that a tower sees, by its configuration; 0 if that does not say."""
    vision = config.get("vision_config")
    said = vision if isinstance(vision, dict) else {}
    side, patch = said.get("image_size"), said.get("patch_size")
    if isinstance(side, int) and isinstance(patch, int) and patch > 0:
        return int(side // patch) ** 2
    return 0
