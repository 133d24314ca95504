"""Peak memory of ``collect`` for more and more images, each run in a process of its own.

    python -m benchmarks.peak_memory [--images 32,64,128,250]

Blocks of 32 images are encoded, ranked and asked one after another. Features are kept in a quarter
of the free memory and read again beyond, here in as little as asked for, so the peak must level
off; what grows with the benchmark is its list of questions. The embedded model, three conditions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile

CHILD = """
import resource, sys
from calprune.collect import run
from calprune.collect.stages import block_cache

n, store, room = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
block_cache.LEAST_FEATURES_IN_MEMORY = room
block_cache.host_memory = lambda _what: None
run.collect("shapes", store=store, images=n, select=["full", "scope"], keep=[128, 64])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", default="32,64,128,250")
    parser.add_argument("--features", type=int, default=16, help="MB of features kept in memory")
    asked = parser.parse_args()
    print(f"features kept in memory: {asked.features} MB")
    for n in asked.images.split(","):
        with tempfile.TemporaryDirectory() as store:
            done = subprocess.run(
                [sys.executable, "-c", CHILD, n, store, str(asked.features << 20)],
                capture_output=True,
                text=True,
                check=True,
            )
        print(f"{n:>5} images: peak {done.stdout.split()[-1]} MiB")


if __name__ == "__main__":
    main()
