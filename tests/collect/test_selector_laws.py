"""Every registered selector obeys the laws, and every broken law is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from calprune import registry
from calprune.collect.pruning_stages import Stage
from calprune.collect.selectors import Merged, Ranking, VisualTokens, by_score, in_order
from calprune.collect.selectors.scope import Scope
from calprune.data.condition import Budget
from calprune.errors import PlanError
from calprune.testing.selectors import degenerate, laws, made_up


@pytest.mark.parametrize("name", registry.names("selectors"))
def test_every_selector_obeys_the_laws(name: str) -> None:
    laws(registry.load("selectors", name)())


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("power", [1.0, 1.5])
def test_parameters_do_not_matter(alpha: float, power: float) -> None:
    laws(Scope(alpha, power))


@dataclass(frozen=True)
class Honest:
    """By saliency; what the broken ones below derive from."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset({"saliency"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None
    equivariant: ClassVar[bool] = True

    def rank(self, tokens: VisualTokens) -> Ranking:
        return by_score(tokens.saliency, ~tokens.separator)


class Twice(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        ranking = super().rank(tokens)
        ranking.order[1] = ranking.order[0]
        return ranking


class WithGlue(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        return in_order(np.arange(len(tokens.candidates)), len(tokens.separator))


class TooFew(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        return in_order(tokens.candidates[:-1], len(tokens.separator))


class Remembering(Honest):
    seen: ClassVar[list[str]] = []

    def rank(self, tokens: VisualTokens) -> Ranking:
        self.seen.append(tokens.image)
        order = super().rank(tokens).order
        there = order[order >= 0]
        return in_order(np.roll(there, len(self.seen)), len(tokens.separator))


class Curious(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        return by_score(np.nan_to_num(tokens.saliency + tokens.features[:, 0]), ~tokens.separator)


class Careless(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        ranking = super().rank(tokens)
        tokens.saliency[:] = 1.0
        return ranking


class Raster(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        return in_order(tokens.candidates, len(tokens.separator))


class Endless(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        ranking = super().rank(tokens)
        return replace(ranking, score=ranking.score / np.zeros(1))


class Unnested(Honest):
    nested: ClassVar[bool] = False


class Stumbling(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        assert tokens.saliency.any(), "nothing is salient"
        return super().rank(tokens)


class Abrupt(Honest):
    def rank(self, tokens: VisualTokens) -> Ranking:
        tokens.saliency[[5]]
        return super().rank(tokens)


@dataclass(frozen=True)
class HonestMerge:
    """Means of neighbours in raster order."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        parts = np.array_split(tokens.candidates, k)
        return Merged.of([{int(i): 1 / len(part) for i in part} for part in parts])


class OneMore(HonestMerge):
    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        return super().merge(tokens, min(k + 1, len(tokens.candidates)))


class Weightless(HonestMerge):
    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        merged = super().merge(tokens, k)
        return replace(merged, weight=merged.weight * np.nan)


@dataclass(frozen=True)
class Grudging:
    """One token too few, if asked for more than one."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def pick(self, tokens: VisualTokens, k: int) -> Ranking:
        return in_order(tokens.candidates[: max(1, k - 1)], len(tokens.separator))


@pytest.mark.parametrize("honest", [Honest, HonestMerge])
def test_honest_ones_pass(honest: Callable[[], Any]) -> None:
    laws(honest())


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Twice, "taken twice"),
        (WithGlue, "a separator token is taken"),
        (TooFew, "only 71 of 72"),
        (Remembering, "a second time"),
        (Curious, "not needed"),
        (Careless, "saliency was changed"),
        (Raster, "shuffled"),
        (Endless, "score is not finite"),
        (Unnested, "nested must be True"),
        (Stumbling, "no saliency: nothing is salient"),
        (Abrupt, "one candidate: IndexError: index 5"),
        (OneMore, "2 new tokens, not 1"),
        (Weightless, "weight is not finite"),
        (Grudging, "only 1 of 2"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_broken_law_is_named(broken: Callable[[], Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        laws(broken())


def test_what_is_degenerate_may_be_refused_in_words() -> None:
    class Picky(Honest):
        def rank(self, tokens: VisualTokens) -> Ranking:
            if not tokens.saliency.any():
                raise PlanError("no saliency")
            return super().rank(tokens)

    laws(Picky())


def test_signals_of_ones_own() -> None:
    class Deep(Honest):
        needs: ClassVar[frozenset[str]] = frozenset({"depth"})

        def rank(self, tokens: VisualTokens) -> Ranking:
            return by_score(tokens.signals["depth"][:, 0].astype(np.float64), ~tokens.separator)

    laws(Deep(), widths={"depth": 1})


def test_made_up_images_have_every_signal_in_its_shape() -> None:
    tokens = made_up(row_ends=True)
    v = len(tokens.separator)
    shapes = {name: x.shape for name, x in tokens.signals.items()}
    assert shapes["keys"] == (v, 64)
    assert shapes["received"] == shapes["cls-last3"] == (v, 1)
    assert shapes["cls-token"][0] == 1
    assert shapes["text-words"][1] == shapes["projected"][1]
    assert shapes["text-clip"][1] == shapes["joint"][1]
    assert (tokens.cell[tokens.separator] == -1).all()
    assert np.isnan(tokens.saliency[tokens.separator]).all()
    assert {len(t.separator) for t in degenerate().values()} == {72, 1}


@dataclass(frozen=True)
class Halfway:
    """Inside the language model; what the broken ones below derive from."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None
    positions: ClassVar[str] = "original"

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        return (Stage(layers // 2, layers // 2 - 1, budget_tokens),)


class TooLate(Halfway):
    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        return (Stage(30, 29, budget_tokens),)


class Wavering(Halfway):
    asked: ClassVar[list[int]] = []

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        self.asked.append(layers)
        return (Stage(1 + len(self.asked) % 2, 1, budget_tokens),)


class Never(Halfway):
    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        raise PlanError("no")


class Nowhere(Halfway):
    positions: ClassVar[str] = "somewhere"


class Needy(Halfway):
    needs: ClassVar[frozenset[str]] = frozenset({"features"})


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (TooLate, r"4 layers, 1 of 576 tokens: TooLate: stage 1 stands before layer 30"),
        (Wavering, "other stages a second time"),
        (Never, "refuses every budget"),
        (Nowhere, "positions are one of contiguous, original"),
        (Needy, "no signal is read"),
    ],
)
def test_broken_stages_are_noticed(broken: Callable[[], Any], says: str) -> None:
    laws(Halfway())
    with pytest.raises(AssertionError, match=says):
        laws(broken())
