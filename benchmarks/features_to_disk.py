"""Features of images to sealed files on the disk: images a second, with digests and sync.

    OMP_NUM_THREADS=1 python -m benchmarks.features_to_disk [--blocks 12] [--to .]

Blocks of 32 images, 576 tokens of 1,024 float16 values each, are checked, laid out, hashed twice
(content and file), written and synced one after another, as ``collect`` does it; nothing overlaps
with anything else but within a block. The best block counts, as other work on the machine only
slows it down; the median and CPU seconds are printed beside it. Files go into a temporary folder
below ``--to``, which should be on a disk, and are removed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.ratio import Ratio
from calprune.data.storage.blocks import SealedBlocks
from calprune.data.storage.container import Arrays, as_text

IMAGES, TOKENS, WIDTH = 32, 576, 1024


def block() -> Arrays:
    """What a block of features of LLaVA-1.5 holds, drawn."""
    rng = np.random.default_rng(0)
    names = [f"image-{i}" for i in range(IMAGES)]
    rows, columns = np.divmod(np.arange(TOKENS), 24)
    cell = np.stack([np.zeros_like(rows), rows, columns], axis=1).astype(np.int32)
    corner = 14.0 * np.stack([columns, rows], axis=1)
    box = np.concatenate([corner, corner + 14.0], axis=1).astype(np.float32)
    all_tokens = IMAGES * TOKENS
    return {
        "image/id": as_text(names),
        "image/digest": as_text([f"{i:064x}" for i in range(IMAGES)]),
        "image/offset": TOKENS * np.arange(IMAGES + 1, dtype=np.int64),
        "image/size": np.full((IMAGES, 2), 336, np.int32),
        "token/cell": np.tile(cell, (IMAGES, 1)),
        "token/glue": np.zeros(all_tokens, np.bool_),
        "token/box": np.tile(box, (IMAGES, 1)),
        "view/penultimate": rng.normal(size=(all_tokens, WIDTH)).astype(np.float16),
        "saliency/penultimate": rng.random(all_tokens).astype(np.float32),
    }


def seconds(blocks: int, to: Path) -> list[tuple[float, float]]:
    """Wall and CPU seconds of each block, after one that does not count."""
    arrays, took = block(), []
    with tempfile.TemporaryDirectory(dir=to) as folder:
        sealed = SealedBlocks("calprune.features", Path(folder), {"benchmark": "features to disk"})
        for i in range(blocks + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            sealed.seal(i, arrays, {"software": "benchmark"})
            took.append((time.perf_counter() - wall, time.process_time() - cpu))
            sealed.path(i).unlink()
    return took[1:]


def measured(quick: bool, blocks: int | None = None, to: Path = Path()) -> Iterator[Ratio]:
    """Images a second of wall time, best block."""
    took = seconds(blocks or (8 if quick else 24), to)
    wall, cpu = zip(*took, strict=True)
    print(
        f"{os.cpu_count()} cores; median {IMAGES / statistics.median(wall):.0f} images/s, "
        f"{IMAGES / statistics.median(cpu):.0f} a CPU second"
    )
    name = "features to disk, 576 x 1,024 float16"
    yield Ratio(name, IMAGES / min(wall), "images/s", 400.0, "higher")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--to", type=Path, default=Path(), help="a folder on the disk")
    asked = parser.parse_args()
    for ratio in measured(False, asked.blocks, asked.to):
        print(ratio)


if __name__ == "__main__":
    main()
