"""The commands on checkpoints in the published layout, as a user runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.children import calprune
from tests.collect.checkpoints import save_checkpoint, save_pickled

MADE = {
    "llava": {"family": "llava", "text": "llama"},
    "next-vicuna": {"family": "llava_next", "text": "llama"},
    "next-mistral": {"family": "llava_next", "text": "mistral"},
}


@pytest.mark.parametrize("name", MADE)
def test_collect_audit_and_analyze(tmp_path: Path, name: str) -> None:
    folder = save_checkpoint(tmp_path / name, **MADE[name])
    store = tmp_path / "store"
    done = calprune(
        *("collect", "--model", str(folder), "--bench", "shapes", "--images", "3"),
        *("--select", "full", "--select", "scope:alpha=0,1", "--keep", "64"),
        *("--store", str(store), "--audit", "4", "--min-mass", "0"),
    )
    assert done.returncode == 0, done.stderr
    audits = re.findall(r"largest logit difference (\S+),.*answers changed (\d+)", done.stdout)
    assert len(audits) == 3
    assert all(float(worst) <= 1e-4 and changed == "0" for worst, changed in audits)
    table = calprune("analyze", "--store", str(store), "--format", "json")
    assert table.returncode == 0, table.stderr
    assert {e["selector"] for e in json.loads(table.stdout)["rows"]} == {"full", "scope"}
    assert calprune("verify", "--store", str(store)).returncode == 0


def test_dry_run_before_anything_is_there(tmp_path: Path) -> None:
    done = calprune(
        *("collect", "--model", "llava-1.5-7b", "--bench", "pope", "--dry-run"),
        *("--gpu", "a100", "--store", str(tmp_path / "none")),
        HF_HUB_CACHE=str(tmp_path / "hub"),
    )
    assert done.returncode == 0, done.stderr
    for part in ("9,000 rows", "5,127 distinct", "PFLOP", "MB of features", "on one a100"):
        assert part in done.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--device", "cuda:99"), 2, "cuda:99"),
        (("--picture", "squash"), 2, "known: crop, pad"),
        (("--template", "alpaca"), 2, "known: hf, mistral_instruct, vicuna_v1"),
        (("--revision", "main"), 2, "local folder"),
        (("--max-memory", "a lot"), 2, "8GB"),
        (("--dry-run", "--gpu", "abacus"), 2, "a100"),
    ],
)
def test_mistakes(tmp_path: Path, options: tuple[str, ...], code: int, said: str) -> None:
    folder = save_checkpoint(tmp_path / "llava")
    done = calprune(
        *("collect", "--model", str(folder), "--bench", "shapes", "--images", "1"),
        *("--store", str(tmp_path / "store"), *options),
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr.splitlines()[-1]


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = save_pickled(save_checkpoint(tmp_path / "llava"))
    done = calprune(
        *("collect", "--model", str(folder), "--bench", "shapes", "--images", "1"),
        *("--store", str(tmp_path / "store")),
    )
    assert done.returncode == 4
    assert "pickled (pytorch_model.bin)" in done.stderr
