from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calprune.data.benchmarks import open_questions
from calprune.errors import BenchmarkError


@pytest.fixture
def pope(tmp_path: Path) -> Path:
    """Two images, two questions each in every split, in the official layout."""
    (tmp_path / "val2014").mkdir()
    for i in (1, 2):
        pixels = np.full((8, 12, 3), 40 * i, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "val2014" / f"COCO_val2014_{i:012d}.jpg")
    for split in ("random", "popular", "adversarial"):
        with (tmp_path / f"coco_pope_{split}.json").open("w") as file:
            for number in range(4):
                row = {
                    "question_id": number + 1,
                    "image": f"COCO_val2014_{1 + number // 2:012d}.jpg",
                    "text": f"Is there a {'cat' if number % 2 == 0 else split} in the image?",
                    "label": "yes" if number % 2 == 0 else "no",
                }
                file.write(json.dumps(row) + "\n")
    return tmp_path


def test_official_files(pope: Path) -> None:
    q = open_questions("pope", pope)
    assert len(q.examples) == 12
    assert len(q.images) == 2
    assert q.examples[0].id == "random/1"
    assert q.examples[0].prompt.endswith("?\nAnswer the question using a single word or phrase.")
    assert [e.split for e in q.examples[:6:2]] == ["random", "popular", "adversarial"]
    assert len({(e.image, e.prompt) for e in q.examples}) == 8


def test_without_data_the_way_out_is_named() -> None:
    with pytest.raises(BenchmarkError, match=r"coco_pope_random\.json.*--data.*shapes"):
        open_questions("pope")


def test_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="lacks its files"):
        open_questions("pope", tmp_path)


def test_missing_image_is_named(pope: Path) -> None:
    (pope / "val2014" / "COCO_val2014_000000000002.jpg").unlink()
    with pytest.raises(BenchmarkError, match="000000000002"):
        open_questions("pope", pope)


def test_the_old_short_split_is_recognised(pope: Path) -> None:
    line = (pope / "coco_pope_random.json").read_text().splitlines()[0]
    (pope / "coco_pope_random.json").write_text("\n".join([line] * 2910))
    with pytest.raises(BenchmarkError, match="2,910"):
        open_questions("pope", pope)


@pytest.mark.parametrize(
    "row",
    [
        '{"question_id": 1}',
        "not json",
        '{"question_id":1,"image":"../../etc/passwd","text":"x","label":"yes"}',
        '{"question_id":1,"image":"a.jpg","text":"x","label":"maybe"}',
    ],
)
def test_bad_rows_are_refused(pope: Path, row: str) -> None:
    (pope / "coco_pope_popular.json").write_text(row + "\n")
    with pytest.raises(BenchmarkError, match="coco_pope_popular"):
        open_questions("pope", pope)
