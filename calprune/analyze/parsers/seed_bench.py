"""``seed-bench``: LLaVA's scripts/convert_seed_for_submission.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["SeedBench"]


class SeedBench:
    """The letter and nothing else."""

    title: ClassVar[str] = "LLaVA on SEED-Bench: the reply is the letter and nothing else"

    def answer(self, reply: str, options: Mapping[str, str]) -> str | None:
        """See ``Parser``."""
        return reply if reply in options else None
