"""Whether a model serves a selector with a budget, and how the condition says it; before weights.

The PlanError of a choice that cannot be made names what would help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from calprune.collect.adapter import STAND_IN_SIZE, Adapter
from calprune.collect.grid import SelectorChoice
from calprune.collect.in_model.compatibility import fits
from calprune.collect.pruning_stages import Positions, is_in_model, positions_of
from calprune.collect.selector import Merges
from calprune.collect.signals import BASE
from calprune.collect.suggestions import check_compat, serving
from calprune.data.condition import ALL_TOKENS, Budget
from calprune.data.pictures import size_of
from calprune.data.questions import Questions
from calprune.errors import PlanError


@dataclass(frozen=True)
class Optional:
    """Choices that are left out where a model or benchmark does not serve them, and who asked.

    ``covers`` says which are; ``asked`` names them, e.g. ``--select all``.
    """

    covers: Callable[[SelectorChoice], bool]
    asked: str


@dataclass(frozen=True)
class Fitted:
    """A choice that a model serves.

    ``budget`` is counted as the model counts it; ``features`` is what the selector reads, as in
    ``Condition``.
    """

    choice: SelectorChoice
    budget: Budget
    features: str | None


def fit(
    choices: Sequence[SelectorChoice],
    adapter: Adapter,
    questions: Questions,
    optional: Optional | None = None,
) -> tuple[list[Fitted], list[str]]:
    """The choices that this model and benchmark serve, and why optional ones are left out.

    PlanError for another that they do not serve, and for a count that no image has.
    """
    _check_counts([c.budget for c in choices], adapter, questions)
    fitted, notes = [], dict[str, str]()
    for choice in choices:
        try:
            fitted.append(_fit(choice, adapter, questions))
        except PlanError as error:
            if optional is None or not optional.covers(choice):
                raise
            name = choice.name
            notes.setdefault(name, f"{optional.asked} leaves out {name}: {error}")
    return fitted, list(notes.values())


def _fit(choice: SelectorChoice, adapter: Adapter, questions: Questions) -> Fitted:
    features = _features(adapter, choice)
    if choice.compat:
        check_compat(choice.name, choice.selector)
    budget = _scoped(choice.budget, adapter)
    if is_in_model(choice.selector):
        fits(choice.name, choice.selector, budget, adapter, questions)
    return Fitted(choice, budget, features)


def _check_counts(budgets: Sequence[Budget], adapter: Adapter, questions: Questions) -> None:
    """PlanError for a count that no image has: it would be ``full`` by another name."""
    counts = [b for b in budgets if b.kind == "count"]
    if not (adapter.ragged and counts):
        return
    sizes = {size_of(questions.picture(image)) for image in questions.images}
    crops = [list(adapter.token_layout(size).crops.values()) for size in sizes]
    for budget in counts:
        most = max(replace(budget, scope=adapter.scope).pool(c) for c in crops)
        if budget.value > most:
            raise PlanError(
                f"cannot keep {budget.value} visual tokens: the images of {questions.name} have "
                f"{most} at most under --picture {adapter.pixels.split('/')[-1]}"
            )


def _scoped(budget: Budget, adapter: Adapter) -> Budget:
    """A budget counted as the model's convention counts it; all tokens are all either way."""
    if budget.scope not in ("global", adapter.scope):
        raise PlanError(
            f"{adapter.name} counts budgets as {adapter.scope!r} ({adapter.pixels}), "
            f"not {budget.scope!r}"
        )
    if budget == ALL_TOKENS or budget.value == 0:
        return budget
    scoped = replace(budget, scope=adapter.scope)
    largest = max(adapter.token_layout(STAND_IN_SIZE).crops.values())
    budget.tokens(largest if scoped.of_each_crop else adapter.candidates)
    most = adapter.candidates // largest
    if 0 in scoped.shares([largest] * most):
        raise PlanError(
            f"--keep {budget.value} split over up to {most} crops leaves none for each; keep at "
            f"least {most}, or name another --picture"
        )
    return scoped


def _features(adapter: Adapter, choice: SelectorChoice) -> str | None:
    """What this selector reads, e.g. ``patches@-2+cls@-2:sum``; None if it reads nothing."""
    missing = sorted(choice.selector.needs - adapter.measures.keys())
    if missing:
        raise PlanError(
            f"{choice.name} needs the signal{'s' * (len(missing) > 1)} "
            f"{' and '.join(map(repr, missing))}, which {adapter.name} cannot give; "
            f"{_further_model(adapter, missing)}selectors that work with it: {serving(adapter)}"
        )
    read = [
        adapter.measures[name]
        for name in sorted(adapter.measures, key=lambda name: BASE.get(name, name))
        if name in choice.selector.needs
    ]
    return "+".join(read) or None


def _further_model(adapter: Adapter, missing: list[str]) -> str:
    """How a signal is had that needs one more model, beside a tower as CLIP's."""
    if "cls" not in adapter.saliencies or not {"joint", "text-clip"} & set(missing):
        return ""
    return "name the CLIP model that its tower was taken from, with --clip REPOSITORY; "


def positions_under(choice: SelectorChoice, asked: Positions, adapter: Adapter) -> Positions:
    """On one axis, keeping all leaves nothing to renumber; on three it would be another model."""
    if is_in_model(choice.selector):
        return positions_of(choice.name, choice.selector, asked)
    if isinstance(choice.selector, Merges) and asked == "original":
        raise PlanError(
            f"{choice.name} makes new tokens, which have no original positions; leave "
            "--positions out for it"
        )
    if choice.budget != ALL_TOKENS:
        return asked
    return "contiguous" if adapter.axes == 1 else "original"
