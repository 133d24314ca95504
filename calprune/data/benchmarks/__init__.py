"""Benchmarks: one file each.

A plug-in file exports one class with the attributes of ``Benchmark``. Its contract stands in
``data/benchmark``; plug-ins find all of it here.
"""

from __future__ import annotations

from calprune.data.benchmark import (
    YES_NO,
    Answer,
    Benchmark,
    Blob,
    Example,
    OpenedBenchmark,
    Picture,
    Published,
    upright,
)

__all__ = [
    "YES_NO",
    "Answer",
    "Benchmark",
    "Blob",
    "Example",
    "OpenedBenchmark",
    "Picture",
    "Published",
    "upright",
]
