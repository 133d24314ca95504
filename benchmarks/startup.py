"""How long the command line takes to begin, against a bare interpreter.

    python -m benchmarks.startup [runs]

Whole processes in turn, medians of their CPU seconds; bytecode is there already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from benchmarks.process import in_turn
from benchmarks.ratio import Ratio, show

ASKED = {"--help": 7.0, "ls metrics": 9.0}


def measured(quick: bool = False, runs: int = 0) -> Iterable[Ratio]:
    """What ``--help`` and ``ls metrics`` take, in bare interpreters."""
    words = {name: ["-m", "calprune", *name.split()] for name in ASKED}
    found = in_turn({"bare": ["-c", "pass"], **words}, runs or (11 if quick else 31))
    for name, target in ASKED.items():
        yield Ratio(
            f"calprune {name}", found[name].cpu / found["bare"].cpu, "x python -c pass", target
        )


if __name__ == "__main__":
    show(measured(runs=int(sys.argv[1]) if sys.argv[1:] else 0))
