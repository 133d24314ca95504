"""CDPruner end to end: tokens of each question, by a CLIP model beside the tower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import calprune
from calprune.cli import app
from calprune.data.storage.reading import check_file
from calprune.data.storage.store import Store
from tests.collect.clip_checkpoint import save_clip

VISION = {
    "hidden_size": 32,
    "image_size": 168,
    "intermediate_size": 64,
    "model_type": "clip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "patch_size": 7,
    "projection_dim": 24,
}


def test_it_is_collected_audited_and_analysed(tiny_llava: Path, tmp_path: Path) -> None:
    clip, store = save_clip(tmp_path / "clip", 32, vision_config=VISION), tmp_path / "store"
    outcome = calprune.collect(
        "shapes",
        store=store,
        model=str(tiny_llava),
        clip=str(clip),
        select=["cdpruner", "full"],
        keep=16,
        images=2,
        min_mass=0,
        audit_rows=6,
    )
    assert outcome.sealed == 2
    audits = {a.label: a for a in outcome.audits}
    assert {a.partition(" clip=")[0] for a in audits} == {"cdpruner @16", "full"}
    assert all(a.rows == 6 and a.worst_logit < 1e-4 and a.flipped == 0 for a in outcome.audits)

    path = next((store / "logits").rglob("cdpruner-theta0-k16-*.h5"))
    arrays = check_file(path).arrays
    kept, question = arrays["image/kept"], arrays["image/question"]
    assert kept.shape == (len(question), 16)
    assert all(len(set(row)) == 16 and (np.diff(row) > 0).all() for row in kept.tolist())
    assert len({tuple(row) for row in kept[arrays["image/id"] == b"scene-0000"].tolist()}) > 1
    assert {t.condition.label: len(t) for t in Store(store).tables()} == {
        "cdpruner-theta0-k16": 36,
        "full": 36,
    }


def test_the_command_collects_it_and_says_what_it_lacks(tiny_llava: Path, tmp_path: Path) -> None:
    clip = save_clip(tmp_path / "clip", 32, vision_config=VISION)
    asked = ["collect", "--model", str(tiny_llava), "--store", str(tmp_path / "s"), "--images", "1"]
    asked += ["--select", "cdpruner:theta=0,0.5", "--keep", "8", "--min-mass", "0"]
    done = CliRunner().invoke(app, [*asked, "--clip", str(clip)])
    assert done.exit_code == 0, done.output
    assert "2 conditions" in done.output
    lacking = CliRunner().invoke(app, asked)
    assert lacking.exit_code != 0
    assert "needs the signals 'joint' and 'text-clip'" in str(lacking.exception)
