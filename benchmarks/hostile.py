"""Thousands of damaged and hostile files: is every one refused, how fast, and in how much memory?

    python -m benchmarks.hostile [--files 2000] [--seed 0]

Files of three kinds are made of the packaged sample's: damaged (a bit, a cut, a block of zeros; the
hashes are wrong then), scattered (bytes changed and the hashes made right) and structured (values,
types, shapes, links, loops, storage, attributes changed, and the hashes made right). Each is
opened as a stranger's. It is refused, or holds what the whole file holds, or other lawful values.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from calprune.data.storage import origin
from calprune.data.storage.apart import Process
from calprune.data.storage.container import unpack
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.reading import check_file
from calprune.errors import StoreError
from tests.data.hostile_generator import files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    whole = min(SAMPLE.rglob("*.h5"), key=lambda path: path.stat().st_size)
    raw, digest = whole.read_bytes(), unpack(whole, "calprune.logits").digest
    origin.suspect_all()
    for kinds in ("damaged", "scattered", "structured"):
        _print(kinds, raw, digest, asked.files, asked.seed)


def _print(kinds: str, raw: bytes, digest: str, many: int, seed: int) -> None:
    ended: Counter[str] = Counter()
    slowest, peak, seen = 0.0, 0, {Process.running()._child.pid}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odd.h5"
        for made in islice(files(raw, seed, kinds), many):
            path.write_bytes(made)
            begun = time.perf_counter()
            try:
                same = check_file(path).digest == digest
                ended["the same content" if same else "other, lawful values"] += 1
            except StoreError as error:
                ended["refused"] += 1
                ended["the limited process ended"] += "process that read it" in str(error)
            slowest = max(slowest, time.perf_counter() - begun)
            child = Process.running()._child
            seen.add(child.pid)
            peak = max(peak, _peak(child.pid))
    told = ", ".join(f"{count} {name}" for name, count in ended.items() if count)
    print(
        f"{kinds}: {many} files: {told}; slowest {slowest:.2f} s, peak of the limited process "
        f"{peak / 1024:.0f} MiB, {len(seen)} of them"
    )


def _peak(pid: int) -> int:
    """KiB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
