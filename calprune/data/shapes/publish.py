"""Writes the checksums of the benchmark: ``python -m calprune.data.shapes.publish``."""

from __future__ import annotations

import json

from calprune.data.shapes.benchmark import CHECKSUMS, checksums, draw_benchmark

if __name__ == "__main__":
    CHECKSUMS.write_text(json.dumps(checksums(draw_benchmark()), indent=2) + "\n")
