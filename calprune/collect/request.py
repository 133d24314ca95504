"""What a collection is asked for: one value, checked as far as that goes without a model.

The command line builds it from its options and Python from keywords. What reads only a part of it,
as an estimate of the cost does, refuses the rest by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from calprune.collect.adapter import ModelOptions
from calprune.collect.grid import (
    ALL,
    STUDY_TOKENS,
    SelectorChoice,
    budgets,
    check_budgets_read,
    grid,
    in_numerics,
)
from calprune.collect.hf.names import EMBEDDED
from calprune.collect.pruning_stages import Positions
from calprune.collect.stages.image_check import most_left_out
from calprune.data.condition import Budget, Scope
from calprune.data.questions import find_benchmark
from calprune.data.storage.places import store_path
from calprune.errors import PlanError

Keep = int | float | str | Budget
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


class _Shared(TypedDict, total=False):
    store: Path | str | None
    model: str
    revision: str
    select: str | Sequence[str]
    keep: Keep | Sequence[Keep]
    numerics: str
    picture: str
    clip: str
    data: Path | str | None
    images: int | None
    device: str
    dtype: str
    strict: bool
    max_left_out: float | None


class SelectionOptions(_Shared, total=False):
    """Keywords of what encodes and selects, and asks no model; see ``CollectRequest``."""

    max_memory: int | str | None
    download: bool


class EstimateOptions(_Shared, total=False):
    """Keywords of an estimate of the cost; see ``CollectRequest``."""

    study: str
    positions: Positions
    template: str
    reply_tokens: int


class CollectOptions(EstimateOptions, total=False):
    """Keywords of a collection; see ``CollectRequest``."""

    max_memory: int | str | None
    download: bool
    tokens_per_forward: int
    shard: tuple[int, int]
    audit_rows: int
    min_mass: float


@dataclass(frozen=True)
class CollectRequest:
    """A benchmark, a model, conditions, and how they are run.

    Raises PlanError for what makes no sense whatever the model is.

    Attributes:
        bench: name of a benchmark.
        store: folder of the cache; default ``$CALPRUNE_STORE`` or ``./calprune-store``.
        model: a short name (``llava-1.5-7b``), a repository, or a local folder.
        revision: branch, tag or commit of a repository; it is resolved to a commit and recorded.
        select: selectors as on the command line, e.g. ``"scope:alpha=0,0.5"``; none gives the
            study's grid, with budgets five times as large where there are five times the tokens.
        keep: budgets: whole numbers count tokens, fractions are shares, text is as on the command
            line (``"64,128"``, ``"25%"``).
        study: named study whose conditions are collected; none gives those of ``calibration``.
        numerics: ``canonical``: choose in float32 and float64, alike everywhere; ``compat``: in
            the precision of the reference code; ``both``: in both, where a selector has both.
        positions: position ids of the kept tokens, renumbered or original.
        picture: how an image becomes visual tokens, e.g. ``crop`` or ``hf``; none gives the
            model's default.
        template: ``vicuna_v1``, ``mistral_instruct`` or ``hf``; none gives the model's default.
        clip: folder or REPOSITORY[@REVISION] of the CLIP model that the model's tower was taken
            from, for selectors that compare image and question in its space.
        reply_tokens: most tokens of a generated reply, to questions with answers to choose from
            too; 0 takes the benchmark's own limit, and generates none to these.
        data: folder with the benchmark's files, where it needs any.
        images: only the first so many images.
        device: where the model computes: cpu, cuda, cuda:1, mps; none takes a GPU if there is one.
        dtype: float32, float16 or bfloat16; none gives float16 on a GPU. The head is always
            float32.
        tokens_per_forward: most tokens in one forward; 0 takes what memory allows.
        max_memory: bytes on the device, weights included, e.g. ``"8GB"``; a GPU gives no more, a
            CPU is only planned for.
        shard: (i, n), counted from 0: every n-th block, for n processes on one store.
        audit_rows: rows of every condition to ask again by per-question ``generate``.
        min_mass: probability that the answers must hold over the first 50 rows.
        strict: an image that cannot be used, or a number of rows that is not the published one, is
            an error; otherwise the image is left out, and both are told.
        max_left_out: the largest share of images that may be left out; None means 1 %, and a larger
            one is an error.
        download: fetch a model that is not here yet.
    """

    bench: str = "shapes"
    store: Path | str | None = None
    model: str = EMBEDDED
    revision: str = ""
    select: str | Sequence[str] = ()
    keep: Keep | Sequence[Keep] = ()
    study: str = ""
    numerics: str = "canonical"
    positions: Positions = "contiguous"
    picture: str = ""
    template: str = ""
    clip: str = ""
    reply_tokens: int = 0
    data: Path | str | None = None
    images: int | None = None
    device: str = ""
    dtype: str = ""
    tokens_per_forward: int = 0
    max_memory: int | str | None = None
    shard: tuple[int, int] = (0, 1)
    audit_rows: int = 0
    min_mass: float = 0.5
    strict: bool = False
    max_left_out: float | None = None
    download: bool = True

    def __post_init__(self) -> None:
        benchmark = find_benchmark(self.bench)
        if self.max_left_out is not None and not getattr(benchmark, "reads_files", True):
            raise PlanError(
                f"--max-left-out: {self.bench} is generated and lacks no image: leave it out"
            )
        most_left_out(self.max_left_out, self.strict)
        if self.study and self.select:
            raise PlanError("a study names its selectors: leave --select out, or --study")
        if self.positions not in ("contiguous", "original"):
            raise PlanError(f"unknown positions {self.positions!r}: known: contiguous, original")
        if not 0 <= self.shard[0] < self.shard[1]:
            shard = f"{self.shard[0] + 1}/{self.shard[1]}"
            raise PlanError(f"--shard {shard}: write i/n with 1 <= i <= n")
        if not 0.0 <= self.min_mass <= 1.0:
            raise PlanError(f"--min-mass {self.min_mass:g}: a probability lies between 0 and 1")
        if self.audit_rows < 0:
            raise PlanError(f"--audit {self.audit_rows}: a number of rows is 0 or more")
        if self.memory is not None and self.memory <= 0:
            raise PlanError(f"--max-memory {self.memory}: a number of bytes above 0")
        store_path(self.store, writing=True)
        _ = self.choices
        if self.budgets:
            check_budgets_read(self.choices)

    @property
    def selectors(self) -> tuple[str, ...]:
        """What was selected, each as on the command line; none for a study's grid."""
        return (self.select,) if isinstance(self.select, str) else tuple(self.select)

    @cached_property
    def budgets(self) -> tuple[Budget, ...]:
        """What was named to be kept; none for the usual budgets."""
        listed = [self.keep] if isinstance(self.keep, str | int | float | Budget) else self.keep
        return tuple(b for k in listed for b in _budgets(k))

    @cached_property
    def choices(self) -> tuple[SelectorChoice, ...]:
        """The grid of a model with as many tokens as the studies', each condition once."""
        return self._grid(STUDY_TOKENS)

    def choices_of(self, candidates: int, scope: Scope = "global") -> tuple[SelectorChoice, ...]:
        """The grid of a model with so many tokens, with which a study and usual budgets grow.

        They do not where counts are of each crop.
        """
        per_crop = Budget("count", 0, scope).of_each_crop
        if self.budgets or per_crop or candidates == STUDY_TOKENS:
            return self.choices
        return self._grid(candidates)

    def _grid(self, candidates: int) -> tuple[SelectorChoice, ...]:
        about = (self.bench, self.model)
        found = grid(self.selectors, self.budgets, candidates, self.study, about)
        return tuple(in_numerics(found, self.numerics))

    @property
    def model_options(self) -> ModelOptions:
        """How the model is run, of what belongs to its adapter."""
        return ModelOptions(self.device, self.dtype, self.picture, self.template, self.clip)

    @property
    def every(self) -> bool:
        """Whether all selectors are asked for, and those that the model lacks are left out."""
        return ALL in self.selectors

    @property
    def data_folder(self) -> Path | None:
        """Where the benchmark's files were said to be."""
        return None if self.data is None else Path(self.data)

    @cached_property
    def memory(self) -> int | None:
        """Most bytes on the device, if there is a limit."""
        text = self.max_memory
        return parse_bytes(text) if isinstance(text, str) else text

    def unread(self, read: Collection[str]) -> list[str]:
        """Options that were given beside those of these names, as the command line has them."""
        given = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        return [_option(name) for name in given if name not in read and name != "bench"]

    def refuse_unread(self, what: str, read: Collection[str]) -> None:
        """PlanError for an option that was given and is not among those that ``what`` reads."""
        if listed := self.unread(read):
            raise PlanError(f"{what} does not read {', '.join(listed)}: leave it out")


def _option(name: str) -> str:
    return {"tokens_per_forward": "--batch-tokens", "audit_rows": "--audit"}.get(
        name, f"--{name.replace('_', '-')}"
    )


def _budgets(k: Keep) -> list[Budget]:
    if isinstance(k, Budget):
        return [k]
    if isinstance(k, str):
        return budgets(k)
    return [Budget("ratio", k) if isinstance(k, float) else Budget("count", k)]


def parse_bytes(text: str) -> int:
    """``8GB``, ``8GiB``, ``500M`` or plain bytes; PlanError for anything else."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmg]i?)?b?\s*", text.lower())
    if not match or float(match[1]) <= 0:
        raise PlanError(f"--max-memory {text!r}: write e.g. 8GB or 500MB")
    return int(float(match[1]) * _BYTES[match[2] or ""])
