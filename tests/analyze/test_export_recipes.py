"""The recipes of docs/export.md, run as they are printed, with trackers that only write down."""

from __future__ import annotations

import re
import sys
import types
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import calprune
from calprune.cli import app

PAGE = Path(__file__).parent.parent.parent / "docs" / "export.md"
METRICS = ("ece", "accuracy", "brier")


def recipe(name: str) -> str:
    """The block of Python that imports a package."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block for block in blocks if f"import {name}\n" in block]
    return str(found)


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page has one write first, in the working folder."""
    (line,) = re.findall(r"^calprune (analyze .*) > results\.json$", PAGE.read_text(), re.MULTILINE)
    done = CliRunner().invoke(
        app, [*line.split(), "--store", "sample", "--draws", "100", "--keep", "64"]
    )
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path)
    Path("results.json").write_text(done.stdout)


def expected() -> dict[str, dict[str, float]]:
    """Values by condition and metric, from Python."""
    study = calprune.open("sample")
    frame = study.estimates(list(METRICS), draws=100)
    frame = frame[(frame.budget == 64) | frame.selector.isin(["full"])]
    return {
        condition: dict(zip(own.metric, own.value, strict=True))
        for condition, own in frame.groupby("condition")
    }


def run(name: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(recipe(name), f"{PAGE}: {name}", "exec"), {})


def test_weights_and_biases(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def init(project: str, name: str, config: dict[str, Any]) -> Any:
        runs.append(
            types.SimpleNamespace(
                name=name, config=config, summary={}, finish=lambda: None, project=project
            )
        )
        return runs[-1]

    run("wandb", types.SimpleNamespace(init=init), monkeypatch)
    wanted = expected()
    assert {r.name.split(" ", 2)[2] for r in runs} == wanted.keys()
    for r in runs:
        values = wanted[r.name.split(" ", 2)[2]]
        assert {m: r.summary[m] for m in METRICS} == values
        assert all(r.summary[f"{m} signature"].startswith(m) for m in METRICS)
        assert len(r.config["key"].split()[0]) == 64
    assert runs[0].summary["ece low"] < runs[0].summary["ece high"]


def test_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: dict[str, dict[str, Any]] = {}
    current: list[dict[str, Any]] = []

    @contextmanager
    def start_run(run_name: str) -> Any:
        current.append(runs.setdefault(run_name, {"params": {}, "metrics": {}, "tags": {}}))
        yield
        current.pop()

    def log_metric(name: str, value: float) -> None:
        assert re.fullmatch(r"[\w ./:-]+", name)
        current[-1]["metrics"][name] = value

    module = types.SimpleNamespace(
        set_experiment=lambda name: None,
        start_run=start_run,
        log_params=lambda params: current[-1]["params"].update(params),
        log_metric=log_metric,
        set_tag=lambda name, value: current[-1]["tags"].update({name: value}),
    )
    run("mlflow", module, monkeypatch)
    wanted = expected()
    assert {r["params"]["condition"] for r in runs.values()} == wanted.keys()
    for r in runs.values():
        values = {m: r["metrics"][f"{m}/value"] for m in METRICS}
        assert values == wanted[r["params"]["condition"]]
        assert set(r["tags"]) == {f"{m}/signature" for m in METRICS}
