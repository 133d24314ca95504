"""The conformance test of model adapters: packed answers are transformers' own answers.

Run it in float32 on a narrow random model of the family's real class, with weights scaled up until
attention is peaked: with default initialisation every mistake looks exact. ``conformance`` is the
whole test; it also breaks masks on purpose and demands that this is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from calprune.collect.adapter import Adapter, EncodedImage, ImageRequest, Reach
from calprune.collect.packed import masks
from calprune.collect.packed.decode import Generated
from calprune.collect.packed.masks import Past
from calprune.collect.packed.packs import Pack, cut, lay_out
from calprune.collect.packed.places import place, visible
from calprune.collect.packed.reply import Packed
from calprune.collect.packed.routes import Route
from calprune.data.benchmark import Answer, Picture
from calprune.errors import ModelError
from calprune.testing.signals import phrases_hold, signals_hold

TOLERANCE = 1e-4
TOKENS = 6
"""How far replies are followed."""
YES_NO = (Answer("yes", ("Yes", "yes")), Answer("no", ("No", "no")))


@dataclass(frozen=True)
class Case:
    """Images with what is kept of each, and the questions asked about all of them."""

    pictures: Sequence[Picture]
    encoded: Sequence[EncodedImage]
    kept: Sequence[NDArray[np.int64]]
    questions: Sequence[str]
    positions: str

    def rows(self, adapter: Adapter) -> list[ImageRequest]:
        """As the room that asks makes them."""
        prompts = [adapter.prompt(q) for q in self.questions]
        prefix, suffixes = len(prompts[0].prefix), tuple(p.suffix for p in prompts)
        return [
            place(adapter, s, kept, prefix, suffixes, self.positions)
            for s, kept in zip(self.encoded, self.kept, strict=True)
        ]


def conformance(
    adapter: Adapter,
    pictures: Sequence[Picture],
    questions: Sequence[str],
    answers: Sequence[Answer] = YES_NO,
    seed: int = 0,
) -> dict[str, float]:
    """Every law of an adapter; the largest difference that each has shown.

    Args:
        adapter: in float32.
        pictures: at least two, of different sizes where the family's layout depends on them.
        questions: at least two, with different lengths.
        answers: whose first tokens the vocabulary has.
        seed: of what is kept.
    """
    encoded = adapter.encode(pictures)
    layouts_agree(adapter, pictures, encoded)
    answers_have_tokens(adapter, answers)
    rng = np.random.default_rng(seed)
    worst: dict[str, float] = {}
    everything = [np.arange(len(s.layout)) for s in encoded]
    few = [_some(rng, s, share) for s, share in zip(encoded, _shares(len(encoded)), strict=True)]
    for name, kept, positions in (
        ("all tokens", everything, "contiguous"),
        ("few tokens", few, "contiguous"),
        ("all tokens, original positions", everything, "original"),
        ("few tokens, original positions", few, "original"),
    ):
        case = Case(pictures, encoded, kept, questions, positions)
        worst[name] = packed_is_generate(adapter, case)
    case = Case(pictures, encoded, few, questions, "original")
    worst["dropped is hidden"] = dropped_is_hidden(adapter, case)
    worst["company"] = company_does_not_matter(adapter, case)
    worst["ends"] = replies_end_where_they_should(adapter, case)
    worst["signals"] = max(
        signals_hold(adapter, pictures, encoded), phrases_hold(adapter, questions)
    )
    wrong_masks_are_noticed(adapter, case)
    wrong_replies_are_noticed(adapter, case)
    pruning_shows(adapter, case)
    return worst


def layouts_agree(
    adapter: Adapter, pictures: Sequence[Picture], encoded: Sequence[EncodedImage]
) -> None:
    """The layout that arithmetic promises is the layout that the tower gives."""
    from calprune.data.pictures import size_of

    for picture, s in zip(pictures, encoded, strict=True):
        promised = adapter.token_layout(size_of(picture))
        np.testing.assert_array_equal(promised.cell, s.layout.cell)
        np.testing.assert_array_equal(promised.separator, s.layout.separator)
        sizes = [len(x) for x in (*s.features.values(), *s.saliency.values())]
        assert set(sizes) == {len(promised)}, f"{sizes} rows for {len(promised)} visual tokens"
        assert len(promised) - promised.separator.sum() <= adapter.candidates
        for saliency in s.saliency.values():
            assert np.isnan(saliency[promised.separator]).all(), "separator tokens have no saliency"
            assert np.isfinite(saliency[~promised.separator]).all()


def answers_have_tokens(adapter: Adapter, answers: Sequence[Answer]) -> None:
    """Every answer has first tokens of its own, inside the vocabulary."""
    found = adapter.first(answers)
    every = [i for ids in found for i in ids]
    assert all(found), f"an answer without tokens: {found}"
    assert len(set(every)) == len(every), f"answers share tokens: {found}"
    assert 0 <= min(every) <= max(every) < adapter.shape.vocabulary, f"no such tokens: {found}"


def packed_is_generate(adapter: Adapter, case: Case) -> float:
    """Each route gives what ``generate`` gives, token by token, and sees what it should."""
    rows, worst = case.rows(adapter), 0.0
    alone = _alone(adapter, case)
    first = np.stack([logits[0] for _, logits in alone])
    by_row = [visible(r, adapter.reach) for r in rows]
    kinds = [np.concatenate(kind) for kind in zip(*by_row, strict=True)]
    routes: tuple[Route, ...] = ("tree", "prefix")
    for route in routes:
        reply = Packed(adapter, tokens=1 << 20, route=route).reply(rows, TOKENS)
        worst = max(worst, _apart(reply.logits, first, f"{route} against generate"))
        for said, expected in zip(reply.generated, alone, strict=True):
            worst = max(worst, _replied(said, expected, adapter.ends, f"{route} against generate"))
        found = [[(layer == kind).all() for kind in kinds] for layer in reply.visual.T]
        assert all(any(x) for x in found), f"{route}: layers saw {np.unique(reply.visual)}"
        assert np.any(found, axis=0).all(), f"{route}: no layer saw what {[*adapter.reach]} should"
    return worst


Alone = tuple[NDArray[np.int64], NDArray[np.float32]]


def _alone(adapter: Adapter, case: Case) -> list[Alone]:
    """What ``generate`` says to each question by itself."""
    return [
        adapter.generate(picture, question, kept, case.positions, TOKENS)
        for picture, kept in zip(case.pictures, case.kept, strict=True)
        for question in case.questions
    ]


def _replied(said: Generated, expected: Alone, ends: Collection[int], what: str) -> float:
    ids, logits = expected
    assert said.ids.tolist() == ids.tolist(), f"{what}: {said.ids} said instead of {ids}"
    assert said.ended == (int(ids[-1]) in ends), f"{what}: {ids} ended {said.ended}, ends {ends}"
    values = np.sort(logits.astype(np.float64), axis=1)
    log_z = logsumexp(values, axis=1)
    entropy = log_z - (np.exp(values - log_z[:, None]) * values).sum(axis=1)
    return max(
        _apart(said.logprob, values[:, -1] - log_z, f"{what}: log-probabilities"),
        _apart(said.entropy, entropy, f"{what}: entropies"),
        _apart(said.top2_gap, values[:, -1] - values[:, -2], f"{what}: leads"),
    )


def replies_end_where_they_should(adapter: Adapter, case: Case) -> float:
    """Packed replies and ``generate`` stop at ``adapter.ends``, each question at its own time."""
    assert all(0 <= end < adapter.shape.vocabulary for end in adapter.ends), "no such end tokens"
    with _ending_at(adapter, ()):
        replies = [ids for ids, _ in _alone(adapter, case)]
    assert all(len(ids) == TOKENS for ids in replies), "generate stops though nothing ends a reply"
    # random models seldom say their own end tokens, so what they do say becomes one
    with _ending_at(adapter, {int(replies[0][1]), int(replies[-1][2])}):
        worst = packed_is_generate(adapter, case)
        lengths = [len(ids) for ids, _ in _alone(adapter, case)]
    assert lengths[0] <= 2, f"generate does not stop at ends: {lengths}"
    return worst


@torch.inference_mode()
def dropped_is_hidden(adapter: Adapter, case: Case) -> float:
    """Dropping tokens gives what hiding them in the full sequence gives, at original positions.

    Windows are counted in the tokens that stay.
    """
    assert case.positions == "original"
    packed = Packed(adapter, tokens=1 << 20).reply(case.rows(adapter)).logits
    whole = Case(
        case.pictures,
        case.encoded,
        [np.arange(len(s.layout)) for s in case.encoded],
        case.questions,
        "original",
    )
    hidden, model = [], Packed(adapter)
    for row, kept in zip(whole.rows(adapter), case.kept, strict=True):
        for suffix in row.suffixes:
            line = lay_out(
                ImageRequest(row.visual, row.separator, row.positions, row.start, (suffix,))
            )
            gone = np.setdiff1d(np.arange(line.visual), kept)
            stays = ~np.isin(np.arange(len(line)), gone)
            pack = replace(cut([line], "all"), depth=np.cumsum(stays)[None] - 1)
            past = Past.prefix(1, model.prefix_length)
            built = masks.masks_of(pack, past, adapter.reach, adapter.device)
            for mask in built.values() if isinstance(built, dict) else (built,):
                mask[..., past.seen.shape[1] + torch.from_numpy(gone)] = False
                # what is hidden still needs something to see
                own = torch.arange(mask.shape[2])
                mask[:, :, own, past.seen.shape[1] + own] = True
            out = adapter.forward(model.step([line], pack, built, model.prefix_cache(1)))
            hidden.append(adapter.lm_head(out[0, line.last])[0])
    return _apart(packed, np.stack(hidden), "dropping against hiding")


def company_does_not_matter(adapter: Adapter, case: Case) -> float:
    """Neither the other images of a batch nor the order of questions moves an answer."""
    rows, q = case.rows(adapter), len(case.questions)
    together = Packed(adapter, tokens=1 << 20).reply(rows).logits
    worst = 0.0
    for i, row in enumerate(rows):
        turned = ImageRequest(
            row.visual, row.separator, row.positions, row.start, row.suffixes[::-1]
        )
        alone = Packed(adapter, tokens=1).reply([turned]).logits[::-1]
        worst = max(worst, _apart(alone, together[q * i : q * i + q], f"image {i} by itself"))
    return worst


def wrong_masks_are_noticed(adapter: Adapter, case: Case) -> None:
    """Questions that see one another, or an image that is half hidden, must change answers."""
    rows = case.rows(adapter)
    right = Packed(adapter, tokens=1 << 20, route="tree").reply(rows).logits
    spoilt = [("questions see one another", _mingled), ("hidden image", _blinkered)]
    if any(r.both == "image" for r in adapter.reach.values()):
        spoilt.append(("causal image", _one_way))
    if _binds(adapter, rows):
        spoilt.append(("no window", _boundless))
    for name, spoil in spoilt:
        with _spoilt(spoil):
            wrong = Packed(adapter, tokens=1 << 20, route="tree").reply(rows).logits
        apart = float(np.abs(right - wrong).max())
        assert apart > 10 * TOLERANCE, f"{name}: logits moved by {apart:.1e} only"


def wrong_replies_are_noticed(adapter: Adapter, case: Case) -> None:
    """Replies that see too much, too little or one another's words are refused or other replies."""
    rows, packed = case.rows(adapter), Packed(adapter, tokens=1 << 20, route="tree")
    spoilt = [("seeing all replies", _gossiping), ("forgetting their own", _forgetful)]
    spoilt.append(("seeing their neighbours' instead of their own", _crossed))
    with _ending_at(adapter, ()):
        right = packed.reply(rows, TOKENS).generated
        for name, spoil in spoilt:
            with _spoilt_replies(spoil):
                try:
                    wrong = packed.reply(rows, TOKENS).generated
                except ModelError:  # layers that see too many or too few tokens are refused
                    continue
            apart = max(
                np.abs(a.logprob - b.logprob).max() for a, b in zip(right, wrong, strict=True)
            )
            assert apart > 10 * TOLERANCE, f"replies {name}: they moved by {apart:.1e} only"


def pruning_shows(adapter: Adapter, case: Case) -> None:
    """Keeping other tokens must change answers, else equality proves nothing."""
    others = [len(s.layout) - 1 - k[::-1] for s, k in zip(case.encoded, case.kept, strict=True)]
    moved = Case(case.pictures, case.encoded, others, case.questions, case.positions)
    a, b = (Packed(adapter, tokens=1 << 20).reply(c.rows(adapter)).logits for c in (case, moved))
    assert np.abs(a - b).max() > 100 * TOLERANCE, "the model does not look at the image"


def _binds(adapter: Adapter, rows: Sequence[ImageRequest]) -> bool:
    """Some question has a token that a window hides from it."""
    prefix = len(adapter.prompt("?").prefix)
    longest = max(
        prefix + r.positions.shape[1] + len(suffix) for r in rows for suffix in r.suffixes
    )
    return any(r.window is not None and r.window < longest for r in adapter.reach.values())


Asked = tuple[Pack, Mapping[str, Reach]]


def _one_way(pack: Pack, reach: Mapping[str, Reach]) -> Asked:
    return pack, {kind: replace(r, both="none") for kind, r in reach.items()}


def _boundless(pack: Pack, reach: Mapping[str, Reach]) -> Asked:
    return pack, {kind: replace(r, window=None) for kind, r in reach.items()}


def _mingled(pack: Pack, reach: Mapping[str, Reach]) -> Asked:
    end = np.where(np.arange(pack.end.shape[1]) < pack.length[:, None], pack.length[:, None], 0)
    return replace(pack, end=end), reach


def _blinkered(pack: Pack, reach: Mapping[str, Reach]) -> Asked:
    own = np.tile(np.arange(1, pack.end.shape[1] + 1), (len(pack.end), 1))
    half = pack.visual & (own % 2 == 0)
    return replace(pack, end=np.where(half, own, pack.end)), reach


Seen3 = NDArray[np.bool_]
"""(b, s, c): which columns each reply sees, or only which words of replies."""


def _gossiping(words: Seen3) -> Seen3:
    return np.broadcast_to(words.any(axis=1, keepdims=True), words.shape)


def _forgetful(words: Seen3) -> Seen3:
    return np.zeros_like(words)


def _crossed(words: Seen3) -> Seen3:
    """As many tokens as before, so that only what is said can tell."""
    return np.roll(words, 1, axis=1)


@contextmanager
def _spoilt_replies(spoil: Callable[[Seen3], Seen3]) -> Iterator[None]:
    """Which words of replies each reply sees is spoilt; what was asked is seen as it should be."""
    honest, starts = masks.masks_of, list[int]()

    def spoilt(
        pack: Pack, past: Past, reach: Mapping[str, Reach], device: str
    ) -> Tensor | dict[str, Tensor]:
        if past.seen.ndim == 3:
            starts.append(past.seen.shape[2])  # nothing is said yet when this is first seen
            asked, words = np.split(past.seen, [starts[0]], axis=2)
            past = replace(past, seen=np.concatenate([asked, spoil(words)], axis=2))
        return honest(pack, past, reach, device)

    masks.masks_of = spoilt
    try:
        yield
    finally:
        masks.masks_of = honest


@contextmanager
def _ending_at(adapter: Adapter, ends: Collection[int]) -> Iterator[None]:
    honest, adapter.ends = adapter.ends, frozenset(ends)
    try:
        yield
    finally:
        adapter.ends = honest


@contextmanager
def _spoilt(spoil: Callable[[Pack, Mapping[str, Reach]], Asked]) -> Iterator[None]:
    """Masks are built from a spoilt pack or reach, everything else from the right one."""
    honest = masks.masks_of

    def spoilt(
        pack: Pack, past: Past, reach: Mapping[str, Reach], device: str
    ) -> Tensor | dict[str, Tensor]:
        pack, reach = spoil(pack, reach)
        return honest(pack, past, reach, device)

    masks.masks_of = spoilt
    try:
        yield
    finally:
        masks.masks_of = honest


def _some(rng: np.random.Generator, encoded: EncodedImage, share: float) -> NDArray[np.int64]:
    candidates = np.flatnonzero(~encoded.layout.separator)
    taken = rng.permutation(candidates)[: max(1, int(share * len(candidates)))]
    return np.sort(np.concatenate([taken, np.flatnonzero(encoded.layout.separator)]))


def _shares(n: int) -> list[float]:
    """Different for each image, so that batches are padded."""
    return [0.1 + 0.25 * i / max(1, n - 1) for i in range(n)]


def _apart(a: NDArray[np.floating], b: NDArray[np.floating], what: str) -> float:
    apart = float(np.abs(a - b).max())
    assert apart <= TOLERANCE, f"{what}: logits differ by {apart:.1e}"
    return apart
