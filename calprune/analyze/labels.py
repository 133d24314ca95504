"""What conditions are called where people read: as calprune calls them, or as an author does.

``--labels FILE`` names a JSON object of names and words for them, such as
``{"scope:alpha=0": "coverage only", "scope": "SCOPE (ours)", "random @64": "a coin"}``. A name is
that of a condition, of a curve over budgets, or of a selector. Tables that are typed from, CSV and
JSON keep the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calprune import registry
from calprune.data.condition_names import TITLES, ConditionSpec, parse_name
from calprune.data.json_files import json_of, read_bytes
from calprune.errors import PlanError
from calprune.terminal import printable

LONGEST = 60
_EXAMPLE = '{"scope:alpha=0": "coverage only", "random": "chance"}'


@dataclass(frozen=True)
class Labels:
    """Words for names; without any, calprune's own titles.

    Attributes:
        words: names as ``str(ConditionSpec)`` writes them, and what stands for them.
    """

    words: tuple[tuple[str, str], ...] = ()

    def title(self, spec: ConditionSpec) -> str:
        """Of a condition, ``SCOPE α=0, K=128``."""
        return self._of(spec)

    def line(self, spec: ConditionSpec) -> str:
        """The same at any budget and seed, ``SCOPE α=0``: what a curve over budgets is of."""
        return self._of(_line(spec))

    def unused(self, specs: Sequence[ConditionSpec]) -> list[str]:
        """Names that stand for none of these conditions, nor for a part of the name of one."""
        used = _known(specs)
        return [name for name, _ in self.words if name not in used]

    def _of(self, spec: ConditionSpec) -> str:
        words = dict(self.words)
        whole, seedless, line, selector = (str(part) for part in _parts(spec))
        if whole in words:
            return words[whole]
        if seedless in words:
            return f"{words[seedless]}, seed {spec.seed}"
        if line in words:
            rest = replace(spec, selector="", parameters=()).title.strip()
            return f"{words[line]}, {rest}" if rest else words[line]
        if selector in words:
            own = TITLES.get(spec.selector, selector)
            return words[selector] + spec.title.removeprefix(own)
        return spec.title


UNLABELLED = Labels()
"""calprune's own titles."""


def _line(spec: ConditionSpec) -> ConditionSpec:
    return replace(spec, budget=None, scope=None, seed=None)


def _parts(spec: ConditionSpec) -> tuple[ConditionSpec, ...]:
    """A condition, the same with all its seeds joined, its curve, and its selector."""
    return spec, replace(spec, seed=None), _line(spec), ConditionSpec(spec.selector)


def _known(specs: Sequence[ConditionSpec]) -> set[str]:
    return {str(part) for spec in specs for part in _parts(spec)}


def read_labels(path: Path | None) -> Labels:
    """Labels from a file; none without one.

    Raises:
        IncompleteError, StoreError: there is no such file, or it is not JSON.
        PlanError: it is JSON and no object of names and words, or a name cannot be read.
    """
    if path is None:
        return UNLABELLED
    found = json_of(path, read_bytes(path))
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise PlanError(f"{path}: labels are a JSON object of names and words, e.g. {_EXAMPLE}")
    try:
        return labels_of(found)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


def labels_of(words: Mapping[str, str]) -> Labels:
    """Labels from names and words.

    Raises:
        PlanError: a name that cannot be read or has two labels, or a label that is empty or longer
            than ``LONGEST``.
    """
    found: dict[str, str] = {}
    for name, said in words.items():
        told, text = str(parse_name(name)), printable(said).strip()
        if not 0 < len(text) <= LONGEST:
            raise PlanError(f"a label has 1 to {LONGEST} letters, and {name!r} has {said!r}")
        if told in found:
            raise PlanError(f"{told!r} has two labels")
        found[told] = text
    return Labels(tuple(found.items()))


def check_used(labels: Labels, specs: Sequence[ConditionSpec]) -> list[str]:
    """A sentence for each label that names nothing here, with what is near.

    Raises:
        PlanError: none of them names anything, or two conditions are called the same.
    """
    if not labels.words:
        return []
    called: dict[str, ConditionSpec] = {}
    for spec in specs:
        other = called.setdefault(labels.title(spec), spec)
        if other != spec:
            raise PlanError(f"--labels: {other} and {spec} are both called {labels.title(spec)!r}")
    unused = labels.unused(specs)
    said = [f"--labels: {registry.unknown('condition', name, _known(specs))}" for name in unused]
    if unused and len(unused) == len(labels.words):
        raise PlanError(said[0])
    return said
