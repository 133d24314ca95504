"""Kill ``calprune collect`` with SIGKILL at random moments, resume, compare every byte.

    python -m benchmarks.kill_and_resume [--kills 200] [--writers 2] [--images 16]

Several writers fill one store at once; each is killed and started again until all of them end.
What a writer has published may never vanish or change, and what is there at the end must equal the
files of an undisturbed run, byte for byte.
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
    """What is published; of parts and temporary files nothing is promised."""
    return {
        str(p.relative_to(store)): p.read_bytes()
        for p in sorted(store.rglob("*.h5"))
        if p.is_file() and ".parts" not in p.parts
    }


def leftovers(store: Path) -> list[str]:
    return [str(p) for p in store.rglob(".tmp-*")] + [str(p) for p in store.rglob(".parts/*/*")]


def stage(store: Path) -> str:
    if any(store.glob("logits/**/*.h5")):
        return "asking"
    if any(store.glob("rankings/**/*.h5")):
        return "choosing"
    return "encoding" if any(store.glob("features/**/*.h5")) else "starting"


def started(store: Path, images: int) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command(store, images), stdout=quiet, stderr=quiet)


def disturbed(
    store: Path, asked: argparse.Namespace, whole: float, draw: random.Random
) -> Counter[str]:
    """Kill writers of a store until each has ended by itself; how often, by stage."""
    killed: Counter[str] = Counter()
    running = [started(store, asked.images) for _ in range(asked.writers)]
    published: dict[str, bytes] = {}
    while running:
        time.sleep(draw.uniform(0.1, 1.5) * whole)
        now = files(store)
        lost = [n for n in published if now.get(n) != published[n]]
        if lost:
            sys.exit(f"published, and gone or changed since: {lost[:5]}")
        published = now
        child = draw.choice(running)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()
            killed[stage(store)] += 1
            running[running.index(child)] = started(store, asked.images)
        for done in [one for one in running if one.poll() is not None]:
            if done.returncode != 0:
                sys.exit(f"a resumed run ended with {done.returncode}")
            running.remove(done)
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as top:
        calm = Path(top) / "calm"
        began = time.monotonic()
        subprocess.run(command(calm, asked.images), check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
        expected = files(calm)
        print(f"an undisturbed run: {whole:.1f} s, {len(expected)} files", flush=True)
        killed: Counter[str] = Counter()
        stores = 0
        while killed.total() < asked.kills:
            store = Path(top) / f"killed-{stores}"
            stores += 1
            killed += disturbed(store, asked, whole, draw)
            found = files(store)
            if found != expected:
                different = sorted(set(found) ^ set(expected))
                different += [n for n in found if n in expected and found[n] != expected[n]]
                sys.exit(f"different after {killed.total()} kills: {different[:5]}")
            if leftovers(store):
                subprocess.run(command(store, asked.images), check=True, capture_output=True)
            if leftovers(store):
                sys.exit(f"left behind: {leftovers(store)[:5]}")
        print(f"SIGKILL {killed.total()} times, {asked.writers} writers, over {stores} stores:")
        print(", ".join(f"{n} while {name}" for name, n in killed.items()))
        print("every file of every resumed store equals the undisturbed run's, byte for byte")


if __name__ == "__main__":
    main()
