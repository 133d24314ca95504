"""What a condition is called: one name to type, one for people; neither depends on the company.

``scope:alpha=0 @128`` is typed and printed, ``SCOPE α=0, K=128`` stands in figures and pages. Both
tell whatever may differ between two conditions of one experiment, unless it is at its neutral
value. Neutral values are written down here, so that a name is the same whatever else there is.
Files are called by ``Condition.label`` and the key, as ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import quote, unquote

from calprune.data.condition import ALL_TOKENS, Budget, Condition, Scalar
from calprune.errors import PlanError

# Silent at these values; α of SCOPE is its subject and always told, as is what is unknown here.
NEUTRAL: dict[str, dict[str, Scalar]] = {
    "agilepruner": {"counts": "rank", "erank_average": 100.0, "slope": 0.01, "tau_max": 0.3},
    "cdpruner": {"theta": 0.0},
    "facility-location": {"clip": False},
    "fastv": {"budget_means": "kept", "layer": 2},
    "fastv-two-pass": {"layer": 2, "position_ids": "original"},
    "hiprune": {"alpha": 0.1},
    "mmtok": {"text_temperature": 0.02, "vision_temperature": 0.2},
    "otprune": {"gamma": 0.01},
    "otprune-hash-order": {"gamma": 0.01},
    "pyramiddrop": {"every": 0.25, "ratio": 0.5},
    "scope": {"gap_power": 1.0},
    "sparsevlm": {"version": "1.5"},
    "visionzip": {"contextual": -1},
    "vispruner": {"important": 0.5},
}
BUDGETS = {"full": ALL_TOKENS, "blind": Budget("count", 0), "imported": ALL_TOKENS}
SCOPES = {"split": "split", "fixed": "split", "per-crop": "crop"}  # by picture; others global
READINGS = (  # of CLIP's tower at its last block but one; received early of 24 and 6 blocks
    *("patches@-2", "cls@-2:sum", "cls@-4..-2:mean", "keys@-2:mean", "projected@-2", "words"),
    *("cls-token@-2", "received@-2:mean", "received@-16:mean", "received@-4:mean"),
)
_OF_CLIP = re.compile(r"(?:joint@-2|segments)/clip:([0-9a-f]{8})")

TITLES = {
    "agilepruner": "AgilePruner",
    "cdpruner": "CDPruner",
    "divprune": "DivPrune",
    "facility-location": "facility location",
    "fastv": "FastV",
    "fastv-two-pass": "FastV (two passes)",
    "hiprune": "HiPrune",
    "mmtok": "MMTok",
    "otprune": "OTPrune",
    "otprune-hash-order": "OTPrune (hash order)",
    "prunesid": "PruneSID",
    "pyramiddrop": "PyramidDrop",
    "saliency-last3": "saliency (last 3)",
    "scope": "SCOPE",
    "scope-add": "SCOPE (additive)",
    "sparsevlm": "SparseVLM",
    "visionzip": "VisionZip",
    "vispruner": "VisPruner",
}
SYMBOLS = {"alpha": "α", "gap_power": "p", "theta": "θ", "gamma": "γ"}
_SAID = {  # a word of a name, for people
    "positions": "{} positions",
    "numerics": "{}",
    "revision": "revision {}",
    "clip": "CLIP {}",
    "features": "features {}",
}

EXAMPLE = "scope:alpha=0 @128"
_SEEDS = re.compile(r" \(\d+ seeds\)$")  # as tables print it behind a name


@dataclass(frozen=True)
class ConditionSpec:
    """What a name says of a condition; what it leaves open is None or absent.

    Attributes:
        selector: name of the plug-in.
        parameters: names and values, as text, of those that are told.
        budget: visual tokens kept; its own scope is always global.
        scope: how the budget is counted, where the picture's own way is not meant.
        seed: draw of a random selector; None for all of them.
        words: what else is told: ``positions``, ``numerics``, ``revision``, ``clip`` (beginning
            of the digest of the CLIP model that was read) or ``features``.
    """

    selector: str
    parameters: tuple[tuple[str, str], ...] = ()
    budget: Budget | None = None
    scope: str | None = None
    seed: int | None = None
    words: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """To type, e.g. ``random @22% seed=0``; ``parse_name`` reverses it."""
        set_to = (f"{_plain(k)}={_plain(v)}" for k, v in self.parameters)
        parts = [":".join([_plain(self.selector), *set_to])]
        if self.budget is not None:
            parts.append(f"@{_amount(self.budget, self.scope)}")
        if self.seed is not None:
            parts.append(f"seed={self.seed}")
        return " ".join([*parts, *(f"{k}={_plain(v, of='')}" for k, v in self.words)])

    @property
    def title(self) -> str:
        """For people, e.g. ``SCOPE α=0, K=128``."""
        parts = [f"{SYMBOLS.get(k, _plain(k))}={_plain(v)}" for k, v in self.parameters]
        if self.budget is not None:
            counted = f"K={self.budget.value}" if self.budget.kind == "count" else ""
            how = {None: "", "crop": " per crop", "split": " split", "global": " in all"}
            parts.append((counted or _amount(self.budget)) + how[self.scope])
        if self.seed is not None:
            parts.append(f"seed {self.seed}")
        parts += [_SAID[k].format(_plain(v, of="")) for k, v in self.words]
        return f"{TITLES.get(self.selector, _plain(self.selector))} {', '.join(parts)}".rstrip()

    def names(self, condition: Condition) -> bool:
        """Whether this is the condition, or one of those, that the name stands for.

        What it leaves open may be anything if it is always told, as budgets, seeds and α; what is
        silent at its neutral value has that value.
        """
        told = spec_of(condition)
        here = {k for k, _ in self.parameters}
        neutral = NEUTRAL.get(self.selector, {})
        silent = all(k in here or k not in neutral for k, _ in told.parameters)
        words = {k for k, _ in self.words} >= {k for k, _ in told.words}
        pool = self.budget is None or self.scope is not None or told.scope is None
        own = self.budget is not None or self.selector not in BUDGETS or told.budget is None
        return silent and words and pool and own and self.fits(condition)

    def fits(self, condition: Condition) -> bool:
        """Whether the condition has all that the name tells, whatever else it has."""
        known, budget = dict(condition.parameters), condition.budget
        asked = self.budget
        return (
            condition.selector == self.selector
            and all(k in known and _equal(known[k], v) for k, v in self.parameters)
            and (asked is None or (asked.kind, asked.value) == (budget.kind, budget.value))
            and self.scope in (None, budget.scope)
            and self.seed in (None, condition.seed)
            and all(_words(condition)[k] == v for k, v in self.words)
        )


def spec_of(condition: Condition) -> ConditionSpec:
    """All that tells a condition from others of its experiment, and nothing that is neutral."""
    c = condition
    return told(
        c.selector,
        c.parameters,
        c.budget,
        seed=c.seed,
        positions=c.positions,
        numerics=c.numerics,
        revision=c.revision,
        features=c.features,
        picture=c.picture,
    )


def told(
    selector: str,
    parameters: Sequence[tuple[str, Scalar]],
    budget: Budget,
    *,
    seed: int | None,
    positions: str,
    numerics: str | None,
    revision: int,
    features: str | None = None,
    picture: str = "",
) -> ConditionSpec:
    """As ``spec_of``, of a condition's fields; ``picture`` says how budgets are counted."""
    neutral = NEUTRAL.get(selector, {})
    whole = budget.value == 0 or (budget.kind, budget.value) == ("ratio", 1.0)
    usual = "global" if whole else SCOPES.get(picture, "global")
    silent = budget == BUDGETS.get(selector)
    words = [
        ("positions", positions, _positions(selector, dict(parameters), positions)),
        ("numerics", numerics or "canonical", "canonical"),
        ("revision", str(revision), "1"),
    ]
    return ConditionSpec(
        selector,
        tuple((k, value_text(v)) for k, v in parameters if not _is(neutral.get(k), v)),
        None if silent else replace(budget, scope="global"),
        None if silent or budget.scope == usual else budget.scope,
        seed,
        (*((k, v) for k, v, usually in words if v != usually), *_features(features)),
    )


def name_of(condition: Condition) -> str:
    """To type and to print, e.g. ``scope:alpha=0 @128``; unique within the experiment."""
    return str(spec_of(condition))


def title_of(condition: Condition) -> str:
    """For people, e.g. ``SCOPE α=0, K=128``; unique within the experiment."""
    return spec_of(condition).title


def budget_text(condition: Condition) -> str:
    """The budget as it stands in names, and where it is silent there: ``64``, ``22%``, ``all``."""
    spec = spec_of(condition)
    return _amount(spec.budget or condition.budget, spec.scope)


def seedless(condition: Condition) -> ConditionSpec:
    """What all draws of a random selector have in common."""
    return replace(spec_of(condition), seed=None)


def parse_name(text: str) -> ConditionSpec:
    """``scope:alpha=0 @128``, or a part of it; without the blank it is the same.

    How many seeds a row of a table joins, as in ``random @64 (3 seeds)``, may stand behind it.

    Raises:
        PlanError: what cannot be read, and how a name is written.
    """
    first, *rest = _SEEDS.sub("", text).split() or [""]
    first, at, amount = first.partition("@")
    rest = [f"@{amount}"] * bool(at) + rest
    selector, *settings = first.split(":")
    if not selector:
        raise PlanError(f"{text!r} names no selector: write e.g. {EXAMPLE!r}")
    parameters = _once(text, [_setting(text, setting) for setting in settings])
    found = _once(text, [("@", w[1:]) if w[0] == "@" else _setting(text, w) for w in rest])
    if "seed" in parameters:  # as collect is asked for it
        found.setdefault("seed", parameters.pop("seed"))
    if unread := [key for key in found if key not in ("@", "seed", *_SAID)]:
        raise PlanError(f"{text!r}: {unread[0]!r} is not read; write e.g. '{EXAMPLE} seed=0'")
    budgeted, at = "@" in found, found.pop("@", "")
    amount, slash, scope = at.partition("/")
    if slash and scope not in ("global", "split", "crop"):
        raise PlanError(f"{text!r}: budgets are counted global, split or crop, not {scope!r}")
    seed = found.pop("seed", None)
    if seed is not None and not re.fullmatch(r"-?[0-9]{1,19}", seed):
        raise PlanError(f"{text!r}: a seed is a whole number, not {seed!r}")
    return ConditionSpec(
        unquote(selector, errors="surrogatepass"),
        tuple(parameters.items()),
        _budget(text, amount) if budgeted else None,
        scope or None,
        None if seed is None else int(seed),
        tuple((k, found[k]) for k in _SAID if k in found),
    )


def of_each_budget(text: str) -> bool:
    """Whether a name tells parameters and no budget, and so means a condition of each.

    Raises:
        PlanError: the text is no name.
    """
    spec = parse_name(text)
    return spec.budget is None and bool(spec.parameters)


def named(text: str, conditions: Sequence[Condition]) -> list[int]:
    """Which of the conditions a name, or a part of one, or a key stands for.

    Where it stands for none, those that have all it tells: ``scope`` for gap_power=2 if there is
    no other. A key is told by its first 8 digits at least. Empty if there are none.

    Raises:
        PlanError: the text is no name.
    """
    spec = parse_name(text)
    for belongs in (spec.names, spec.fits):
        if found := [i for i, c in enumerate(conditions) if belongs(c)]:
            return found
    if not re.fullmatch(r"[0-9a-f]{8,64}", text):
        return []
    return [i for i, c in enumerate(conditions) if c.key.startswith(text)]


def value_text(value: Scalar) -> str:
    """A parameter's value as it is typed: ``0.5``, ``1``, ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _words(c: Condition) -> dict[str, str]:
    """What may be said of a condition after its budget."""
    return {
        "positions": c.positions,
        "numerics": c.numerics or "canonical",
        "revision": str(c.revision),
        "clip": dict(_features(c.features)).get("clip", "none"),
        "features": c.features or "none",
    }


def _positions(selector: str, parameters: Mapping[str, Scalar], positions: str) -> str:
    """The neutral position ids: those of the paper; where all is kept the model decides."""
    if selector == "full":
        return positions
    if selector == "fastv-two-pass":
        return str(parameters.get("position_ids", "original"))
    if selector == "sparsevlm" and parameters.get("version") == "2.0":
        return "original"
    return "original" if selector == "fastv" else "contiguous"


def _features(features: str | None) -> tuple[tuple[str, str], ...]:
    """What is told of the signals that were read: nothing of CLIP's tower as published."""
    marks, parts = set(), features.split("+") if features else []
    for part in parts:
        if part in READINGS:
            continue
        if (match := _OF_CLIP.fullmatch(part)) is None:
            return (("features", features or ""),)
        marks.add(match[1])
    if len(marks) > 1:
        return (("features", features or ""),)
    return tuple(("clip", mark) for mark in marks)


def _is(neutral: Scalar | None, value: Scalar) -> bool:
    return type(neutral) is type(value) and neutral == value


def _equal(value: Scalar, text: str) -> bool:
    """Whether a value is the one that is written; numbers may be written in any way."""
    if isinstance(value, str | bool):
        return value_text(value) == (text.lower() if isinstance(value, bool) else text)
    try:
        return value_text(value) == text or float(text) == value
    except ValueError:
        return False


def _amount(budget: Budget, scope: str | None = None) -> str:
    """``64``, ``22%``, ``64/crop`` or ``all``."""
    text = str(budget.value)
    if budget.kind == "ratio":
        share = Decimal(repr(budget.value)).scaleb(2).normalize()
        text = "all" if budget.value == 1.0 else f"{share:f}%"
    return f"{text}/{scope}" if scope else text


def _budget(text: str, amount: str) -> Budget:
    if amount == "all":
        return ALL_TOKENS
    if re.fullmatch(r"[0-9]{1,19}", amount):
        return Budget("count", int(amount))
    if re.fullmatch(r"-?[0-9]*\.?[0-9]+%?", amount) and (amount[-1] == "%" or "." in amount):
        share = Decimal(amount.removesuffix("%")).scaleb(-2 * (amount[-1] == "%"))
        if 0 <= share <= 1:
            return Budget("ratio", float(share))
    raise PlanError(f"{text!r}: {amount!r} is no budget: write e.g. @128 or @22%, or @all")


def _once(text: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise PlanError(f"{text!r} tells {key} twice")
        found[key] = value
    return found


def _setting(text: str, setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise PlanError(f"{text!r}: {setting!r} is not read; write e.g. {EXAMPLE!r}")
    return unquote(key, errors="surrogatepass"), unquote(value, errors="surrogatepass")


def _plain(text: str, of: str = ":@=,/") -> str:
    """A text without blanks, what cannot be seen and what has a meaning in names: ``%20``."""
    return "".join(
        c
        if c.isprintable() and not c.isspace() and c != "%" and c not in of
        # letters that quote leaves alone are never asked for here
        else quote(c, safe="", errors="surrogatepass")
        for c in text
    )
