"""Fixtures of the tests of commands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calprune.data.storage.store import Store
from tests.analyze.conftest import make_condition, make_table


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A small store of made conditions, with three answers of which some are not offered."""
    size: dict[str, Any] = {"images": 20, "per_image": 3, "signal": 0.8, "answers": 3}
    sweep = [("scope", k, {"alpha": a}) for k in (16, 32) for a in (0.5, 1.0)]
    asked = [make_condition(name, k, **p) for name, k, p in sweep]
    asked += [make_condition("random", 8, seed=s) for s in range(2)]
    made = [make_table(make_condition(), **size)]
    made += [make_table(condition, noise=i + 1, **size) for i, condition in enumerate(asked)]
    few = np.ones((60, 3), dtype=bool)
    few[::2, 2] = made[0].label[::2] == 2
    made = [replace(table, offered=few) for table in made]
    monkeypatch.setattr(Store, "tables", lambda *_, **__: list(made))
    monkeypatch.setenv("CALPRUNE_STORE", ".")
    return made
