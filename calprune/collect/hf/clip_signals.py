"""Signals of a CLIP tower and a question: of which blocks each is made, and how.

Where methods read a block by its number, such as HiPrune, it is that of 24 blocks; other towers
give the block at the same share of their depth.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from calprune import registry
from calprune.collect.hf.checkpoint import DTYPES
from calprune.collect.hf.clip import ClipTower, Kind, Wanted, look, to_numpy
from calprune.collect.signals import SIGNALS, Signals, of_question
from calprune.data.benchmark import Picture
from calprune.data.pictures import open_picture
from calprune.data.sources.labels import OPTION_LETTER, SHORT_ANSWER
from calprune.errors import PlanError

_INSTRUCTIONS = {SHORT_ANSWER.strip(), OPTION_LETTER.strip()}


@dataclass(frozen=True)
class _OfImage:
    """One signal of an image.

    Attributes:
        mark: what it is, as in ``Adapter.measures``, with the first and the last block read.
        kind: what is read of the blocks.
        blocks: which they are, given the layer that features come from and the tower's depth.
        make: the signal (crops, ...) of what was read of the crops, one tensor a block.
    """

    mark: str
    kind: Kind
    blocks: Callable[[int, int], Sequence[int]]
    make: Callable[[ClipTower, Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class _OfQuestion:
    """One signal of questions: what it is, and its rows (r, width) for each of some texts."""

    mark: str
    make: Callable[[ClipTower, Sequence[str]], Sequence[Tensor]]


def _same(layer: int, depth: int) -> Sequence[int]:
    return (layer,)


def _early(layer: int, depth: int) -> Sequence[int]:
    return (depth // 3 - depth,)  # block 8 of 24, counted from 0


def _last_three(layer: int, depth: int) -> Sequence[int]:
    return range(max(layer - 2, -depth), layer + 1)


def _column(tower: ClipTower, read: Sequence[Tensor]) -> Tensor:
    return read[0][..., None]


def _mean_of_heads(tower: ClipTower, read: Sequence[Tensor]) -> Tensor:
    heads: int = tower.vision.num_attention_heads
    return torch.stack(list(read)).sum(0)[..., None] / heads


def _joint(tower: ClipTower, read: Sequence[Tensor]) -> Tensor:
    assert tower.clip is not None
    found = tower.clip.joint(read[0][:, 1:], tower.tower.post_layernorm)
    return found.to(read[0].dtype)


def _words(tower: ClipTower, texts: Sequence[str]) -> Sequence[Tensor]:
    found = [tower.words(text) for text in texts]
    for text, rows in zip(texts, found, strict=True):
        if not len(rows):
            raise PlanError(f"{tower.name}: no token of its vocabulary in the question {text!r}")
    return found


def _segments(tower: ClipTower, texts: Sequence[str]) -> Sequence[Tensor]:
    assert tower.clip is not None
    return tower.clip.phrase(texts) if texts else ()


_OF_IMAGE = {
    "keys": _OfImage("keys@{last}:mean", "keys", _same, lambda _, read: read[0]),
    "cls-last3": _OfImage("cls@{first}..{last}:mean", "cls", _last_three, _mean_of_heads),
    "received-early": _OfImage("received@{last}:mean", "received", _early, _column),
    "received": _OfImage("received@{last}:mean", "received", _same, _column),
    "projected": _OfImage(
        "projected@{last}", "states", _same, lambda tower, read: tower.project(read[0][:, 1:])
    ),
    "cls-token": _OfImage("cls-token@{last}", "states", _same, lambda _, read: read[0][:, 0]),
    "joint": _OfImage("joint@{last}/{clip}", "states", _same, _joint),
}
_OF_QUESTION = {
    "text-words": _OfQuestion("words", _words),
    "text-clip": _OfQuestion("segments/{clip}", _segments),
}


def own_words(question: str) -> str:
    """A question without the lines that say in which form to answer; itself if only they are."""
    lines = [line for line in question.split("\n") if line.strip() not in _INSTRUCTIONS]
    return "\n".join(lines) if any(line.strip() for line in lines) else question


class ClipSignals:
    """What a model with a CLIP tower measures of images and questions, beside its features."""

    def __init__(self, tower: ClipTower) -> None:
        self.tower = tower
        depth = tower.vision.num_hidden_layers
        self._reads: dict[str, list[Wanted]] = {
            name: [(made.kind, block) for block in made.blocks(tower.layer, depth)]
            for name, made in _OF_IMAGE.items()
        }

    def described(self) -> dict[str, str]:
        """Signals and what they are, as in ``Adapter.measures``; some need a CLIP model."""
        clip = self.tower.clip
        marks = {name: made.mark for name, made in _OF_IMAGE.items()}
        marks |= {name: made.mark for name, made in _OF_QUESTION.items()}
        found = {}
        for name, mark in marks.items():
            blocks = [block for _, block in self._reads.get(name, [])] or [0]
            if clip is not None or "{clip}" not in mark:
                own = clip.mark if clip is not None else ""
                found[name] = mark.format(first=blocks[0], last=blocks[-1], clip=own)
        return found

    @torch.inference_mode()
    def measure(self, images: Sequence[Picture], names: Collection[str]) -> list[Signals]:
        """See ``Adapter.measure``."""
        self._check(names)
        if not (images and names):
            return [{} for _ in images]
        tower, opened = self.tower, [open_picture(i) for i in images]
        crops = [tower.crops(i) for i in opened]
        wanted = {want for name in names for want in self._reads[name]}
        pixels = torch.cat(crops).to(tower.device, DTYPES[tower.dtype])
        seen, found, first = look(tower.tower, pixels, wanted), [], 0
        for image, part in zip(opened, crops, strict=True):
            own = {want: rows[first : first + len(part)] for want, rows in seen.items()}
            size, first = (image.height, image.width), first + len(part)
            signals: Signals = {}
            for name in names:
                rows = _OF_IMAGE[name].make(tower, [own[w] for w in self._reads[name]])
                if SIGNALS[name].rows == "tokens":
                    rows = tower.laid_out(name, rows, size)
                signals[name] = to_numpy(rows)
            found.append(signals)
        return found

    @torch.inference_mode()
    def phrase(self, questions: Sequence[str], names: Collection[str]) -> list[Signals]:
        """See ``Adapter.phrase``."""
        self._check(names)
        own = [own_words(q) for q in questions]
        found: list[Signals] = [{} for _ in questions]
        for name in filter(of_question, names):
            for signals, rows in zip(found, _OF_QUESTION[name].make(self.tower, own), strict=True):
                signals[name] = to_numpy(rows)
        return found

    def _check(self, names: Collection[str]) -> None:
        known = sorted(self.described())
        for name in names:
            if name not in known:
                raise PlanError(f"{self.tower.name}: {registry.unknown('signal', name, known)}")
