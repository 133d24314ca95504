"""Whole runs with selectors that prune inside the language model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from calprune.collect import run
from calprune.collect.grid import grid
from calprune.collect.in_model.compatibility import fits
from calprune.collect.in_model.decoder import layerwise
from calprune.collect.models import Reach, open_adapter
from calprune.collect.selectors.fastv import FastV
from calprune.data.condition import Budget
from calprune.data.pictures import size_of
from calprune.data.storage.container import unpack
from calprune.data.storage.store import Store
from calprune.errors import PlanError
from tests.collect.checkpoints import save_checkpoint
from tests.collect.tiny import save_tiny_llava

LAYERS = 4
SMALL: dict[str, Any] = {
    "images": 3,
    "select": [
        *("full", "fastv", "fastv-two-pass", "pyramiddrop"),
        *("sparsevlm:seed=0", "sparsevlm:version=2.0"),
    ],
    "keep": [64],
    "min_mass": 0,
    "audit_rows": 4,
}
SEEN = {
    "fastv": [576, 576, 64, 64],
    "fastv-two-pass": [64] * 4,
    "pyramiddrop": [576, 288, 144, 72],
    "sparsevlm": [576, 82, 32, 18],
    "sparsevlm2": [576, 66, 34, 20],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("deep") / "model", layers=LAYERS)


@pytest.fixture(scope="module")
def outcome(model: Path, tmp_path_factory: pytest.TempPathFactory) -> run.Outcome:
    store = tmp_path_factory.mktemp("stores") / "inside"
    return run.collect("shapes", store=store, model=str(model), **SMALL)


def test_every_method_is_collected_and_audited(outcome: run.Outcome) -> None:
    assert outcome.sealed == 6
    assert all(a.worst_logit < 1e-4 for a in outcome.audits)
    assert all(a.flipped == 0 for a in outcome.audits)
    store = Store(outcome.plan.store.root)
    assert all(error is None for _, error in store.verify())


def test_files_hold_what_each_question_saw(outcome: run.Outcome) -> None:
    questions = sum(map(len, outcome.plan.distinct))
    for planned in outcome.plan.conditions:
        name = planned.name
        a = unpack(outcome.plan.store.logits(planned.condition), "calprune.logits").arrays
        if name == "full":
            assert len(a["image/kept"]) == 3
            continue
        version = "2" if dict(planned.condition.parameters).get("version") == "2.0" else ""
        seen = SEEN[name + version]
        assert (a["run/visual"] == seen).all()
        assert len(a["image/kept"]) == len(a["image/question"]) == questions
        merged = 1 if name == "sparsevlm" and not version else 0
        assert ((a["image/kept"] >= 0).sum(axis=1) <= seen[-1]).all()
        assert ((a["image/kept"] >= 0).sum(axis=1) >= seen[-1] - merged).all() or merged
        assert planned.condition.positions == planned.selector.positions
    kept = a["image/kept"][a["image/id"] == a["image/id"][0]]
    assert len(np.unique(kept, axis=0)) > 1, "a choice for each question"


def test_files_hold_what_each_layer_saw(outcome: run.Outcome) -> None:
    for planned in outcome.plan.conditions:
        a = unpack(outcome.plan.store.logits(planned.condition), "calprune.logits").arrays
        later = {"image/until", "image/margin", "run/merged"}
        if planned.name == "full":
            assert not later & a.keys()
            continue
        _, unit = np.unique(a["example/duplicate_of"], return_inverse=True)
        left = [(a["image/until"] > x).sum(axis=1)[unit] for x in range(LAYERS)]
        np.testing.assert_array_equal(np.stack(left, 1) + a["run/merged"], a["run/visual"])
        merges = planned.condition.label.startswith("sparsevlm-version1.5")
        assert (a["run/merged"][:, 1:] > 0).all() == merges
        assert not a["run/merged"][:, 0].any()
        assert (a["image/margin"] > 0).all()
        for kept, until in zip(a["image/kept"], a["image/until"], strict=True):
            assert kept[kept >= 0].tolist() == np.flatnonzero(until == LAYERS).tolist()


def test_row_ends_are_never_dropped(tmp_path: Path) -> None:
    """LLaVA-NeXT as transformers shows it: separators are seen by every layer."""
    folder = save_checkpoint(tmp_path / "next", family="llava_next", layers=LAYERS)
    wanted: dict[str, Any] = {"select": ["fastv"], "keep": [300], "picture": "hf", "images": 1}
    done = run.collect("shapes", store=tmp_path / "s", model=str(folder), min_mass=0, **wanted)
    (planned,), adapter = done.plan.conditions, done.plan.adapter
    a = unpack(done.plan.store.logits(planned.condition), "calprune.logits").arrays
    size = size_of(done.plan.questions.picture(done.plan.questions.images[0]))
    separator = adapter.token_layout(size).separator
    assert separator.any()
    assert a["image/until"].shape[1] == len(separator)
    assert (a["image/until"][:, separator] == LAYERS).all()
    assert ((a["image/until"] == LAYERS).sum(axis=1) == 300 + separator.sum()).all()
    assert (a["image/until"].min(axis=1) == 2).all()


@pytest.mark.parametrize(
    ("select", "changes", "says"),
    [
        ("sparsevlm", {"keep": [65]}, "sparsevlm.*65 tokens"),
        ("fastv", {"keep": [0]}, "fastv: a budget of 0 visual tokens"),
        ("fastv", {"keep": [577]}, "keep 577 visual tokens"),
        ("fastv:layer=4", {}, "layer=4 leaves nothing to prune in a decoder of 4 layers"),
        ("pyramiddrop", {"positions": "original", "keep": ()}, "leave --positions out for it"),
    ],
)
def test_requests_that_make_no_sense(
    model: Path, tmp_path: Path, select: str, changes: dict[str, Any], says: str
) -> None:
    asked = {**SMALL, "select": [select], **changes}
    with pytest.raises(PlanError, match=says):
        run.collect("shapes", store=tmp_path, model=str(model), **asked)


def test_open_questions_are_refused(model: Path) -> None:
    adapter, (fastv,) = open_adapter(str(model)), grid(["fastv"], [Budget("count", 64)])
    questions: Any = SimpleNamespace(open=True)
    with pytest.raises(PlanError, match=r"fastv prunes .* replies of several tokens are not supp"):
        fits(fastv.name, FastV(), fastv.budget, adapter, questions)
    with pytest.raises(PlanError) as caught:
        fits(fastv.name, FastV(), fastv.budget, adapter, questions)
    proposed = str(caught.value).rpartition(": ")[2].split(", ")
    assert {"full", "scope", "visionzip", "mmtok"} <= set(proposed)
    assert not {"fastv", "fastv-two-pass", "pyramiddrop", "sparsevlm", "cdpruner"} & set(proposed)


def test_decoders_that_are_not_known_are_refused() -> None:
    class Foreign:
        name, axes = "far", 3
        reach: ClassVar[dict[str, Reach]] = {"full_attention": Reach()}
        decoder_kind, decoder, embedded, whole = "qwen2_5_vl_text", None, None, None

    adapter: Any = Foreign()
    with pytest.raises(PlanError, match=r"far: its decoder is qwen2_5_vl_text; .* select before"):
        layerwise(adapter)
    Foreign.axes, Foreign.decoder_kind = 1, "llama"
    assert layerwise(adapter) is adapter
    Foreign.reach = {"sliding_attention": Reach(8), "full_attention": Reach()}
    with pytest.raises(PlanError, match="known for llama and mistral decoders with one kind"):
        layerwise(adapter)


def test_a_family_without_a_decoder_to_run_layer_by_layer_is_refused() -> None:
    class Other:
        name, axes = "other", 1
        reach: ClassVar[dict[str, Reach]] = {"full_attention": Reach()}

    adapter: Any = Other()
    with pytest.raises(PlanError, match=r"^other: its family gives no decoder .*LayerwiseModel"):
        layerwise(adapter)
