"""What is compiled is cached under a digest of all files that it may be made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import calprune
from calprune.collect.selection.compiled import digest_of

CHOICE = """
import numpy as np
from calprune.collect.selection.max_min import greedy_max_min
similarity = np.array([[1, 0.5, 0.1], [0.5, 1, 0.2], [0.1, 0.2, 1]], np.float32)
print(greedy_max_min(similarity, np.arange(3))[0].tolist())
"""


def test_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    seen = set()
    for texts in (("ab", "c"), ("a", "bc"), ("ab", "d")):
        for path, text in zip((one, two), texts, strict=True):
            path.write_text(text)
        seen |= {digest_of([one, two]), digest_of([two, one])}
    assert len(seen) == 6
    assert all(len(digest) == 8 for digest in seen)


def test_a_changed_tie_rule_is_noticed_by_loops_in_other_files(tmp_path: Path) -> None:
    """The third token lies 0.8 from its nearest, the first and second 0.5: no tie, until it is."""
    copy = tmp_path / "calprune"
    shutil.copytree(
        Path(calprune.__file__).parent,
        copy,
        ignore=shutil.ignore_patterns("__pycache__", "*.h5", "*.safetensors"),
    )
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    env |= {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def chosen() -> list[int]:
        ran = subprocess.run(
            [sys.executable, "-c", CHOICE], env=env, cwd=tmp_path, text=True, capture_output=True
        )
        assert ran.returncode == 0, ran.stderr
        return [int(i) for i in ran.stdout.strip(" []\n").split(",")]

    assert chosen() == [2, 0, 1]
    rule = copy / "collect" / "visual_tokens.py"
    text = rule.read_text(encoding="utf-8")
    assert "RELATIVE_TIE = 1e-9" in text
    rule.write_text(text.replace("RELATIVE_TIE = 1e-9", "RELATIVE_TIE = 0.9"), encoding="utf-8")
    assert chosen() == [0, 1, 2]
