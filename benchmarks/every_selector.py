"""Every selector that chooses before the language model: CPU milliseconds an image.

    OMP_NUM_THREADS=1 python -m benchmarks.every_selector [--keep 192] [--repeats 5]

576 tokens of 1,024 values, projected to 4,096, drawn in clusters as in ``calprune.testing``; one
thread. Cosine similarities are given, as all selectors share them; what they cost is printed
first. *First* is a selector's first call for an image, *again* its next one, for another budget,
seed or parameter, which shares what belongs to the image alone. Rankings are of all 576 tokens:
they serve every budget.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks.ratio import Ratio
from calprune import registry
from calprune.collect.selectors import Merges, Picks, Ranks, VisualTokens
from calprune.collect.selectors.prunesid import PruneSID
from calprune.testing.selectors import WIDTHS, made_up

SIZES = {"projected": 4096, "text-words": 4096, "joint": 768, "text-clip": 768, "cls-token": 1024}
SHARED = ("features", "projected", "keys")


def milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


def image() -> VisualTokens:
    """24 x 24 tokens with every signal."""
    tokens = made_up(0, grid=(24, 24), widths={**WIDTHS, **SIZES})
    view = tokens.signals["projected"][:, :1024].copy()
    return replace(tokens, features=view, _known={})


def choosing(selector: Any, tokens: VisualTokens, k: int) -> Callable[[], object] | None:
    if isinstance(selector, Ranks):
        return lambda: selector.rank(tokens)
    if isinstance(selector, Picks):
        return lambda: selector.pick(tokens, k)
    return (lambda: selector.merge(tokens, k)) if isinstance(selector, Merges) else None


def measured(quick: bool) -> Iterator[Ratio]:
    """PruneSID's next seed: CPU milliseconds, as one thread does it."""
    torch.set_num_threads(1)
    tokens, took = image(), []
    PruneSID().merge(tokens, 192)
    for seed in range(9 if quick else 25):
        took.append(milliseconds(lambda seed=seed: PruneSID(seed).merge(tokens, 192)))  # type: ignore[misc]
    name = "PruneSID, next budget or seed, 192 of 576"
    yield Ratio(name, statistics.median(took), "CPU ms", 25.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    given = image()
    for name in SHARED:
        took = milliseconds(lambda name=name: given.alike(name))  # type: ignore[misc]
        print(f"similarity of {name}: {took:.1f} ms, shared")
    print(f"\n{'selector':<22}{'first':>8}{'again':>8}   ms, {asked.keep} of 576")
    for name in registry.names("selectors"):
        made = registry.load("selectors", name)
        for numerics in sorted(getattr(made, "numerics", {"canonical"})):
            first, again = [], []
            for _ in range(asked.repeats + 1):  # the first one compiles
                known = {name: given.alike(name) for name in SHARED}
                tokens = replace(given, compat=numerics == "compat", _known=known)
                work = choosing(made(), tokens, asked.keep)
                if work is None:
                    break
                first.append(milliseconds(work))
                again.append(milliseconds(work))
            if first:
                label = name if numerics == "canonical" else f"{name}, {numerics}"
                a, b = statistics.median(first[1:]), statistics.median(again[1:])
                print(f"{label:<22}{a:>8.1f}{b:>8.1f}")


if __name__ == "__main__":
    main()
