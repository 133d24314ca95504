"""The laws of selectors as one check: ``laws(MySelector())`` is the whole of a selector's test.

Inputs are made up, so that no model is needed; ``made_up`` gives them to further tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.collect.pruning_stages import InModelSelector, is_in_model, planned
from calprune.collect.selector import Merges, Picks, Ranks
from calprune.collect.signals import SIGNALS, of_question
from calprune.collect.visual_tokens import CLS, Merged, Ranking, VisualTokens
from calprune.errors import CalpruneError

_WIDTH = 32
_SPACES = {"1": 1, "head": 64, "tower": _WIDTH, "model": 96, "joint": 16}
WIDTHS = {name: _SPACES[signal.width] for name, signal in SIGNALS.items()}
"""Width of each made-up signal; that of ``cls-token`` is that of the features."""

_GRID = (8, 9)
_BUDGETS = (1, 2, 7, 16, 30)
_DEPTHS, _CANDIDATES, _KEPT = (4, 26, 32, 40), (576, 2880), (1, 64, 192, 576)


def laws(selector: Any, widths: Mapping[str, int] | None = None) -> None:
    """Every law of a selector; AssertionError names the one that is broken.

    - It is a frozen dataclass with title, needs, revision, nested and budget, and ranks, picks or
      merges. Only rankings are nested: budgets share them.
    - A ranking holds each candidate once, a pick exactly k of them, neither a separator; a merge
      holds exactly k new tokens of old ones with finite weights.
    - The same image gives the same choice, however often and among whatever others, and its inputs
      stay as they are.
    - What ``needs`` does not name is not read.
    - If its class says ``equivariant = True``, the order in which tokens are given does not matter
      unless ties are decided.
    - If its class lists ``compat`` in ``numerics``, it obeys the laws there as well.
    - Constant features, equal rows, no saliency and a single candidate obey the same laws, or are
      refused with an error of calprune's.

    A selector that prunes inside the language model is asked for its stages alone, for several
    depths, numbers of candidates and budgets: they are possible, the same when asked again, and not
    refused everywhere. What they keep is decided while the model runs, and not looked at here.

    Args:
        selector: an instance.
        widths: of signals that it needs and ``WIDTHS`` lacks: a row for each token, or five if
            the name begins with ``text``.
    """
    _declared(selector)
    if is_in_model(selector):
        _staged(selector)
        return
    shelf = {**WIDTHS, **(widths or {})}
    usual, other = made_up(0, widths=shelf), made_up(1, widths=shelf)
    first = _obeyed(selector, usual)
    _obeyed(selector, other)
    _same(first, _obeyed(selector, usual), "a second time, after another image")
    if not isinstance(selector, Merges):
        _obeyed(selector, made_up(2, row_ends=True, widths=shelf))
    _same(first, _obeyed(selector, _blinded(usual, selector.needs)), "without what is not needed")
    if getattr(selector, "equivariant", False):
        _equivariant(selector, usual)
    odd = degenerate(shelf)
    if "compat" in getattr(selector, "numerics", ()):
        compat = replace(usual, compat=True)
        _same(_obeyed(selector, compat), _obeyed(selector, compat), "a second time, in compat")
        odd |= {f"{name}, in compat": replace(x, compat=True) for name, x in odd.items()}
    for name, tokens in odd.items():
        try:
            _obeyed(selector, tokens)
        except CalpruneError:
            continue  # refused in words
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error


def made_up(
    seed: int = 0,
    *,
    grid: tuple[int, int] = _GRID,
    row_ends: bool = False,
    widths: Mapping[str, int] = WIDTHS,
) -> VisualTokens:
    """Visual tokens of an image that never was, in clusters, with every signal.

    Args:
        seed: of all values.
        grid: rows and columns of patches.
        row_ends: end each row with a separator.
        widths: of the signals.
    """
    rng = np.random.default_rng(seed)
    rows, columns = grid
    cell = np.indices((rows, columns)).reshape(2, -1).T
    separator = np.zeros(rows * columns, np.bool_)
    if row_ends:
        ends = np.arange(1, rows + 1) * columns
        cell = np.insert(cell, ends, -1, axis=0)
        separator = np.insert(separator, ends, True)
    v = len(cell)
    cluster = rng.integers(0, max(1, v // 6), v)

    def clustered(width: int) -> NDArray[np.float32]:
        centre = rng.normal(size=(cluster.max() + 1, width))[cluster]
        found = centre + 0.4 * rng.normal(size=(v, width))
        return np.where(separator[:, None], 0.0, found).astype(np.float32)

    def signal(name: str, width: int) -> NDArray[np.float32]:
        known = SIGNALS.get(name)
        if of_question(name) or (known is not None and known.rows == "crops"):
            count = 2 if name == "text-clip" else 5 if of_question(name) else 1
            return rng.normal(size=(count, width)).astype(np.float32)
        return clustered(width) if width > 1 else rng.gamma(0.5, size=(v, 1)).astype(np.float32)

    return VisualTokens(
        image=f"{seed:02x}" * 32,
        features=clustered(_WIDTH),
        saliency=np.where(separator, np.nan, rng.gamma(0.5, size=v)),
        separator=separator,
        cell=cell.astype(np.int32),
        signals={name: signal(name, width) for name, width in sorted(widths.items())},
    )


def degenerate(widths: Mapping[str, int] = WIDTHS) -> dict[str, VisualTokens]:
    """Images that show nothing or the same thing twice, by what is odd about them."""
    usual = made_up(3, widths=widths)
    v, one = len(usual.separator), made_up(4, grid=(1, 1), widths=widths)

    def per_token(change: Callable[[Any], Any]) -> VisualTokens:
        signals = {n: change(x) if len(x) == v else x for n, x in usual.signals.items()}
        return replace(usual, features=change(usual.features), signals=signals, _known={})

    doubled = np.arange(v) // 2
    return {
        "constant features": per_token(lambda x: np.repeat(x[:1], v, axis=0)),
        "equal rows": replace(per_token(lambda x: x[doubled]), saliency=usual.saliency[doubled]),
        "zero features": per_token(np.zeros_like),
        "no saliency": replace(usual, saliency=np.zeros(v)),
        "one candidate": one,
    }


def _declared(selector: Any) -> None:
    name = type(selector).__name__
    assert is_dataclass(type(selector)), f"{name} is no dataclass"
    assert selector == replace(selector), f"{name}: instances with equal parameters differ"
    hash(selector)  # frozen
    shapes: list[Any] = [kind for kind in (Ranks, Picks, Merges) if isinstance(selector, kind)]
    shapes += [InModelSelector] * is_in_model(selector)
    assert len(shapes) == 1, f"{name}: one of rank, pick, merge and stages, not {len(shapes)}"
    assert isinstance(selector.title, str), f"{name}: title is text"
    assert selector.title, f"{name}: title is empty"
    assert isinstance(selector.needs, frozenset), f"{name}: needs is a frozenset"
    assert isinstance(selector.revision, int), f"{name}: revision is a whole number"
    nested = isinstance(selector, Ranks)
    assert selector.nested is nested, f"{name}: nested must be {nested} for {shapes[0].__name__}"


def _staged(selector: InModelSelector) -> None:
    """Stages are possible wherever the selector does not refuse in words."""
    name, served = type(selector).__name__, 0
    known = ("contiguous", "original")
    assert selector.positions in known, f"{name}: positions are one of {', '.join(known)}"
    assert not selector.needs, f"{name}: inside the language model no signal is read"
    own = selector.budget
    for layers, v in itertools.product(_DEPTHS, _CANDIDATES):
        for k in _KEPT if own is None else (own.tokens(v),):
            try:
                first = selector.stages(k, v, layers)
            except CalpruneError:
                continue  # refused in words
            try:
                again = planned(name, selector, k, v, layers)
            except CalpruneError as error:
                raise AssertionError(f"{layers} layers, {k} of {v} tokens: {error}") from error
            assert tuple(first) == again, f"{name}: other stages a second time"
            served += 1
    assert served, f"{name}: refuses every budget, image and decoder that was tried"


def _counts(selector: Any, tokens: VisualTokens) -> list[int]:
    """The budgets to try: a few and everything, or the only one that there is."""
    n = len(tokens.candidates)
    if selector.budget is not None:
        return [selector.budget.tokens(n)]
    return sorted({*(k for k in _BUDGETS if k < n), max(1, n - 1), n})


def _obeyed(selector: Any, tokens: VisualTokens) -> list[NDArray[Any]]:
    """What is chosen for all budgets, after checking it; and that nothing was changed."""
    before = {name: value.copy() for name, value in _inputs(tokens)}
    found = list(_choices(selector, tokens))
    for name, value in _inputs(tokens):
        np.testing.assert_array_equal(value, before[name], f"{name} was changed")
    return found


def _choices(selector: Any, tokens: VisualTokens) -> Iterator[NDArray[Any]]:
    counts = _counts(selector, tokens)
    if isinstance(selector, Ranks):
        ranking = selector.rank(tokens)
        every = max(counts) if selector.budget is not None else len(tokens.candidates)
        yield _subset(ranking, tokens, every)
        return
    for k in counts:
        if isinstance(selector, Picks):
            yield _subset(selector.pick(tokens, k), tokens, k)
        else:
            yield _merge(selector.merge(tokens, k), tokens, k)


def _inputs(tokens: VisualTokens) -> Iterator[tuple[str, NDArray[Any]]]:
    for name in ("features", "saliency", "separator", "cell"):
        yield name, getattr(tokens, name)
    yield from tokens.signals.items()


def _subset(ranking: object, tokens: VisualTokens, k: int) -> NDArray[Any]:
    """The order of a ranking, −1 apart."""
    assert isinstance(ranking, Ranking), f"{type(ranking).__name__} returned, not a Ranking"
    v = len(tokens.separator)
    for name in ("order", "score", "margin", "tied"):
        values = getattr(ranking, name)
        assert values.shape == (v,), f"{name} has shape {values.shape} for {v} tokens"
        assert np.isfinite(values).all(), f"{name} is not finite"
    order = ranking.order[:k]
    rest = ranking.order[k:]
    assert (rest == -1).all(), f"{(rest >= 0).sum()} tokens beyond the {k} that were asked for"
    assert (order >= 0).all(), f"only {(order >= 0).sum()} of {k} tokens"
    assert (order < v).all(), f"token {order.max()} of {v}"
    assert len(np.unique(order)) == k, "a token is taken twice"
    assert not tokens.separator[order].any(), "a separator token is taken"
    return order


def _merge(merged: object, tokens: VisualTokens, k: int) -> NDArray[Any]:
    """Entries of new tokens: which one, old token, weight."""
    assert isinstance(merged, Merged), f"{type(merged).__name__} returned, not a Merged"
    assert len(merged) == k, f"{len(merged)} new tokens, not {k}"
    sizes = np.diff(merged.offset)
    assert merged.offset[0] == 0, "offset does not begin with 0"
    assert (sizes > 0).all(), "a new token of nothing"
    assert merged.offset[-1] == len(merged.token) == len(merged.weight), "offset and entries differ"
    assert np.isfinite(merged.weight).all(), "a weight is not finite"
    assert (merged.token >= CLS).all(), "a token below that of CLS"
    assert (merged.token < len(tokens.separator)).all(), "a token that is none"
    return np.stack([np.repeat(np.arange(k), sizes), merged.token, merged.weight])


def _same(one: list[NDArray[Any]], other: list[NDArray[Any]], when: str) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b, f"another choice {when}")


def _blinded(tokens: VisualTokens, needs: frozenset[str]) -> VisualTokens:
    """The same image without what a selector does not say it reads."""
    features = tokens.features if "features" in needs else np.full_like(tokens.features, np.nan)
    saliency = tokens.saliency if "saliency" in needs else np.full_like(tokens.saliency, np.nan)
    signals = {name: x for name, x in tokens.signals.items() if name in needs}
    return replace(tokens, features=features, saliency=saliency, signals=signals, _known={})


def _equivariant(selector: Any, tokens: VisualTokens) -> None:
    """Shuffled tokens give the same sets."""
    v = len(tokens.separator)
    shuffle = np.random.default_rng(5).permutation(v)
    moved = replace(
        tokens,
        features=tokens.features[shuffle],
        saliency=tokens.saliency[shuffle],
        separator=tokens.separator[shuffle],
        cell=tokens.cell[shuffle],
        signals={n: x[shuffle] if len(x) == v else x for n, x in tokens.signals.items()},
        _known={},
    )
    for k in _counts(selector, tokens):
        (a, tied), (b, _) = _taken(selector, tokens, k), _taken(selector, moved, k)
        back = {int(shuffle[i]) if i >= 0 else i for i in b}
        assert tied or a == back, f"of shuffled tokens {len(a - back)} others are taken for k = {k}"


def _taken(selector: Any, tokens: VisualTokens, k: int) -> tuple[set[int], bool]:
    """What is kept, and whether an index decided any of it, which a shuffle may change."""
    if isinstance(selector, Merges):
        merged = selector.merge(tokens, k)
        return set(merged.token[merged.weight != 0].tolist()), False
    ranking = selector.rank(tokens) if isinstance(selector, Ranks) else selector.pick(tokens, k)
    return set(ranking.order[:k].tolist()), bool(ranking.tied[:k].any())
