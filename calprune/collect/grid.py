"""``--select scope:alpha=0,0.5 --keep 64,128`` to selectors and budgets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from calprune import registry
from calprune.collect.selector import Selector
from calprune.data.condition import ALL_TOKENS, Budget, Scalar, Scope, selector_label
from calprune.data.condition_names import ConditionSpec, parse_name, told
from calprune.data.studies import TOKENS, find_study
from calprune.errors import PlanError

ALL = "all"  # every selector that the model serves
SEEDS = (0, 1, 2)
KEEP = (64, 128, 192)
NUMERICS = ("canonical", "compat", "both")

DEFAULT = "calibration"  # the study whose grid is taken where no selector is named
STUDY_TOKENS = TOKENS
_MISSING = object()


@dataclass(frozen=True)
class SelectorChoice:
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
) -> list[SelectorChoice]:
    """Every selector with every budget; a study's grid where none is asked for.

    A selector may be named with lists of values, or as its conditions are: ``scope:alpha=0 @128``.
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
    if keep and named_budgets(wanted):
        raise PlanError("--keep: each selection names its own budget: leave it out")
    found: dict[tuple[str, Selector, Budget, bool], SelectorChoice] = {}
    for text, budgets in asked:
        name, selectors, told, compat = _parse(text)
        for selector in selectors:
            own = selector.budget
            if own and told and own != told:
                raise PlanError(f"{text!r}: {name} has a budget of its own: leave it out")
            for budget in (own,) if own else (told,) if told else budgets:
                found[name, selector, budget, compat] = SelectorChoice(
                    name, selector, budget, compat
                )
    return list(found.values())


def in_numerics(chosen: Sequence[SelectorChoice], numerics: str) -> list[SelectorChoice]:
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


def named_budgets(select: Sequence[str]) -> bool:
    """Whether ``keep`` would be read by none, as selections have budgets, and some by name."""
    others = [text for text in select if "@" not in text]
    own = all(s.budget is not None for text in others if text != ALL for s in _parse(text)[1])
    return len(others) < len(select) and ALL not in others and own


def check_budgets_read(chosen: Sequence[SelectorChoice]) -> None:
    """PlanError, where budgets were asked for, if no selector would take them."""
    if all(c.selector.budget is not None for c in chosen):
        take = "takes" if len({c.name for c in chosen}) == 1 else "take"
        raise PlanError(f"--keep: {_named(chosen)} {take} no budget: leave it out")


def _named(chosen: Sequence[SelectorChoice]) -> str:
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


def _parse(text: str) -> tuple[str, list[Selector], Budget | None, bool]:
    """Name and selectors, and what a condition's name tells beside: its budget, and compat."""
    spec, told = None, text
    if "@" in text or len(text.split()) > 1:
        spec, told = parse_name(text), text.split()[0].partition("@")[0]
    name, cls, values = registry.parse("selectors", told)
    try:
        seeded = "seed" in {f.name for f in fields(cls)}
    except TypeError as error:
        raise PlanError(f"selector {name!r} is no dataclass: decorate it so, frozen") from error
    if seeded and "seed" not in values:
        values["seed"] = list(SEEDS) if spec is None or spec.seed is None else [spec.seed]
    combinations = itertools.product(*values.values())
    selectors = [cls(**dict(zip(values, c, strict=True))) for c in combinations]
    for selector in selectors[:1]:
        _declared(name, selector)
    if spec is None:
        return name, selectors, None, False
    if spec.seed is not None and not seeded:
        raise PlanError(f"{text!r}: {name} draws nothing: leave seed={spec.seed} out")
    words, compat = dict(spec.words), ("numerics", "compat") in spec.words
    words.pop("numerics", None)
    if words.get("revision") == str(cls.revision):
        del words["revision"]
    if all(words.get("positions") == getattr(s, "positions", "") for s in selectors):
        words.pop("positions", None)
    if words:
        raise PlanError(
            f"{text!r}: {' and '.join(words)} cannot be asked of one selection; leave it out, and "
            "see --positions, --clip and --model"
        )
    budget = spec.budget
    if budget is not None and spec.scope is not None:
        budget = replace(budget, scope=cast("Scope", spec.scope))
    return name, selectors, budget, compat


def _declared(name: str, selector: Any) -> None:
    """PlanError for what a selector does not say of itself, or not in its type; see ``laws``."""
    said: dict[str, Any] = {"title": str, "needs": frozenset, "revision": int, "nested": bool}
    for attribute, kind in {**said, "budget": Budget | None}.items():
        found = getattr(selector, attribute, _MISSING)
        if not isinstance(found, kind):
            lacks = "is missing" if found is _MISSING else f"is {found!r}"
            wanted = "a Budget or None" if attribute == "budget" else f"of type {kind.__name__}"
            raise PlanError(f"selector {name!r}: its {attribute} {lacks}, and must be {wanted}")
    methods = ("rank", "pick", "merge", "stages")
    there = [method for method in methods if callable(getattr(selector, method, None))]
    if len(there) != 1:
        raise PlanError(
            f"selector {name!r} has {' and '.join(there) or 'none'} of the methods "
            f"{', '.join(methods)}: one is needed"
        )
    if selector.nested is not (there == ["rank"]):
        raise PlanError(
            f"selector {name!r}: nested is True of those that rank, and False of others; it has "
            f"{there[0]}"
        )


def _values(selector: Selector) -> dict[str, Scalar]:
    return {f.name: getattr(selector, f.name) for f in fields(selector)}  # type: ignore[arg-type]
