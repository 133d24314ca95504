"""Kill ``calprune collect`` with SIGKILL at random moments, resume, compare every byte.

    python -m benchmarks.kill_and_resume [--kills 20] [--images 64]

Prints how often the run was killed, in which stage, and whether every file equals that of an
undisturbed run.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

GRID = ["--select", "full", "--select", "scope:alpha=0,1", "--select", "random", "--keep", "64,32"]


def command(store: Path, images: int) -> list[str]:
    return [
        *(sys.executable, "-m", "calprune", "collect", "--bench", "shapes"),
        *("--store", str(store), "--images", str(images), *GRID),
    ]


def files(store: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(store)): p.read_bytes()
        for p in sorted(store.rglob("*"))
        if p.is_file() and "runs" not in p.parts
    }


def stage(store: Path) -> str:
    if any(store.glob("logits/**/*.h5")):
        return "asking"
    if any(store.glob("rankings/**/*.h5")):
        return "choosing"
    return "encoding" if any(store.glob("features/**/*.h5")) else "starting"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as top:
        calm = Path(top) / "calm"
        began = time.monotonic()
        subprocess.run(command(calm, asked.images), check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
        expected = files(calm)
        killed: Counter[str] = Counter()
        stores = 0
        while killed.total() < asked.kills:
            store = Path(top) / f"killed-{stores}"
            stores += 1
            while True:
                child = subprocess.Popen(command(store, asked.images), stdout=subprocess.DEVNULL)
                wait = draw.uniform(0.1, 1.0) * whole
                try:
                    child.wait(wait)
                    break
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
                    child.wait()
                    killed[stage(store)] += 1
            found = files(store)
            if found != expected:
                different = sorted(set(found) ^ set(expected))
                different += [n for n in found if n in expected and found[n] != expected[n]]
                sys.exit(f"different after {killed.total()} kills: {different[:5]}")
        print(f"an undisturbed run: {whole:.1f} s, {len(expected)} files")
        print(f"SIGKILL {killed.total()} times over {stores} stores: {dict(killed)}")
        print("every file of every resumed store equals the undisturbed run's, byte for byte")


if __name__ == "__main__":
    main()
