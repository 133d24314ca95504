"""Predictions are read once: a page, a study's tables and figures share what they read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calprune.analyze import figures, pipeline
from calprune.analyze.confidence_definition import of_answers
from calprune.analyze.options import AS_STORED, PredictionOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.predictions.table import Predictions
from calprune.cli import app
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.store import Store
from tests.analyze.conftest import make_table

Reads = Counter[tuple[Path, PredictionOptions]]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """How often each file was read under each definition."""
    found: Reads = Counter()
    inner = pipeline.read_predictions

    def read(table: LogitTable, options: PredictionOptions) -> Predictions:
        found[table.path, options] += 1
        return inner(table, options)

    monkeypatch.setattr(pipeline, "read_predictions", read)
    return found


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *words: str) -> None:
    """A report of the sample; figures ask for their numbers and are not rendered."""
    monkeypatch.setattr(figures, "inline", lambda _: "<svg></svg>")
    out = tmp_path / "report.html"
    done = CliRunner().invoke(
        app, ["report", "--store", "sample", "--draws", "100", "--permutations", "20", "--out",
              str(out), *words],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert out.read_text().count("<img") > 9


def test_a_report_reads_each_file_once_under_each_definition(
    reads: Reads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, tmp_path, "--study", "calibration")
    assert set(reads.values()) == {1}
    assert len({path for path, _ in reads}) == len(Store(SAMPLE).tables()) == 20
    plain = [told.confidence for _, told in reads if not told.calibrate]
    assert set(plain) == {"auto", *of_answers()}
    assert len(plain) == 20 * 6 == 120


def test_what_is_not_asked_for_longest_is_forgotten(reads: Reads) -> None:
    one, two, three = (make_table(noise=i) for i in range(3))
    size = sum(x.nbytes for x in PredictionCache()(one, AS_STORED).columns().values())
    reads.clear()
    cache = PredictionCache(held=2 * size + 1)
    first = cache(one, AS_STORED)
    cache(two, AS_STORED)
    assert cache(one, AS_STORED) is first
    cache(three, AS_STORED)  # two goes
    assert cache(one, AS_STORED) is first
    assert sum(reads.values()) == 3
    cache(two, AS_STORED)
    assert sum(reads.values()) == 4
    cache(one, PredictionOptions(confidence="raw"))
    assert sum(reads.values()) == 5


def test_a_set_larger_than_what_is_held_is_read_all_the_same() -> None:
    cache = PredictionCache(held=1)
    table = make_table()
    assert cache(table, AS_STORED) is cache(table, AS_STORED)
    assert (cache(table, AS_STORED).confidence == cache(make_table(), AS_STORED).confidence).all()
