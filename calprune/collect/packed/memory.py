"""How many tokens one forward may hold: from dimensions and memory, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from calprune.collect.adapter import Adapter
from calprune.collect.packed.packs import PackedSequence
from calprune.errors import PlanError

# More does not fill a device better; on a CPU larger batches only cost memory.
MOST_TOKENS = {"cpu": 4096, "cuda": 16384}
LEAST_TOKENS = 256
_SHARE_OF_REST = 0.6
Item = TypeVar("Item")
Result = TypeVar("Result")


def tokens_per_forward(adapter: Adapter, max_memory: int | None = None) -> int:
    """A power of two, the same for every run of a model on one kind of machine.

    Follows the memory that a device has, not what is free at the moment, so that a resumed run
    forms the same batches; what others take of it is met by smaller batches when it runs out.
    """
    kind = adapter.device.split(":")[0]
    most = MOST_TOKENS.get(kind, MOST_TOKENS["cpu"])
    known = [x for x in (_total(adapter.device), max_memory) if x is not None]
    room = (min(known) - _weights(adapter)) * _SHARE_OF_REST if known else float("inf")
    tokens = most
    while tokens > LEAST_TOKENS and tokens * bytes_per_token(adapter) > room:
        tokens //= 2
    return tokens


def bytes_per_token(adapter: Adapter) -> int:
    """Peak bytes that one more token in a forward takes: activations, keys and values, its mask."""
    s, size = adapter.shape, 4 if adapter.dtype == "float32" else 2
    activations = 3 * s.intermediate + 8 * s.hidden
    cache = 2 * s.layers * s.kv_heads * s.head_width
    return size * (activations + 2 * cache) + 2 * adapter.candidates


def load(line: PackedSequence) -> int:
    """Tokens for which a line counts in a batch: its own, so that limits do not change batches.

    What is planned for a token, and the share of memory that is not, leave room for replies that
    make a line three times as long; lines that may grow beyond that count for more.
    """
    return max(len(line), line.grown // 3)


WAY_OUT = "everything finished is kept: try --dtype float16, a smaller --keep, or another --device"


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; a CPU that cannot allocate raises a plain RuntimeError."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "out of memory" in text or "can't allocate memory" in text
    )


def in_halves(
    work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], device: str, doing: str
) -> list[Result]:
    """``work(items)``, or its halves one after the other where memory does not suffice.

    PlanError, which says what was being done, if one item alone is too much.
    """
    try:
        return work(items)
    except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
        if not out_of_memory(error):
            raise
        shortage = str(error).split("\n")[0]
    if len(items) == 1:
        raise PlanError(f"out of memory on {device} {doing} ({shortage}); {WAY_OUT}")
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    half = (len(items) + 1) // 2
    parts = (items[:half], items[half:])
    return [result for part in parts for result in in_halves(work, part, device, doing)]


def limit(device: str, max_memory: int) -> None:
    """Let torch refuse to take more than this on a GPU; PlanError if there is less."""
    if not device.startswith("cuda"):
        return
    total = torch.cuda.get_device_properties(device).total_memory
    if max_memory > total:
        raise PlanError(f"--max-memory: {device} has {total / 1e9:.1f} GB, not more")
    torch.cuda.set_per_process_memory_fraction(max_memory / total, device)


def _total(device: str) -> int | None:
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    return host_memory("MemTotal")


def host_memory(what: str) -> int | None:
    """Bytes of ``MemTotal`` or ``MemAvailable``; None where the system does not tell."""
    try:
        found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _weights(adapter: Adapter) -> int:
    """Bytes that the decoder's layers take, the bulk of what is loaded."""
    loaded = (p for layer in adapter.layers() for p in layer.parameters())
    return sum(p.numel() * p.element_size() for p in loaded)
