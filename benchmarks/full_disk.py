"""Fill a small disk while ``calprune collect`` runs: one line and exit code 5, then it goes on.

    python -m benchmarks.full_disk [--images 16]      (root, on Linux: mounts a tmpfs)

The disk is made larger step by step, so that the run meets its end in each stage. Each time the
command must end with exit code 5 and one line that names a file and a way out, and everything that
was published must stay; at the end the files must equal those of a run that never met it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.kill_and_resume import command, files, stage


@contextmanager
def small_disk(top: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KiB, which ``resized`` makes larger."""
    place = top / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        raise SystemExit("no tmpfs can be mounted here: run this as root, on Linux")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def resized(place: Path, kib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", str(place)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--step", type=int, default=32, help="KiB more each time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)) as disk:
        calm = Path(folder) / "calm"
        subprocess.run(command(calm, asked.images), check=True, stdout=subprocess.DEVNULL)
        expected = files(calm)
        features = sum(p.stat().st_size for p in calm.glob("features/**/*.h5")) // 1024
        sizes = [features // 2, *range(features, features + 64 * asked.step, asked.step)]
        store, met = disk / "store", Counter[str]()
        published: dict[str, bytes] = {}
        for kib in [*sizes, 4 * features]:
            resized(disk, kib)
            done = subprocess.run(
                command(store, asked.images), capture_output=True, text=True, check=False
            )
            now = files(store)
            if any(now.get(name) != one for name, one in published.items()):
                sys.exit("published, and gone or changed since")
            published = now
            if done.returncode == 0:
                break
            last = done.stderr.strip().splitlines()[-1]
            if done.returncode != 5 or "Traceback" in done.stderr or "No space left" not in last:
                sys.exit(f"exit code {done.returncode}: {done.stderr[-600:]}")
            met[stage(store)] += 1
        if files(store) != expected:
            sys.exit("the files differ from those of an undisturbed run")
    print(f"the disk was full {met.total()} times: {dict(met)}")
    print("each time exit code 5 and one line; every file equals the undisturbed run's")


if __name__ == "__main__":
    main()
