"""Files written by released format versions must be read for ever, by any h5py that is allowed."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pytest

from calprune.data.storage.container import unpack
from calprune.data.storage.reading import check_file, read_logits
from calprune.data.storage.schema import FORMATS, VERSION
from tests.data.test_condition import PLAIN
from tests.data.test_container import ranking
from tests.data.test_store import logit_arrays, sealed

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"

# Content digests, as calprune of that version computed them when it wrote the file.
DIGESTS = {
    "logits-1.0": "ae9a7d24b8d90d1ad27506978e3aa57ae4215cdc216502a8f49a5aad6142b5b6",
    "logits-1.1": "d795ba9873ab2377be569d730f0875e9e74ff0062fa9a6d09fa7e6e128fcb6ab",
    "logits-1.2": "b36a971ce7504a7e2953d472b5eb2aa43916446d13f377e1c9b587036945348b",
    "logits-1.3": "1cff51e49d500547ffcd87771235e06d65f04d5e43a84a69452c574f85aad850",
    "rankings-1.0": "51667edade810b84bfd242a0445ee35a8d5379700f3c50799f1b3a56aaff076a",
    "audits-1.3": "95f31dc03abfccca17791324d2a894b38c5ad13d467adbf0b12542c2fb3c5f97",
    "features-1.3": "e99b709647de0efc2e1310a76dbcdfa097161a80788f219b9b809a8ed845f926",
    "merges-1.3": "bcfaa0b735ae6eb7a1c570368ab542418f8a0cfbef7fbb54a3a0d147d8e45df7",
    "signals-1.3": "fd85edeff941de8365c480255d2dd146723cbc25257746931cf688c03801e637",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_what_was_written_is_read(name: str) -> None:
    path = GOLDEN / f"{name}.h5"
    kind, told = name.split("-")
    with h5py.File(path) as file:
        assert file.attrs["version"].decode() == told
    found = check_file(path)
    assert (found.kind, found.digest) == (f"calprune.{kind}", DIGESTS[name])


def test_every_version_and_every_kind_has_a_file() -> None:
    assert {p.stem for p in GOLDEN.glob("*.h5")} == DIGESTS.keys()
    assert {f"logits-1.{minor}" for minor in range(VERSION[1] + 1)} <= DIGESTS.keys()
    assert {f"calprune.{name.split('-')[0]}" for name in DIGESTS} == FORMATS.keys()


def test_the_oldest_h5py_that_is_allowed_is_one_that_reads_them() -> None:
    """A wider range takes an environment with the oldest one, as transformers has."""
    (line,) = [
        x
        for x in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if x.startswith("h5py")
    ]
    oldest = re.search(r">=([0-9.]+)", line)
    assert oldest is not None
    assert version("h5py").startswith(f"{oldest[1]}.")


def test_what_version_1_0_holds() -> None:
    table = read_logits(GOLDEN / "logits-1.0.h5")
    assert table.condition == PLAIN
    np.testing.assert_array_equal(table.answer_logits, logit_arrays()["logit/answer"])
    assert check_file(table.path).digest == sealed(logit_arrays()).digest
    again = unpack(GOLDEN / "rankings-1.0.h5", "calprune.rankings")
    assert again.digest == ranking().digest


def test_what_later_versions_added() -> None:
    groups, cuts, closed = (read_logits(GOLDEN / f"logits-1.{minor}.h5") for minor in (1, 2, 3))
    assert groups.scorer == "accuracy"
    assert groups.group is not None
    assert set(groups.tags) == {"grade"}
    assert cuts.visual[:, 0].tolist() != cuts.visual[:, -1].tolist()
    assert closed.replies is not None
    assert set(closed.replies.text) == {"blue"}
    assert closed.condition.closed_reply == 16
