"""``--select scope:alpha=0,0.5 --keep 64,128`` to selectors and budgets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from calprune import registry
from calprune.collect.selector import Selector
from calprune.data.condition import ALL_TOKENS, Budget, Scalar, selector_label
from calprune.data.condition_names import ConditionSpec, told
from calprune.data.studies import TOKENS, find_study
from calprune.errors import PlanError

ALL = "all"  # every selector that the model serves
SEEDS = (0, 1, 2)
KEEP = (64, 128, 192)
NUMERICS = ("canonical", "compat", "both")

DEFAULT = "calibration"  # the study whose grid is taken where no selector is named
STUDY_TOKENS = TOKENS


@dataclass(frozen=True)
class Chosen:
    """A selector as named in a condition, with one budget.

    ``compat``: it chooses in the precision of its reference code.
    """

    name: str
    selector: Selector
    budget: Budget
    compat: bool = False

    @property
    def label(self) -> str:
        """Selector, parameters, seed and numerics, for folders."""
        label = selector_label(self.name, self.parameters, self.seed)
        return f"{label}-compat" if self.compat else label

    def spec(self, positions: str = "contiguous") -> ConditionSpec:
        """What it is called, as far as it is known before a model is.

        ``positions`` are those that were asked for.
        """
        own = getattr(self.selector, "positions", positions)
        return told(
            self.name,
            self.parameters,
            self.budget,
            seed=self.seed,
            positions=positions if self.budget == ALL_TOKENS else own,
            numerics="compat" if self.compat else None,
            revision=self.selector.revision,
        )

    @property
    def parameters(self) -> tuple[tuple[str, Scalar], ...]:
        """All fields but the seed, sorted."""
        return tuple(sorted((k, v) for k, v in _values(self.selector).items() if k != "seed"))

    @property
    def seed(self) -> int | None:
        """The draw, for selectors that have one."""
        seed = _values(self.selector).get("seed")
        return None if seed is None else int(seed)


def grid(
    select: Sequence[str] = (),
    keep: Sequence[Budget] = (),
    candidates: int = STUDY_TOKENS,
    study: str = "",
    about: tuple[str, str] = ("", ""),
) -> list[Chosen]:
    """Every selector with every budget; a study's grid where none is asked for.

    ``all`` stands for every selector there is. A study's budgets keep their share of the
    ``candidates``: of five times 576 they are five times as large, 640, 320 and 160 of 2,880 as in
    SCOPE. ``about`` is benchmark and model, which decide the part of a ``study``.
    Raises PlanError for unknown selectors, parameters or studies (naming the nearest) and bad
    values.
    """
    wanted = [
        n for text in select for n in ([text] if text != ALL else registry.names("selectors"))
    ]
    times = max(1, candidates // STUDY_TOKENS)
    usual = [(text, tuple(k * times for k in KEEP)) for text in wanted]
    usual = usual or list(find_study(study or DEFAULT).conditions(*about, tokens=candidates))
    asked = [
        (text, tuple(keep) or tuple(Budget("count", k) for k in budgets)) for text, budgets in usual
    ]
    found: dict[tuple[str, Selector, Budget], Chosen] = {}
    for text, budgets in asked:
        name, selectors = _parse(text)
        for selector in selectors:
            for budget in (selector.budget,) if selector.budget else budgets:
                found[name, selector, budget] = Chosen(name, selector, budget)
    return list(found.values())


def in_numerics(chosen: Sequence[Chosen], numerics: str) -> list[Chosen]:
    """The same selectors, choosing canonically, in compat, or where they can in both.

    What measures nothing chooses the same in any numerics, and stays as it is.
    """
    if numerics not in NUMERICS:
        raise PlanError(registry.unknown("numerics", numerics, NUMERICS))
    found = []
    for c in chosen:
        modes = getattr(c.selector, "numerics", frozenset({"canonical"}))
        alike = not c.selector.needs and not hasattr(c.selector, "stages")
        if numerics != "compat" or alike:
            found.append(c)
        if (numerics == "both" and "compat" in modes) or (numerics == "compat" and not alike):
            found.append(replace(c, compat=True))
    if numerics != "canonical" and found == list(chosen):
        raise PlanError(
            f"--numerics {numerics}: {_named(chosen)} would choose the same in any numerics: leave "
            "it out"
        )
    return found


def check_budgets_read(chosen: Sequence[Chosen]) -> None:
    """PlanError, where budgets were asked for, if no selector would take them."""
    if all(c.selector.budget is not None for c in chosen):
        take = "takes" if len({c.name for c in chosen}) == 1 else "take"
        raise PlanError(f"--keep: {_named(chosen)} {take} no budget: leave it out")


def _named(chosen: Sequence[Chosen]) -> str:
    return " and ".join(dict.fromkeys(c.name for c in chosen))


def budgets(text: str) -> list[Budget]:
    """``64,128`` or ``25%,0.5`` to budgets; PlanError if a number is none."""
    found = []
    for item in (x.strip() for x in text.split(",")):
        try:
            if item.endswith("%"):
                found.append(Budget("ratio", float(item[:-1]) / 100))
            elif "." in item:
                found.append(Budget("ratio", float(item)))
            else:
                found.append(Budget("count", int(item)))
        except ValueError as error:
            raise PlanError(
                f"--keep {text!r}: {item!r} is not a number of tokens; write e.g. 64,128 or 25%"
            ) from error
    return found


def _parse(text: str) -> tuple[str, list[Selector]]:
    name, cls, values = registry.parse("selectors", text)
    if "seed" in {f.name for f in fields(cls)} and "seed" not in values:
        values["seed"] = list(SEEDS)
    combinations = itertools.product(*values.values())
    return name, [cls(**dict(zip(values, c, strict=True))) for c in combinations]


def _values(selector: Selector) -> dict[str, Scalar]:
    return {f.name: getattr(selector, f.name) for f in fields(selector)}  # type: ignore[arg-type]
