"""A cold ``calprune analyze`` over 60 conditions, against importing numpy and h5py alone.

    python -m benchmarks.cold_analyze [conditions] [runs]

Each run is a process of its own; CPU seconds and peak memory are those that the system charges it.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.bootstrap import made_up
from calprune.data.storage.container import Sealed
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store

BARE = ("-c", "import numpy, h5py")
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


def charged(words: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and peak MiB of one interpreter."""
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *words],
        {**os.environ, "OMP_NUM_THREADS": "1"},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print both and their ratio, medians of some runs."""
    given = [int(a) for a in sys.argv[1:]]
    conditions, runs = (*given, *(60, 5)[len(given) :])
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for number in range(conditions):
            write_table(store, made_up(number))
        main_table = ("-m", "calprune", "analyze", "--store", folder)
        asked = {
            "main table": main_table,
            "against full, Holm": (*main_table, "--against", "full"),
            "temperature, cross-validated": (*main_table, "--calibrate", "temperature"),
            "10,000 resamples": (*main_table, "--draws", "10000"),
        }
        for words in asked.values():
            charged(words)  # compiles once
        bare = statistics.median(charged(BARE)[0] for _ in range(runs))
        print(f"import numpy, h5py: {bare:.2f} CPU s")
        for name, words in asked.items():
            seen = [charged(words) for _ in range(runs)]
            cpu, memory = (statistics.median(column) for column in zip(*seen, strict=True))
            print(f"{name}: {cpu:.2f} CPU s, {cpu / bare:.1f} times that; peak {memory:.0f} MiB")


if __name__ == "__main__":
    main()
