"""A cold ``calprune analyze`` over 60 conditions, against importing numpy and h5py alone.

    python -m benchmarks.cold_analyze [runs]

Each run is a process of its own, in turn; CPU seconds and peak memory are those that the system
charges it. numba and torch cannot be imported in them, as in a core install. "First" finds no
list of files that were checked before, all others the list that it left. Then many conditions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.bootstrap import made_up
from benchmarks.process import Charge, charged
from benchmarks.ratio import Ratio, show
from calprune.data.storage.container import Sealed
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store

ROOT = Path(__file__).resolve().parent.parent
BARE = ("-c", "import numpy, h5py")
UNIT = "x import numpy, h5py"
TARGETS = {
    "main table, again": 7.0,
    "without AURC, again": 6.0,
    "--against full with Holm, again": 12.0,
    "10,000 resamples, again": 18.0,
}
COLUMNS = {
    "example/id": "id",
    "example/split": "split",
    "example/category": "category",
    "example/cluster": "cluster",
    "example/duplicate_of": "duplicate_of",
    "example/label": "label",
    "example/offered": "offered",
    "answer/token": "answer_tokens",
    "logit/answer": "answer_logits",
    "logit/log_z": "log_z",
    "logit/entropy": "entropy",
    "logit/mean": "mean_logit",
    "logit/top_token": "top_token",
    "logit/top": "top_logit",
    "run/tokens": "tokens",
    "run/visual": "visual",
}


def write_table(store: Store, table: LogitTable) -> None:
    """Write a made-up condition as collecting would."""
    top = np.sort(table.answer_logits.reshape(len(table), -1), axis=1)[:, :0:-1]
    log_z = np.logaddexp.reduce(table.answer_logits.reshape(len(table), -1), axis=1) + 0.01
    table = replace(
        table,
        log_z=log_z.astype(np.float32),
        top_logit=np.ascontiguousarray(top),
        top_token=np.tile(np.arange(1, 4, dtype=np.int32), (len(table), 1)),
    )
    arrays = {path: np.asarray(getattr(table, name)) for path, name in COLUMNS.items()}
    arrays = {p: a.astype("S") if a.dtype.kind == "U" else a for p, a in arrays.items()}
    arrays["answer/name"] = np.array(table.answers, dtype="S")
    arrays["image/id"] = np.unique(arrays["example/cluster"])
    c = table.condition
    seal(store.logits(c), Sealed("calprune.logits", c.key, c.to_json(), {}, arrays))


def measured(quick: bool = False, runs: int = 0) -> Iterable[Ratio]:
    """Cold commands in units of the imports alone, first and again; the memory of many files."""
    runs = runs or (3 if quick else 7)
    with TemporaryDirectory() as root:
        folder = Path(root)
        env = {"PYTHONPATH": os.pathsep.join([str(_core(folder)), str(ROOT)])}
        few = _filled(folder / "few", 60)
        table = ("-m", "calprune", "analyze", "--store", str(few))
        asked = {
            "main table": table,
            "without AURC": (*table, "--metric", "accuracy,ece,brier,nll,overconfidence"),
            "--against full, Holm": (*table, "--against", "full"),
            "10,000 resamples": (*table, "--draws", "10000"),
        }
        found: dict[str, list[Charge]] = {name: [] for name in ("bare", "first", *asked)}
        for run in range(runs + 1):
            fresh = {**env, "XDG_CACHE_HOME": str(folder / f"cache-{run}")}  # nothing checked yet
            found["bare"].append(charged(BARE, fresh))
            found["first"].append(charged(table, fresh))
            for name, words in asked.items():
                found[name].append(charged(words, fresh))
        spent = {name: median(c.cpu for c in own[1:]) for name, own in found.items()}
        peak = median(c.mib for c in found["first"][1:])
        yield Ratio("cold analyze, main table, first time", spent["first"] / spent["bare"], UNIT, 9)
        for (name, target), own in zip(TARGETS.items(), asked, strict=True):
            yield Ratio(f"cold analyze, {name}", spent[own] / spent["bare"], UNIT, target)
        yield Ratio("cold analyze, main table, peak memory", peak, "MiB", 200)
        yield from _many(folder, env, 240 if quick else 600)


def _many(folder: Path, env: dict[str, str], conditions: int) -> Iterable[Ratio]:
    """Memory of many conditions, and how time grows from half of them."""
    few, many = (_filled(folder / str(n), n) for n in (conditions // 2, conditions))
    words = ("-m", "calprune", "analyze", "--store")
    half, whole = (charged((*words, str(store)), env) for store in (few, many))
    name = f"{conditions} conditions"
    yield Ratio(f"{name}, peak memory", whole.mib, "MiB", 400)
    yield Ratio(f"{name}, time against half of them", whole.cpu / half.cpu, "x", 2.1)


def _filled(folder: Path, conditions: int) -> Path:
    store = Store(folder)
    for number in range(conditions):
        write_table(store, made_up(number))
    return folder


def _core(folder: Path) -> Path:
    """A folder that, first on the path, hides what a core install does not have."""
    hidden = folder / "core"
    hidden.mkdir()
    for name in ("numba", "torch", "transformers"):
        (hidden / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")
    return hidden


if __name__ == "__main__":
    show(measured(runs=int(sys.argv[1]) if sys.argv[1:] else 0))
