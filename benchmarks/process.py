"""What the system charges a whole process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Charge:
    """CPU seconds (user and system), wall seconds, and peak resident MiB."""

    cpu: float
    wall: float
    mib: float


def charged(words: Sequence[str], env: Mapping[str, str] | None = None, code: int = 0) -> Charge:
    """Run the interpreter with arguments once, on one thread, its output thrown away.

    Bytecode is kept between runs, as it is of what is installed.

    Args:
        words: after ``python``.
        env: added to the environment.
        code: the exit code that is expected.
    """
    told = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *words],
        {**told, "OMP_NUM_THREADS": "1", **(env or {})},
        file_actions=nowhere,
    )
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != code:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return Charge(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def in_turn(
    asked: Mapping[str, Sequence[str]], runs: int, env: Mapping[str, str] | None = None
) -> dict[str, Charge]:
    """Medians of several runs of each command, in turn, after one that does not count."""
    for words in asked.values():
        charged(words, env)
    seen = [{name: charged(words, env) for name, words in asked.items()} for _ in range(runs)]
    return {name: _medians(one[name] for one in seen) for name in asked}


def _medians(charges: Iterable[Charge]) -> Charge:
    all_of = list(charges)
    return Charge(*(median(getattr(c, name) for c in all_of) for name in ("cpu", "wall", "mib")))
