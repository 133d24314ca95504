"""What was asked of a model: a Condition, and the key that names its file.

Everything that can move a logit is a field; whatever merely describes the run is provenance
(``provenance.py``) and never hashed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, Self, get_args

from calprune.errors import PlanError, StoreError

SCHEMA_MAJOR = 1

Scalar = str | int | float | bool
Scope = Literal["global", "split", "crop"]


def canonical_json(value: Any) -> str:
    """Sorted keys, no blanks, UTF-8, floats by repr; refuses NaN and infinities."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_of(value: Any) -> str:
    """Hex SHA-256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True)
class Budget:
    """How many visual tokens are kept: a count or a share.

    ``scope``: of the whole image (``global``); of each crop (``crop``); of the image in equal
    parts for its crops, rounded down (``split``).
    """

    kind: Literal["count", "ratio"]
    value: int | float
    scope: Scope = "global"

    def __post_init__(self) -> None:
        if self.kind not in ("count", "ratio") or self.scope not in _SCOPES:
            raise PlanError(f"no such budget: {self.kind!r} of {self.scope!r}")
        try:
            number = float(self.value)
        except OverflowError as error:
            raise PlanError("a budget beyond all bounds") from error
        if self.kind == "count":
            if number != int(number) or number < 0:
                raise PlanError(
                    f"a budget counts tokens: {self.value!r} is not a whole number >= 0"
                )
            object.__setattr__(self, "value", int(number))
        elif not (math.isfinite(number) and 0.0 <= number <= 1.0):
            raise PlanError(f"a budget ratio lies between 0 and 1: {self.value!r} does not")
        else:
            object.__setattr__(self, "value", number)

    def tokens(self, candidates: int) -> int:
        """Tokens kept of ``candidates``; PlanError if there are not enough."""
        if self.kind == "ratio":
            kept = math.floor(candidates * self.value + 0.5)
            if kept == 0 and self.value > 0 and candidates > 0:
                raise PlanError(f"{self.value:%} of {candidates} visual tokens is less than one")
            return kept
        if self.value > candidates:
            raise PlanError(
                f"cannot keep {self.value} visual tokens: this model has {candidates} an image; "
                f"choose K between 0 and {candidates}"
            )
        return int(self.value)

    def shares(self, crops: Sequence[int]) -> list[int]:
        """Tokens kept of each crop's candidates; of a smaller image all it has.

        With scope ``global`` the image is one pool, whatever its crops: one number comes back.
        """
        if self.scope == "global":
            crops = [sum(crops)]
        each = self.value // len(crops) if self.scope == "split" else self.value
        if self.kind == "count":
            return [min(int(each), n) for n in crops]
        # what is more than nothing keeps at least one
        least = int(self.value > 0)
        return [min(n, max(least, math.floor(n * self.value + 0.5))) for n in crops]

    def pool(self, crops: Sequence[int]) -> int:
        """Candidates of which a count is a part, in an image with these in its crops."""
        return max(crops) if self.of_each_crop else sum(crops)

    @property
    def of_each_crop(self) -> bool:
        """Whether it counts the tokens of every crop, so that it bounds no image."""
        return self.kind == "count" and self.scope == "crop"

    @property
    def rounded(self) -> bool:
        """Whether an image with enough candidates may keep fewer, by rounding."""
        return self.kind == "ratio" or self.scope == "split"

    @property
    def label(self) -> str:
        """``k64``, or ``r0.25`` for a ratio; ``c`` is appended for budgets per crop."""
        sign = "k" if self.kind == "count" else "r"
        return f"{sign}{self.value:g}{'c' if self.scope == 'crop' else ''}"


_SCOPES = get_args(Scope)
ALL_TOKENS = Budget("ratio", 1.0)


class ExperimentKey(NamedTuple):
    """What two conditions share that may be compared, as in ``Condition``."""

    benchmark: str
    model: str
    benchmark_digest: str
    model_digest: str
    pixels: str
    template: str
    dtype: str
    reply: int | None
    closed_reply: int | None
    weights: str | None
    kv: str | None
    answer_tokens: tuple[tuple[int, ...], ...]

    @property
    def order(self) -> tuple[str, ...]:
        """To sort by; what is absent comes first."""
        return tuple("" if value is None else str(value) for value in self)


@dataclass(frozen=True)
class Condition:
    """One cell of a study; equal conditions have equal logits up to numerics.

    Attributes:
        benchmark, benchmark_digest: name, and SHA-256 of the questions asked (ids, image digests,
            prompts, labels, options), so that an edited or shortened benchmark is another one.
        model, model_digest: name, and SHA-256 over weights, configuration, tokenizer and processor.
        template: SHA-256 of the conversation's name and text around image and question.
        answer_tokens: per answer the token ids of its spellings.
        pixels: how images became visual tokens beyond the processor's own settings: its class
            and the rule, e.g. ``CLIPImageProcessor:pil/pad``, and after ``+`` what has some of
            these images become others than that says alone: ``width-first`` (the grid of tiles) and
            ``upright`` (EXIF's orientation).
        selector, parameters, revision: the pruning rule; revision rises when its picks change.
        budget: visual tokens kept.
        seed: draw of a random selector; None for a deterministic one.
        positions: position ids of the kept tokens, renumbered (``contiguous``) or ``original``.
        dtype: in which the language model computed.
        features: what the selector measured, e.g. ``patches@-2+cls@-2:sum``; None if nothing.
        reply: most tokens of a generated reply, where questions are open; absent otherwise.
        closed_reply: the same of questions with answers to choose from, where asked for; absent
            otherwise.
        weights, kv: quantisation and KV pruning; absent from the JSON when None.
        numerics: ``compat`` where the selector chose in the reference code's precision; absent
            where it chose canonically.
    """

    benchmark: str
    benchmark_digest: str
    model: str
    model_digest: str
    template: str
    answer_tokens: tuple[tuple[int, ...], ...]
    pixels: str
    selector: str
    parameters: tuple[tuple[str, Scalar], ...]
    revision: int
    budget: Budget
    seed: int | None = None
    positions: Literal["contiguous", "original"] = "contiguous"
    dtype: str = "float32"
    features: str | None = None
    reply: int | None = None
    weights: str | None = None
    kv: str | None = None
    numerics: str | None = None
    closed_reply: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, absent where None; ``from_json`` reverses it."""
        plain: dict[str, Any] = {"schema": SCHEMA_MAJOR}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if field.name == "budget":
                value = {"kind": value.kind, "value": value.value, "scope": value.scope}
            elif field.name == "parameters":
                value = dict(value)
            elif field.name == "answer_tokens":
                value = [list(ids) for ids in value]
            plain[field.name] = value
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_json``; StoreError if fields are missing, unknown or of other types."""
        try:
            rest = dict(plain)
            if rest.pop("schema") != SCHEMA_MAJOR:
                raise StoreError(f"condition of schema {plain['schema']!r}, not {SCHEMA_MAJOR}")
            for name, value in rest.items():
                _check_field(name, value)
            rest["budget"] = Budget(**rest["budget"])
            rest["parameters"] = tuple(sorted(rest["parameters"].items()))
            rest["answer_tokens"] = tuple(map(tuple, rest["answer_tokens"]))
            built = cls(**rest)
            if canonical_json(built.to_json()) != canonical_json(plain):
                raise StoreError("not a condition: its JSON is not the canonical one")
            return built
        except (KeyError, TypeError, AttributeError, ValueError, PlanError) as error:
            raise StoreError(f"not a condition: {error}") from error

    @property
    def key(self) -> str:
        """Hex SHA-256 that names this condition."""
        return sha256_of(self.to_json())

    @property
    def experiment(self) -> ExperimentKey:
        """What it shares with all conditions that it may be compared with."""
        return ExperimentKey(*(getattr(self, name) for name in ExperimentKey._fields))

    @property
    def picture(self) -> str:
        """How images became visual tokens, e.g. ``pad``."""
        return self.pixels.split("/")[-1].split("+")[0]

    @property
    def label(self) -> str:
        """Short name of files, e.g. ``scope-alpha0.5-gap_power1-k64``; see ``condition_names``."""
        parts = [selector_label(self.selector, self.parameters)]
        if self.budget != ALL_TOKENS:
            parts.append(self.budget.label)
        if self.seed is not None:
            parts.append(f"seed{self.seed}")
        if self.positions != "contiguous":
            parts.append(self.positions)
        if self.numerics is not None:
            parts.append(self.numerics)
        return "-".join(parts)


_JSON_TYPES: dict[str, type] = {
    "answer_tokens": list,
    "budget": dict,
    "closed_reply": int,
    "parameters": dict,
    "reply": int,
    "revision": int,
    "seed": int,
}


_BEYOND = 2**63
_LONGEST_NAME = 512  # letters of a text in a condition


def _check_field(name: str, value: object) -> None:
    """StoreError unless a field of a condition, as JSON has it, can be what it says."""
    if not isinstance(value, _JSON_TYPES.get(name, str)) or isinstance(value, bool):
        raise StoreError(f"not a condition: {name} is {type(value).__name__}")
    inner: list[object] = [value]
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list):
        if not all(isinstance(ids, list) for ids in value):
            raise StoreError(f"not a condition: {name} holds what is no list")
        inner = [i for ids in value for i in ids]
        if not all(type(i) is int and 0 <= i < 2**31 for i in inner):
            raise StoreError(f"not a condition: {name} holds what is no vocabulary id")
    for one in inner:
        if not isinstance(one, str | int | float | bool):
            raise StoreError(f"not a condition: {name} holds a {type(one).__name__}")
        if isinstance(one, str) and len(one) > _LONGEST_NAME:
            raise StoreError(f"not a condition: {name} holds {len(one)} letters")
        if isinstance(one, int) and not -_BEYOND <= one < _BEYOND:
            raise StoreError(f"not a condition: {name} holds a number beyond 64 bits")
    if name == "positions" and value not in ("contiguous", "original"):
        raise StoreError(f"not a condition: positions {value!a}")
    if name in ("reply", "revision") and isinstance(value, int) and value < 0:
        raise StoreError(f"not a condition: {name} is {value}")


def selector_label(
    name: str, parameters: tuple[tuple[str, Scalar], ...], seed: int | None = None
) -> str:
    """Selector and parameters for people and folders, e.g. ``scope-alpha0.5-gap_power1``."""
    seeds = [] if seed is None else [f"seed{seed}"]
    return "-".join([name, *(f"{k}{_short(v)}" for k, v in parameters), *seeds])


def _short(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
