"""Fixtures that more than one room needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from calprune.data.storage import apart, checked, origin
from tests import lanes

# A busy machine is no failure.
settings.register_profile("calprune", deadline=None)
settings.load_profile("calprune")

BEFORE = pytest.StashKey[float]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs without torch, and what was measured to be slow."""
    lanes.mark(items, config.rootpath)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember when a test begins."""
    item.stash[BEFORE] = lanes.spent()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Note the CPU seconds of each test and its fixtures for ``python -m tests.lanes``."""
    item.user_properties.append((lanes.SPENT, f"{lanes.spent() - item.stash[BEFORE]:.3f}"))


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer has fetched from the hub changes no test."""
    if "HF_HUB_CACHE" not in os.environ:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty-hub-cache"))


@pytest.fixture(autouse=True)
def _nothing_checked_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found in order by another test, or by a developer, is checked anew."""
    monkeypatch.setattr(checked, "_list", lambda: tmp_path / "no-cache" / "checked.txt")


@pytest.fixture(autouse=True)
def _no_strangers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are opened in this process, as if sealed here; tests of strangers' files say so."""
    if "strangers" not in request.fixturenames:
        monkeypatch.setattr(origin, "ours", lambda path, sha256: True)
    monkeypatch.setattr(origin, "_everyone", False)  # --untrusted of one test is not that of all


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every file is a stranger's; the private folder of what is received."""
    received = tmp_path / "private" / "received"
    received.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(origin, "ours", lambda path, sha256: False)
    monkeypatch.setattr(apart, "folder", lambda: received)
    return received


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a narrow random LLaVA: real classes, real tokenizer, 576 visual tokens."""
    from tests.collect.tiny import save_tiny_llava

    return save_tiny_llava(tmp_path_factory.mktemp("models") / "tiny-llava")
