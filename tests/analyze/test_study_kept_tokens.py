"""A study's pictures of kept tokens, and of the attention that these have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import calprune
from calprune.analyze.reproduction.figures import figures_of, pictures_of, records_of
from calprune.analyze.reproduction.figures.kept import square_picture
from calprune.data.benchmarks.shapes import Shapes
from calprune.data.storage.container import as_text
from calprune.data.storage.kept_tokens import kept_tokens
from calprune.data.storage.store import Store
from tests.analyze.calls import reproduce


@pytest.fixture
def with_features(tmp_path: Path) -> Path:
    """Three conditions of the sample, and made-up features of its first images."""
    found = [t for t in calprune.open("sample").tables if t.condition.seed is None]
    wanted = [
        t
        for t in found
        if t.condition.selector == "full"
        or (
            t.condition.budget.value == 64
            and (
                t.condition.selector == "saliency" or dict(t.condition.parameters).get("alpha") == 1
            )
        )
    ]
    assert len(wanted) == 3
    for table in wanted:
        to = tmp_path / "logits" / "m" / "b" / table.path.name
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(table.path.read_bytes())
    made = wanted[0].condition
    recorded = kept_tokens(wanted[0])
    assert recorded is not None
    images, side = recorded.image[:32], 24
    n = side * side
    arrays = {
        "image/id": as_text(list(images)),
        "image/digest": as_text(["0" * 64] * 32),
        "image/offset": np.arange(33, dtype=np.int64) * n,
        "image/size": np.full((32, 2), 336, dtype=np.int32),
        "saliency/cls": np.tile(np.geomspace(1e-4, 1e-1, n), 32).astype(np.float32),
        "token/box": np.zeros((32 * n, 4), dtype=np.float32),
        "token/cell": np.zeros((32 * n, 3), dtype=np.int32),
        "token/glue": np.zeros(32 * n, dtype=np.bool_),
        "view/patches": np.zeros((32 * n, 2), dtype=np.float32),
    }
    manifest = {"model_digest": made.model_digest, "pixels": made.pixels, "block": 32}
    Store(tmp_path).features(made.model, made.benchmark, manifest).seal(0, arrays, {})
    return tmp_path


def test_kept_tokens_are_drawn_of_the_files_that_record_them(with_features: Path) -> None:
    tables = calprune.open(with_features).tables
    _, two, three = figures_of("scope-appendix", reproduce(tables, "scope-appendix", draws=20))
    (panel,) = two.panels
    assert [one.label for one in panel.kept] == ["saliency, K = 64", "SCOPE, K = 64"]
    for one in panel.kept:
        assert one.kept.shape == (4, 24, 24)
        assert one.kept.sum(axis=(1, 2)).tolist() == [64] * 4
    assert (panel.kept[0].kept != panel.kept[1].kept).any()
    rows = records_of(two)
    assert len(rows) == 4 * 24 * 24
    assert sum(row["SCOPE, K = 64"] for row in rows) == 4 * 64
    (attention,) = three.panels
    bins = records_of(three)
    assert sum(row["all tokens"] for row in bins) == pytest.approx(576)
    assert sum(row["SCOPE, K = 64"] for row in bins) == pytest.approx(64)
    assert attention.kept[0].attention is not None
    pictures = pictures_of([two, three])
    assert "Shown: shapes-llava on shapes" in pictures[0].notes[1]
    assert "lines run around kept tokens" in pictures[0].notes[2]
    assert "first 32 images" in pictures[1].notes[2]


def test_without_features_there_is_no_attention_and_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tables = calprune.open("sample").tables
    found = figures_of("scope-appendix", reproduce(tables, "scope-appendix", draws=20))
    assert [one.figure.name for one in found] == ["figure-1", "figure-2"]
    assert "SCOPE, K = 64: its features are not in the store" in capsys.readouterr().err


def test_images_of_others_are_left_out_of_pages(with_features: Path, monkeypatch) -> None:
    """Their tokens are drawn in the method's colour instead, and the caption says so."""
    tables = calprune.open(with_features).tables
    _, two, _ = figures_of("scope-appendix", reproduce(tables, "scope-appendix", draws=20))
    kept = two.panels[0].kept
    assert square_picture(kept[0], 0, licensed=False) is not None
    monkeypatch.setattr(Shapes, "reads_files", True)
    assert square_picture(kept[0], 0, licensed=False) is None
    shown = square_picture(kept[0], 0, licensed=True)
    assert shown is not None
    assert shown.shape[0] == shown.shape[1]
    assert "Images are left out" in " ".join(pictures_of([two])[0].notes)
