"""Plug-ins that fail: which one, in which line, on what; and what they give is looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from calprune import registry
from calprune.cli import app
from calprune.commands import ending
from calprune.commands.ending import ended
from calprune.errors import MissingExtra, PlanError

METRIC = """
from typing import ClassVar

import numpy as np

from calprune.analyze.metrics import mean_of


def helper(column):
    return {work}


class Mine:
    name = title = "mine"
    direction, unit = "neither", "plain"
    requires: ClassVar[str] = "confidence"

    def signature(self, predictions):
        return "mine"

    def tally(self, predictions):
        return {tally}

    def value(self, total):
        return {value}
"""
CALIBRATOR = """
class Mine:
    title = "mine"

    def fit(self, confidence, correct):
        return {given}
"""
FIGURE = """
class Mine:
    title, per_metric = "mine", False

    def unavailable_because(self, data, spec):
        return ""

    def make(self, data, spec):
        from calprune.analyze.figures import Drawn

        return {made}
"""
BENCHMARK = """
import numpy as np

from calprune.data.benchmarks import YES_NO, Example, OpenedBenchmark


class Mine:
    title = kind = licence = origin = "mine"
    published, reads_files = None, False

    def open(self, root):
        questions = (self.question(i) for i in range(4))
        return OpenedBenchmark(YES_NO, questions, lambda name: {picture})

    def question(self, i):
        given = dict(id=str(i), image=f"photo-{{i}}", prompt="Well?", label=0, offered=(0, 1))
        return {question}
"""
PIXELS = "np.full((9, 9, 3), int(name[-1]), np.uint8)"

Installing = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installing]:
    """Installs a package of one plug-in called ``mine``: its group and its source."""
    info = tmp_path / "strange-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def installed(group: str, source: str) -> Path:
        file = tmp_path / "strange.py"
        file.write_text(source)
        (info / "entry_points.txt").write_text(f"[calprune.{group}]\nmine = strange:Mine\n")
        forget()
        return file

    def forget() -> None:
        sys.modules.pop("strange", None)
        invalidate_caches()
        registry._foreign.cache_clear()
        registry._shelf.cache_clear()

    yield installed
    monkeypatch.undo()
    forget()


def run(*asked: str) -> int:
    return ended(lambda: app(list(asked)))


ANALYZE = ("analyze", "--store", "sample", "--draws", "100")
SOUND = {"work": "mean_of(column)", "tally": "helper(predictions.confidence)"}
SOUND |= {"value": "total[..., 0] / total[..., 1]"}
OF_METRICS = {
    "tally": ({"tally": "predictions.nothing"}, "{file}, line 22, in Mine.tally", "AttributeError"),
    "helper": ({"work": "column['x']"}, "{file}, line 10, in helper", "IndexError"),
    "value": ({"value": "total[9, 9]"}, "{file}, line 25, in Mine.value", "IndexError"),
    "nothing": ({"tally": "None"}, "a tally of NoneType", "each of 1800 questions"),
    "few rows": ({"work": "mean_of(column)[:7]"}, "a tally of shape (7, 2)", "each of 1800"),
    "nan": ({"work": "mean_of(column * np.nan)"}, "not finite", "question 'scene-0000/random/0'"),
    "one number": ({"value": "0.5"}, "values of float", "one for each of 1 draws"),
    "a matrix": ({"value": "total"}, "values of shape (1, 2)", "one for each of 1 draws"),
}


@pytest.mark.parametrize("what", OF_METRICS)
def test_a_metric_that_fails_is_named_with_its_line_and_the_condition(
    install: Installing, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    change, *said = OF_METRICS[what]
    file = install("metrics", METRIC.format(**{**SOUND, **change}))
    assert run(*ANALYZE, "--metric", "mine") == 2
    (line,) = capsys.readouterr().err.splitlines()
    for words in ("metric 'mine'", "full-dfcf9a2f.h5 (full)", *said):
        assert words.format(file=file) in line


def test_a_metric_without_fault_is_measured(
    install: Installing, capsys: pytest.CaptureFixture[str]
) -> None:
    install("metrics", METRIC.format(**SOUND))
    assert run(*ANALYZE, "--metric", "mine") == 0
    assert "mine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("1 / 0", "calibrator 'mine' failed on {sample}: ZeroDivisionError"),
        ("None", "calibrate 'mine': learnt a NoneType, not a map of arrays"),
        ("lambda c: c.nothing", "calibrator 'mine' failed on {sample}: AttributeError"),
        ("lambda c: c[:3]", "calibrate 'mine': its map gives shape (3,)"),
        ("lambda c: c + 5", "calibrate 'mine': its map gives numbers outside [0, 1]"),
        ("lambda c: c * float('nan')", "calibrate 'mine': its map gives NaN"),
    ],
)
def test_a_calibrator_that_fails_is_named(
    install: Installing, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    install("calibrators", CALIBRATOR.format(given=given))
    assert run(*ANALYZE, "--metric", "ece", "--calibrate", "mine") == 2
    (line,) = capsys.readouterr().err.splitlines()
    for words in said.split("{sample}"):
        assert words in line
    assert "full-dfcf9a2f.h5 (full)" in line


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("data.nothing", "figure 'mine' failed on shapes-llava on shapes: AttributeError"),
        ("Drawn(({},), [])", "figure 'mine' of shapes-llava on shapes made dict, not a Drawn of P"),
        ("None", "figure 'mine' of shapes-llava on shapes made NoneType, not a Drawn of Pages"),
    ],
)
def test_a_figure_that_fails_is_named(
    install: Installing, capsys: pytest.CaptureFixture[str], tmp_path: Path, made: str, said: str
) -> None:
    install("figures", FIGURE.format(made=made))
    drawn = ("--metric", "ece", "--plot", str(tmp_path / "figures"), "--figure", "mine")
    assert run(*ANALYZE, *drawn) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"question": "given['x']"}, 3, "benchmark 'mine' failed: KeyError: 'x' ({file}, line 17"),
        ({"question": "given"}, 3, "mine: a question is an Example, not dict"),
        ({"question": "Example(**given | {{'id': 7}})"}, 3, "question 7: 7 is no text"),
        ({"question": "Example(**given | {{'label': 'yes'}})"}, 3, "counted from 0, not 'yes'"),
        ({"picture": "None"}, 3, "image 'photo-0': a picture is an array of pixels, a Path or a"),
        ({"picture": "np.zeros((9, 9, 3))"}, 3, "image 'photo-0': pixels are uint8 (height, width"),
        (
            {"picture": f"{PIXELS} if name != 'photo-2' else {{}}[name]"},
            2,
            "benchmark 'mine' failed on image 'photo-2': KeyError: 'photo-2' ({file}, line 13, in",
        ),
    ],
)
def test_a_benchmark_that_fails_is_named_with_question_or_image(
    install: Installing,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    code: int,
    said: str,
) -> None:
    sound = {"question": "Example(**given)", "picture": PIXELS}
    change = {name: text.replace("{{", "{").replace("}}", "}") for name, text in change.items()}
    file = install("benchmarks", BENCHMARK.format(**sound | change))
    assert run("data", "check", "mine") == code
    told = capsys.readouterr()
    assert said.format(file=file) in told.err + told.out


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("import nothing_of_the_kind", MissingExtra, "'nothing_of_the_kind', which is not inst"),
        ("import torch_of_mine, torch", MissingExtra, "'torch_of_mine', which is not installed"),
        ("import strange.more", PlanError, "cannot be loaded: ModuleNotFoundError"),
        (
            "Mine = 1 / 0",
            PlanError,
            "cannot be loaded: ZeroDivisionError: division by zero",
        ),
        ("class Mine(:", PlanError, "cannot be loaded: SyntaxError: invalid syntax (strange.py, l"),
        ("Yours = 3", PlanError, "cannot be loaded: AttributeError"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told(
    install: Installing, source: str, error: type[Exception], said: str
) -> None:
    file = install("metrics", source)
    with pytest.raises(error) as caught:
        registry.load("metrics", "mine")
    assert said.format(file=file) in str(caught.value)
    assert "metric 'mine'" in str(caught.value)


def test_the_traceback_is_printed_where_it_is_asked_for(
    install: Installing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = install("metrics", METRIC.format(**SOUND | {"value": "total[9, 9]"}))
    asked = (*ANALYZE, "--metric", "mine")
    run(*asked)
    assert "--debug prints the traceback" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["calprune", *asked, ending.DEBUG])
    run(*asked)
    *traced, line = capsys.readouterr().err.splitlines()
    assert traced[0].startswith("Traceback")
    assert f'  File "{file}", line 25, in value' in traced
    assert line.startswith("calprune: metric 'mine' failed on ")
    assert run(*ANALYZE, "--metric", "nothing") == 2  # of errors that are expected, too
    assert capsys.readouterr().err.startswith("Traceback")


def test_a_mistake_of_ours_is_not_blamed_on_a_plug_in() -> None:
    with pytest.raises(ZeroDivisionError):
        ended(lambda: 1 / 0)
