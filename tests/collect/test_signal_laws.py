"""The laws of auxiliary features notice what breaks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calprune.collect.models import ModelOptions, open_adapter
from calprune.collect.signals import SIGNALS, of_question
from calprune.testing.signals import phrases_hold, signals_hold
from tests.collect.checkpoints import save_checkpoint

QUESTIONS = ("Is there a dog in the image?", "What is this?")
Signals = dict[str, NDArray[np.floating]]


@pytest.fixture(scope="module")
def next_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(
        tmp_path_factory.mktemp("laws") / "next",
        "llava_next",
        vision_config={"image_size": 56},
        image_grid_pinpoints=[[56, 112], [112, 56]],
    )


def pictures() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*s, 3), dtype=np.uint8) for s in ((60, 100), (90, 50))]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("separator", "keys: not zero on separators"),
        ("rows", r"keys: \d+ rows"),
        ("flat", r"keys: \(\d+,\) is not"),
        ("nan", "keys: not finite"),
        ("zero", "keys: zero everywhere"),
        ("company", "keys of an image by itself"),
        ("names", "measured instead"),
    ],
)
def test_signals_that_break_their_laws(
    next_folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    adapter: Any = open_adapter(str(next_folder), ModelOptions(picture="hf"))
    seen, honest = adapter.encode(pictures()), adapter.measure

    def spoilt(images: Any, names: Any) -> list[Signals]:
        found: list[Signals] = honest(images, names)
        for signals in found:
            keys = signals["keys"]
            spoil = {
                "separator": keys + 1,
                "rows": keys[1:],
                "flat": keys[:, 0],
                "nan": np.full_like(keys, np.nan),
                "zero": keys * 0,
                "company": keys * len(images),
            }
            signals["keys"] = spoil.get(fault, keys)
            if fault == "names":
                signals["more"] = keys
        return found

    monkeypatch.setattr(adapter, "measure", spoilt)
    adapter.measures = {n: t for n, t in adapter.measures.items() if n in ("features", "keys")}
    with pytest.raises(AssertionError, match=message):
        signals_hold(adapter, pictures(), seen)


def test_phrases_that_break_their_laws(next_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter: Any = open_adapter(str(next_folder))
    honest = adapter.phrase
    assert phrases_hold(adapter, QUESTIONS) == 0.0

    def spoilt(questions: Any, names: Any) -> list[Signals]:
        return [{n: x * len(questions) for n, x in s.items()} for s in honest(questions, names)]

    monkeypatch.setattr(adapter, "phrase", spoilt)
    with pytest.raises(AssertionError, match="text-words of a single question"):
        phrases_hold(adapter, QUESTIONS)


def test_the_guide_lists_every_signal_with_its_meaning() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    table = guide.split("| signal | shape | what it is |\n", 1)[1].split("\n\n", 1)[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[1:]]
    listed = {name.strip("`"): meaning for name, _, meaning in rows}
    assert listed == {name: signal.meaning for name, signal in SIGNALS.items()}
    for name, signal in SIGNALS.items():
        assert of_question(name) == (signal.rows == "question")
