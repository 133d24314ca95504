"""The embedded model for real: what the demo stands on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calprune.collect import run
from calprune.collect.hf.names import EMBEDDED, find
from calprune.collect.run import Outcome
from calprune.data.storage.store import Store
from tests.analyze.calls import estimate


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Store]:
    """The study's own grid on a few images, every condition audited."""
    folder = tmp_path_factory.mktemp("embedded")
    return run.collect("shapes", store=folder, images=16, audit_rows=3), Store(folder)


def test_it_is_small_and_safe() -> None:
    folder = find(EMBEDDED).folder
    assert sum(p.stat().st_size for p in folder.iterdir()) < 10_000_000
    assert {p.suffix for p in folder.iterdir()} <= {".json", ".jinja", ".safetensors", ".toml"}


def test_every_condition_of_the_grid_equals_generate(study: tuple[Outcome, Store]) -> None:
    outcome, _ = study
    assert len(outcome.audits) == 20
    assert max(a.worst_logit for a in outcome.audits) < 1e-4
    assert max(a.worst_log_z for a in outcome.audits) < 1e-4
    assert sum(a.flipped for a in outcome.audits) == 0


def test_it_has_learned_and_looks_at_the_image(study: tuple[Outcome, Store]) -> None:
    _, store = study
    accuracy = {
        str(e.condition.spec): e.value for e in estimate(store.tables(), ["accuracy"], draws=0)
    }
    assert accuracy["full"] > 0.8
    assert accuracy["full"] > min(v for k, v in accuracy.items() if k.startswith("random"))


def test_its_answers_are_answers(study: tuple[Outcome, Store]) -> None:
    _, store = study
    for table in store.tables():
        with np.errstate(over="ignore"):
            mass = np.exp(table.answer_logits - table.log_z[:, None, None]).sum(axis=(1, 2))
        assert np.median(mass) > 0.99


def test_multiple_choice_offers_two_to_four(tmp_path: Path) -> None:
    run.collect("shapes-mc", store=tmp_path, images=12, select=["full", "scope"], keep=[64])
    tables = Store(tmp_path).tables()
    assert {int(n) for n in tables[0].offered.sum(axis=1)} == {2, 3, 4}
    accuracy = [e.value for e in estimate(tables, ["accuracy"], draws=0)]
    assert min(accuracy) > 0.4


def test_without_an_image_it_cannot_know(tmp_path: Path) -> None:
    run.collect("shapes", store=tmp_path, images=24, select=["full", "blind"])
    accuracy = {
        e.condition.selector: e.value
        for e in estimate(Store(tmp_path).tables(), ["accuracy"], draws=0)
    }
    assert accuracy["blind"] < 0.7 < accuracy["full"]
