"""How fast a device computes: measured here for a moment, or assumed of a GPU that is named."""

from __future__ import annotations

import time
from dataclasses import dataclass

from calprune import registry
from calprune.collect.adapter import Shape
from calprune.errors import PlanError

# Dense half-precision peaks in TFLOP/s with float32 accumulation, from the makers' data sheets.
GPUS = {
    "t4": 65,
    "v100": 125,
    "rtx-3090": 71,
    "rtx-4090": 165,
    "l40s": 362,
    "a100": 312,
    "h100": 989,
    "h200": 989,
}
UTILISATION = 0.4  # of the peak, what packed prefills are assumed to reach
_TOKENS = 512  # rows of the products, about what a pack holds
_MEASURED = 0.3  # seconds


@dataclass(frozen=True)
class Speed:
    """FLOPs a second.

    Attributes:
        device: what computes.
        flops: a second.
        assumed: share of a GPU's peak that they are; None where they were measured.
        dtype: in which they were measured; empty where they were not.
    """

    device: str
    flops: float
    assumed: float | None = None
    dtype: str = ""

    def __str__(self) -> str:
        if self.assumed is not None:
            return (
                f"on one {self.device} ({GPUS[self.device]} TFLOP/s in half precision, "
                f"{self.assumed:.0%} of it assumed)"
            )
        return (
            f"on {self.device} ({self.flops / 1e12:.3g} TFLOP/s measured just now, in {self.dtype} "
            "products like the decoder's)"
        )


def assumed(gpu: str) -> Speed:
    """What a GPU by name is assumed to reach; PlanError for one whose peak is not known."""
    name = gpu.lower()
    if name not in GPUS:
        raise PlanError(registry.unknown("gpu", name, GPUS))
    return Speed(name, GPUS[name] * 1e12 * UTILISATION, UTILISATION)


def measured(device: str, dtype: str, shape: Shape) -> Speed:
    """What a device reaches here, on products of the size of the decoder's, for a moment.

    Attention, Python between the products and files come on top.
    """
    import torch  # takes seconds, and a name is refused without it

    from calprune.collect.hf.checkpoint import DTYPES

    kind = DTYPES[dtype]
    rows = torch.ones((_TOKENS, shape.hidden), device=device, dtype=kind)
    weight = torch.ones((shape.hidden, shape.intermediate), device=device, dtype=kind)
    once = 2.0 * _TOKENS * shape.hidden * shape.intermediate

    def work(times: int) -> float:
        began = time.perf_counter()
        for _ in range(times):
            last = rows @ weight
        float(last[0, 0])  # waits for the device
        return time.perf_counter() - began

    work(1)  # loads what is loaded when first used
    times, took = 1, work(1)
    while took < _MEASURED / 4:
        times *= 4
        took = work(times)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else f"this {device}"
    return Speed(name, times * once / took, None, dtype)
