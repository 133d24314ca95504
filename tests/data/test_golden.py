"""Files written by released format versions must be read for ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calprune.data.storage.container import unpack
from calprune.data.storage.reading import check_file, read_logits
from tests.data.test_condition import PLAIN
from tests.data.test_container import ranking
from tests.data.test_store import logit_arrays, sealed

GOLDEN = Path(__file__).parent.parent / "golden"


def test_logits_1_0() -> None:
    table = read_logits(GOLDEN / "logits-1.0.h5")
    assert table.condition == PLAIN
    np.testing.assert_array_equal(table.answer_logits, logit_arrays()["logit/answer"])
    assert check_file(table.path).digest == sealed(logit_arrays()).digest


def test_rankings_1_0() -> None:
    again = unpack(GOLDEN / "rankings-1.0.h5", "calprune.rankings")
    assert again.digest == ranking().digest
