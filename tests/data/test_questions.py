"""What every benchmark gets from ``open_questions``, whoever wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune import registry
from calprune.data.benchmark import YES_NO, Example, OpenedBenchmark
from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError, PlanError
from tests.fixtures import picture

DOCS = Path(__file__).parents[2] / "docs" / "extending.md"


class Made:
    """Three names, two pictures."""

    title, kind, licence, origin, published = "made", "yes/no", "CC0", "here", None
    examples: tuple[Example, ...] = tuple(
        Example(f"{image}/{i}", image, f"Is it {i}?", label=i % 2, offered=(0, 1))
        for image in ("a", "b", "copy-of-a")
        for i in range(2)
    )

    def open(self, root: Path | None) -> OpenedBenchmark:
        pixels = {"a": 1, "b": 2, "copy-of-a": 1}
        return OpenedBenchmark(
            YES_NO,
            iter(self.examples),
            lambda name: np.full((4, 4, 3), pixels[name], dtype=np.uint8),
        )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Made]]:
    load = registry.load
    monkeypatch.setattr(
        registry, "load", lambda group, name: Made if name == "made" else load(group, name)
    )
    yield Made
    Made.examples = Made.__dict__["examples"]


def opened(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> Questions:
    first, *others = Made.examples
    monkeypatch.setattr(Made, "examples", (replace(first, **change), *others))
    return open_questions("made")


@pytest.mark.usefixtures("made")
def test_images_of_equal_bytes_are_one() -> None:
    q = open_questions("made")
    assert q.images == ("a", "b")
    assert [e.image for e in q.examples] == ["a", "a", "a", "a", "b", "b"]
    assert len({(e.image, e.prompt) for e in q.examples}) == 4  # the copies ask the same


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "b/0"}, "id 'b/0' is already that of"),
        ({"id": ""}, "its id is empty"),
        ({"id": "x" * 513}, "513 bytes, at most 512"),
        ({"prompt": " \n"}, "its question is empty"),
        ({"label": 2}, "label is not among its 2 options"),
        ({"offered": (0, 7)}, "offers answers that the benchmark does not have"),
        ({"offered": ()}, "neither options to choose from nor a reference"),
        ({"offered": (), "label": -1}, "neither options to choose from nor a reference"),
    ],
)
def test_laws(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        opened(monkeypatch, {"where": "file, line 1", **change})


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Is it so?"},
        {"cluster": "patient 1"},
        {"group": "pair"},
        {"tags": (("light", "night"),)},
        {"references": ("yes",)},
    ],
)
def test_all_that_is_asked_moves_the_digest(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    before = open_questions("made").digest
    assert opened(monkeypatch, change).digest != before


@pytest.mark.usefixtures("made")
def test_limits_of_replies() -> None:
    with pytest.raises(PlanError, match=r"--reply-tokens 8: made has no open .* names no rule"):
        open_questions("made").replying(8)
    shapes = open_questions("shapes", images=1)
    assert {shapes.reply_tokens(e) for e in shapes.examples} == {0}
    asked = shapes.replying(8)
    assert {asked.reply_tokens(e) for e in asked.examples} == {8}
    assert (asked.digest, asked.open, asked.closed_tokens) == (shapes.digest, False, 8)
    with pytest.raises(PlanError, match="a number above 0"):
        shapes.replying(-1)


@pytest.mark.usefixtures("made")
def test_rules_that_are_not_installed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    opens = Made.open
    for field, rule, near in (("scorer", "acuracy", "accuracy"), ("parser", "poope", "pope")):
        changed: dict[str, Any] = {field: rule}
        monkeypatch.setattr(Made, "open", lambda *a, c=changed: replace(opens(*a), **c))
        with pytest.raises(BenchmarkError, match=f"{field} '{rule}'.*{near}"):
            open_questions("made")


def test_digests_of_closed_benchmarks_have_not_moved() -> None:
    digest = "237c7174"
    assert open_questions("shapes", images=4).digest[:8] == digest


def test_the_benchmark_of_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r'```python\n("""``weather.*?)```', DOCS.read_text(), re.S)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    load = registry.load
    monkeypatch.setattr(
        registry, "load", lambda g, n: names["Weather"] if n == "weather" else load(g, n)
    )
    (tmp_path / "photo.jpg").write_bytes(picture(1))
    row = {"id": "1", "photo": "photo.jpg", "question": "Is it raining?", "answer": "No"}
    (tmp_path / "rain.jsonl").write_text(json.dumps(row))
    q = open_questions("weather", tmp_path)
    assert (q.examples[0].label, q.images) == (1, ("photo.jpg",))
    with pytest.raises(BenchmarkError, match="--data"):
        open_questions("weather")
