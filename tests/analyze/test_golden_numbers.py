"""What is printed of the sample has the numbers that it always had, column by column.

``tests/golden/printed`` holds every number of every table as CSV and JSON have it, in the order of
rows. A column that gets another name is told in ``RENAMED``; a number that moves is a fault, or is
recorded anew on purpose: ``python -m tests.analyze.test_golden_numbers``.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from calprune.analyze.figures import FigureData
from calprune.analyze.options import PredictionOptions
from calprune.analyze.results.parameter_effect import parameter_effects
from calprune.analyze.results.reliability import isotonic_steps, reliability_bins
from calprune.analyze.results.risk_coverage import risk_coverage
from calprune.analyze.tables.records import records
from calprune.cli import app
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.store import Store
from tests.analyze.calls import figure_data

GOLDEN = Path(__file__).parent.parent / "golden" / "printed"
RENAMED: Mapping[str, str] = {"floor": "ece_if_calibrated", "swaps": "permutations"}
"""Columns by the name that they had when they were recorded."""
MANY = "accuracy,ece,ece:bins=10,ece-equal-mass,ece-debiased,brier,nll,aurc,overconfidence"
TESTED = "--permutations 99 --draws 100"
COMMANDS = {
    "estimates": f"analyze --metric {MANY} --draws 100",
    "estimates-each-seed": "analyze --metric ece --draws 100 --each-seed --interval bridge",
    "estimates-by-split": "analyze --metric ece,accuracy --by split --draws 100",
    "differences": f"analyze --metric ece,accuracy,aurc --against full {TESTED}",
    "differences-same-budget": f"analyze --metric ece,brier --against scope:alpha=1 {TESTED}",
    "differences-by-rows": f"analyze --metric ece --against full {TESTED} --resample rows "
    "--correction bh --interval basic",
    "power": "analyze --metric ece,accuracy --power --detect 0.02 --draws 100",
    "trend": f"analyze --metric ece,aurc --trend alpha {TESTED}",
    "by-confidence": f"analyze --metric ece,accuracy --confidence answer-set,raw,margin {TESTED} "
    "--against full",
    "calibrated": "analyze --metric ece,nll --calibrate temperature --draws 100",
    "calibration-slope": "analyze --calibration-slope --by split",
    "calibration-slope-differences": "analyze --calibration-slope --against full",
    "overview": "analyze --overview",
    "pareto": "analyze --pareto",
    "study": "report --study calibration --draws 100",
}


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """The store is read and checked once for all commands."""
    tables = Store(SAMPLE).tables()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "tables", lambda *_, **__: list(tables))
        yield


@cache
def printed(words: str, fmt: str) -> str:
    """What a command writes of the sample."""
    done = CliRunner().invoke(app, [*words.split(), "--store", "sample", "--format", fmt])
    assert done.exit_code == 0, done.output
    return done.stdout


def told(data: FigureData) -> PredictionOptions:
    return data.options.predictions


def of_figures() -> dict[str, Callable[[FigureData], Sequence[Any]]]:
    """Numbers behind figures that no table has."""
    return {
        "parameter-effect": lambda d: d.numbers(parameter_effects, "ece", "alpha", 1.0, d.options),
        "reliability": lambda d: d.numbers(reliability_bins, d.options, conditions=d.at(64)),
        "isotonic": lambda d: d.numbers(isotonic_steps, told(d), conditions=d.at(64)),
        "risk-coverage": lambda d: d.numbers(risk_coverage, told(d), conditions=d.at(64))[::25],
    }


@pytest.fixture(scope="module")
def subject() -> FigureData:
    return figure_data(Store(SAMPLE).tables(), draws=100, permutations=99)


def rows_of(found: Any) -> list[dict[str, Any]]:
    """Rows of a JSON answer, those of all tables of a study in one list."""
    return found["rows"] if "rows" in found else [r for t in found["tables"] for r in t["rows"]]


def numbers(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Columns that hold any number, 12 digits of each."""
    found: dict[str, list[Any]] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        column = [row.get(name) for row in rows]
        if any(isinstance(x, int | float) for x in column):
            assert all(x is None or isinstance(x, int | float) for x in column), name
            found[name] = [float(f"{x:.12g}") if isinstance(x, float) else x for x in column]
    return found


def check(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    found = numbers(rows)
    for column, values in expected.items():
        now = RENAMED.get(column, column)
        assert now in found, f"{name}: no column {now} among {', '.join(found)}"
        pairs = ([math.nan if x is None else x for x in own] for own in (found[now], values))
        assert next(pairs) == pytest.approx(next(pairs), 1e-9, 1e-12, nan_ok=True), (name, now)


@pytest.mark.parametrize("name", COMMANDS)
def test_json_has_the_numbers_that_it_had(name: str) -> None:
    check(name, rows_of(json.loads(printed(COMMANDS[name], "json"))))


@pytest.mark.parametrize("name", ["differences-same-budget", "overview"])
def test_csv_has_those_of_json(name: str) -> None:
    lines = list(csv.DictReader(StringIO(printed(COMMANDS[name], "csv"))))
    rows = rows_of(json.loads(printed(COMMANDS[name], "json")))
    assert [list(line) for line in lines] == [list(row) for row in rows]
    for column in numbers(rows):
        written = ["" if row[column] is None else str(row[column]) for row in rows]
        assert [line[column] for line in lines] == written, column


@pytest.mark.parametrize("name", of_figures())
def test_figures_have_the_numbers_that_they_had(name: str, subject: FigureData) -> None:
    check(name, records(of_figures()[name](subject)))


def record() -> None:
    """Write all anew."""
    GOLDEN.mkdir(exist_ok=True)
    tables = figure_data(Store(SAMPLE).tables(), draws=100, permutations=99)
    found = {n: rows_of(json.loads(printed(c, "json"))) for n, c in COMMANDS.items()}
    found |= {name: records(make(tables)) for name, make in of_figures().items()}
    for name, rows in found.items():
        columns = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in numbers(rows).items())
        (GOLDEN / f"{name}.json").write_text(f"{{\n{columns}\n}}\n")


if __name__ == "__main__":
    record()
