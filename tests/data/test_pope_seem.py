"""``pope-aokvqa`` and ``pope-gqa``: POPE's loader on other pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from calprune.data.questions import find_benchmark, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import pope, pope_seem

SETS = [("pope-aokvqa", pope_seem.aokvqa), ("pope-gqa", pope_seem.gqa)]


@pytest.mark.parametrize(("name", "write"), SETS)
def test_they_are_read_as_pope(tmp_path: Path, name: str, write: object) -> None:
    q = open_questions(name, write(tmp_path / name))  # type: ignore[operator]
    original = open_questions("pope", pope.official(tmp_path / "pope"))
    assert [(e.id, e.prompt, e.label, e.split) for e in q.examples] == [
        (e.id, e.prompt, e.label, e.split) for e in original.examples
    ]
    assert q.digests == original.digests
    assert (q.source.scorer, q.source.layout) == ("f1-over-splits", "official")
    assert q.examples[0].prompt == (
        "Is there a kettle in the image?\nAnswer the question using a single word or phrase."
    )


@pytest.mark.parametrize(("name", "write"), SETS)
def test_the_files_wanted_are_named(tmp_path: Path, name: str, write: object) -> None:
    stem = name.removeprefix("pope-")
    with pytest.raises(BenchmarkError, match=rf"{name} needs its data.*{stem}_pope_seem_random"):
        open_questions(name)
    (write(tmp_path) / f"{stem}_pope_seem_popular.json").unlink()  # type: ignore[operator]
    with pytest.raises(BenchmarkError, match=f"lacks {stem}_pope_seem_popular"):
        open_questions(name, tmp_path)
    assert find_benchmark(name).published is None


def test_gqas_names_are_kept(tmp_path: Path) -> None:
    q = open_questions("pope-gqa", pope_seem.gqa(tmp_path))
    assert q.images == ("1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert q.source.picture("2.jpg") == tmp_path / "images" / "2.jpg"
