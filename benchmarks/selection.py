"""Greedy coverage: a batched torch loop against the compiled greedy, in one run.

    python -m benchmarks.selection [--images 8] [--repeats 5] [--alpha 1] [--large-loop]

192 of 576 tokens: the loop stacks all images, computes every gain anew at every step, in float32
and in one buffer that it allocates once (``pow_`` for powers other than 1); at p = 1 it is also
timed plain, as one writes it down, with fresh tensors at every step. The compiled
greedy takes one image after the other, in float64. The sides alternate; medians per image are
printed, and their ratio. Similarity and saliency are given, and everything is compiled beforehand.

640 of 2,880 tokens: the compiled greedy alone, as the loop takes 5 to 25 seconds an image;
``--large-loop`` times that as well, once.

The same run checks that both sides keep the same tokens. Float32 cannot say which of two equal
scores comes first, so for this the loop runs once more, in float64, and takes the lowest index
within a relative 1e-9. Exit status 1 if any image differs.

``measured`` compares CPU time in one run: p = 1.5 with p = 1, and ``--numerics compat`` with SCOPE
as its formula reads in torch's float16, written here anew, both from features of 1,024 values. The
latter stops at 192 tokens; ours orders all 576.

Features are drawn: one normal direction that all tokens share, plus a normal centre for every 7
(576) or 14 tokens (2,880), plus normal noise, in 256 dimensions with standard deviations 0.7, 1
and 0.7, so that nearly all cosines are positive and every token has near neighbours. Saliency is
Dirichlet with concentration 0.3: a few tokens hold most of it.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ratio import Ratio
from calprune.collect.selection.coverage import greedy_coverage
from calprune.collect.selection.half_precision import half_greedy_coverage
from calprune.collect.selection.tie_break import DRIFT
from calprune.collect.similarity import canonical_similarity
from calprune.collect.visual_tokens import RELATIVE_TIE

SMALL, SMALL_POWERS = (576, 192), (1.0, 1.2, 1.5, 2.0)
LARGE, LARGE_POWERS = (2880, 640), (1.0, 1.5, 2.0)


def draw(seed: int, v: int, alpha: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Similarity and weights of one image."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(v // (7 if v == SMALL[0] else 14), 256))
    centres += 0.7 * rng.normal(size=256)
    view = centres[rng.integers(len(centres), size=v)] + 0.7 * rng.normal(size=(v, 256))
    return canonical_similarity(view), rng.dirichlet(np.full(v, 0.3)) ** alpha


@torch.inference_mode()
def loop(similarity: torch.Tensor, weight: torch.Tensor, power: float, k: int) -> torch.Tensor:
    """What fits on a page: (images, v, v) and (images, v) in, the order (images, k) out.

    In float64 scores within a relative 1e-9 count as equal; in float32 the largest is taken.
    """
    images = torch.arange(len(similarity))
    gap, score, left = torch.empty_like(similarity), torch.empty_like(weight), weight.clone()
    cover = torch.zeros_like(weight)
    order = torch.empty(len(similarity), k, dtype=torch.long)
    for step in range(k):
        torch.sub(similarity, cover[:, :, None], out=gap).clamp_(min=0.0)
        if power != 1.0:
            gap.pow_(power)
        torch.sum(gap, 1, out=score).mul_(weight).masked_fill_(left < 0.0, -1.0)
        if score.dtype == torch.float64:
            best = score.amax(1, keepdim=True)
            if step == 0:
                floor = DRIFT * best
            score = (score >= best - (RELATIVE_TIE * best + floor)).to(score.dtype)
        pick = score.argmax(1)
        order[:, step] = pick
        left[images, pick] = -1.0
        cover = torch.maximum(cover, similarity[images, pick])
    return order


@torch.inference_mode()
def plain_loop(similarity: torch.Tensor, weight: torch.Tensor, k: int) -> torch.Tensor:
    """The same at p = 1 as one writes it down: fresh tensors at every step."""
    images = torch.arange(len(similarity))
    left, cover = weight.clone(), torch.zeros_like(weight)
    order = torch.empty(len(similarity), k, dtype=torch.long)
    for step in range(k):
        score = (similarity - cover[:, :, None]).clamp(min=0.0).sum(1) * weight
        pick = score.masked_fill(left < 0.0, -1.0).argmax(1)
        order[:, step] = pick
        left[images, pick] = -1.0
        cover = torch.maximum(cover, similarity[images, pick])
    return order


@torch.inference_mode()
def in_float16(features: NDArray[np.float16], saliency: NDArray[np.float64], k: int) -> list[int]:
    """SCOPE at alpha = 1 and p = 1 in float16, every gain anew at every step: the first k picks."""
    x = torch.from_numpy(features)
    x = x / x.norm(dim=1, keepdim=True)
    similarity, weight = x @ x.T, torch.from_numpy(saliency).half()
    cover, left = torch.zeros_like(weight), torch.ones(len(x), dtype=torch.bool)
    picks = []
    for _ in range(k):
        gain = (similarity - cover[:, None]).clamp(min=0).sum(0)
        picks.append(int((gain * weight).masked_fill(~left, -1).argmax()))
        left[picks[-1]] = False
        cover = torch.maximum(cover, similarity[:, picks[-1]])
    return picks


def in_turn(sides: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Median CPU milliseconds of each, in turn, after one run that does not count."""
    took: list[list[float]] = [[] for _ in sides]
    for run in range(runs + 1):
        for side, times in zip(sides, took, strict=True):
            began = time.process_time()
            side()
            if run:
                times.append(1e3 * (time.process_time() - began))
    return [statistics.median(times) for times in took]


def measured(quick: bool) -> Iterator[Ratio]:
    """The targets that concern selection."""
    torch.set_num_threads(1)
    v, k = SMALL
    runs = 9 if quick else 25
    drawn = [draw(seed, v, 1.0) for seed in range(8)]
    small = [Case(drawn, power, k).compiled for power in (1.5, 1.0)]
    slow, fast = in_turn(small, runs)
    yield Ratio("SCOPE 192 of 576 at p = 1.5, against p = 1", slow / fast, "x", 4.0)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 1024))[rng.integers(0, 40, v)]
    features = (centres + 0.7 * rng.normal(size=(v, 1024))).astype(np.float16)
    saliency, separator = rng.lognormal(-6.0, 1.0, v), np.zeros(v, np.bool_)
    ours, theirs = in_turn(
        [
            lambda: half_greedy_coverage(features, saliency, 1.0, 1.0, separator),
            lambda: in_float16(features, saliency, k),
        ],
        3 if quick else 9,
    )
    name = "scope --numerics compat, against torch's float16"
    yield Ratio(name, ours / theirs, "x", 1.0)


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


class Case:
    """Some images of one size at one power."""

    def __init__(self, drawn: list, power: float, k: int) -> None:
        self.drawn, self.power, self.k = drawn, power, k

    def stacked(self, dtype: torch.dtype, plain: bool = False) -> Callable[[], torch.Tensor]:
        similarity = torch.from_numpy(np.stack([s for s, _ in self.drawn])).to(dtype)
        weight = torch.from_numpy(np.stack([w for _, w in self.drawn])).to(dtype)
        if plain:
            return lambda: plain_loop(similarity, weight, self.k)
        return lambda: loop(similarity, weight, self.power, self.k)

    def compiled(self) -> list[NDArray[np.int32]]:
        return [greedy_coverage(s, w, self.power, self.k)[0] for s, w in self.drawn]

    def alike(self) -> int:
        """In how many images both sides keep the same tokens in the same order."""
        order = self.stacked(torch.float64)().numpy()
        return sum(np.array_equal(a, b) for a, b in zip(order, self.compiled(), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=8, help="images of 576 tokens, stacked")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alpha", type=float, default=1.0, help="weight = saliency**alpha")
    parser.add_argument("--large-loop", action="store_true", help="the loop at 2,880 tokens too")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # the compiled greedy has no more either
    names = f"numba {numba.__version__}, numpy {np.__version__}, torch {torch.__version__}"
    print(f"Python {platform.python_version()}, {names}")
    print(f"threads {torch.get_num_threads()} on both sides, alpha {asked.alpha:g}")
    greedy_coverage(np.eye(4, dtype=np.float32), np.ones(4), 1.0, 4)  # compiles all powers
    differing = 0

    v, k = SMALL
    drawn = [draw(seed, v, asked.alpha) for seed in range(asked.images)]
    print(f"\n{k} of {v:,}, {asked.images} images, ms an image, medians of {asked.repeats}")
    print(f"  {'p':<6}{'baseline':<19}{'loop':>9}{'compiled':>10}{'ratio':>7}   ", end="")
    print(f"{'run by run':<11}same tokens")
    for power in SMALL_POWERS:
        case = Case(drawn, power, k)
        loops = {"preallocated loop": case.stacked(torch.float32)}
        if power == 1.0:
            loops = {"plain loop": case.stacked(torch.float32, plain=True), **loops}
        case.compiled()
        alike = case.alike()
        differing += asked.images - alike
        for name, stacked in loops.items():
            stacked()  # both sides warm
            slow, fast = [], []
            for _ in range(asked.repeats):
                slow.append(milliseconds(stacked) / asked.images)
                fast.append(milliseconds(case.compiled) / asked.images)
            a, b = statistics.median(slow), statistics.median(fast)
            ratios = sorted(x / y for x, y in zip(slow, fast, strict=True))
            run_by_run = f"{ratios[0]:.0f}–{ratios[-1]:.0f}"
            print(f"  {power:<6g}{name:<19}{a:>9.1f}{b:>10.2f}{a / b:>6.0f}x   ", end="")
            print(f"{run_by_run:<11}{alike} of {asked.images}")

    v, k = LARGE
    drawn = [draw(0, v, asked.alpha)]
    print(f"\n{k} of {v:,}, one image, ms, medians of {asked.repeats}")
    for power in LARGE_POWERS:
        case = Case(drawn, power, k)
        case.compiled()
        fast = [milliseconds(case.compiled) for _ in range(asked.repeats)]
        line = f"  p = {power:<4g} compiled {statistics.median(fast):.1f}"
        if asked.large_loop:
            once = milliseconds(case.stacked(torch.float32))
            alike = case.alike()
            differing += 1 - alike
            line += f", loop {once:.0f} (once), ratio {once / statistics.median(fast):.0f}x"
            line += f", same tokens: {'yes' if alike else 'no'}"
        print(line)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
