"""The contract of a selector: what it says about itself, and its one method.

``rank`` orders all tokens, so that one order serves every budget; ``pick`` chooses k of them;
``merge`` makes k new tokens of them. Those that prune inside the language model name stages
instead: see ``pruning_stages``.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from calprune.collect.signals import of_question
from calprune.collect.visual_tokens import Merged, Ranking, VisualTokens
from calprune.data.condition import Budget


class SelectorInfo(Protocol):
    """What every selector says about itself.

    Attributes:
        title: one line for ``calprune ls``.
        needs: what it reads: ``features``, ``saliency``, and auxiliary features by name (see
            ``collect/signals``).
        revision: raised by hand whenever its picks change; part of the condition.
        nested: the first k of its order are its choice of k, so one ranking serves all budgets.
        budget: the only budget it makes sense with, or None.
    """

    title: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    revision: ClassVar[int]
    nested: ClassVar[bool]
    budget: ClassVar[Budget | None]


@runtime_checkable
class Ranks(SelectorInfo, Protocol):
    """A selector whose choice of k begins its choice of more: ``nested`` is True."""

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Rank all candidates of one image (or crop)."""
        ...


@runtime_checkable
class Picks(SelectorInfo, Protocol):
    """A selector that chooses anew for every budget: ``nested`` is False."""

    def pick(self, tokens: VisualTokens, k: int) -> Ranking:
        """Exactly k candidates, 0 < k <= candidates, in the order in which they are taken."""
        ...


@runtime_checkable
class Merges(SelectorInfo, Protocol):
    """A selector that makes new tokens, or has an order of its own: ``nested`` is False."""

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        """Exactly k new tokens, 0 < k <= candidates."""
        ...


Selector = Ranks | Picks | Merges


def guided(selector: Selector) -> bool:
    """Whether its choice depends on the question, so that each question has its own."""
    return any(of_question(name) for name in selector.needs)
