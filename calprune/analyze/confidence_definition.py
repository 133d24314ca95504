"""What a definition of confidence is: one number for what the model answered, from its logits.

There are two shapes. One reads the answers that a question lets choose from, the other the tokens
of a generated reply. A file may hold both kinds of question, so each is read by one of each:
``auto`` takes the two defaults, and a definition of replies leaves questions with answers to choose
from to the default of answers. One of answers reads no reply: rows without answers are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from calprune import registry
from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.errors import PlanError

AUTO = "auto"
OF_ANSWERS, OF_REPLIES = "answer-set", "product"
"""What ``auto`` is: the definition of answers, and that of replies."""

Scale = Literal["probabilities", "confidence", "score", "correct"]
"""What may be read as a probability: those of all answers, that of the prediction alone, or none
(a score, of which only the order means something; or nothing but what is correct, as where the log
of another program states no probabilities)."""
_SCALES: tuple[Scale, ...] = ("probabilities", "confidence", "score")


@dataclass(frozen=True)
class Answers:
    """``n`` questions with at most ``a`` answers to choose from.

    Attributes:
        log_probabilities: float64 (n, a), log-softmax over the answers that count, natural log;
            -inf for the others. Differences within a row are differences of logits.
        offered: bool (n, a), which answers count.
        mass: float64 (n,) in [0, 1], the probability of all of them together within the vocabulary.
        where: file and condition, for messages.
    """

    log_probabilities: Floats
    offered: Bools
    mass: Floats
    where: str

    @property
    def probabilities(self) -> Floats:
        """Softmax over the answers that count, (n, a)."""
        return np.exp(self.log_probabilities)


@dataclass(frozen=True)
class ReplyTokens:
    """The tokens of ``n`` generated replies, one reply after another.

    Attributes:
        log_probabilities: float64 (tokens,), natural log, of each token that the model chose. The
            end token is no part of an answer and left out, unless a reply is nothing else.
        start: intp (n,), where each reply begins.
        length: intp (n,), its tokens, at least 1.
        where: file and condition, for messages.
    """

    log_probabilities: Floats
    start: Indices
    length: Indices
    where: str


class ConfidenceDescription(Protocol):
    """What every definition says about itself.

    Attributes:
        title: what it is, in a few words.
        signature: its text in signatures; empty where naming the answers that count is enough.
    """

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def signature(self) -> str: ...  # noqa: D102


@runtime_checkable
class AnswerConfidence(ConfidenceDescription, Protocol):
    """Confidence in the likeliest of the answers to choose from.

    Attributes:
        scale: see ``Scale``; metrics that read more are refused.
    """

    @property
    def scale(self) -> Scale: ...  # noqa: D102

    def confidence(self, answers: Answers) -> Floats:
        """Of the likeliest answer of each question, float64 (n,).

        In [0, 1] unless ``scale`` is ``score``. PlanError or Mismatch where it is not defined.
        """
        ...


@runtime_checkable
class ReplyConfidence(ConfidenceDescription, Protocol):
    """Confidence in a generated reply: a probability, that of any other being the rest."""

    def log_confidence(self, replies: ReplyTokens) -> Floats:
        """Natural log of the confidence in each reply, float64 (n,), at most 0."""
        ...


class Definitions(NamedTuple):
    """By what the two kinds of question are read; ``replies`` is None if no reply is."""

    answers: AnswerConfidence
    replies: ReplyConfidence | None


def resolve(confidence: str) -> Definitions:
    """``auto``, or a definition by name, with parameters as in ``name:parameter=value``.

    PlanError for an unknown one (naming the nearest), parameters that do not fit, and an unfit
    plug-in.
    """
    if confidence == AUTO:
        return Definitions(_made(OF_ANSWERS), _made(OF_REPLIES))
    name, known = confidence.split(":")[0], registry.names("confidence")
    if name not in known:
        raise PlanError(registry.unknown("confidence", name, [AUTO, *known]))
    found = _made(confidence)
    if isinstance(found, ReplyConfidence):
        return Definitions(_made(OF_ANSWERS), found)
    if not isinstance(found, AnswerConfidence) or found.scale not in _SCALES:
        raise PlanError(
            f"confidence {confidence!r} has neither scale and confidence nor log_confidence: see "
            "calprune.analyze.confidence for the two shapes"
        )
    return Definitions(found, None)


def _made(text: str) -> Any:
    return registry.make("confidence", text)


def reads_replies(confidence: str) -> bool:
    """Whether this definition, or ``auto``, reads generated replies."""
    return resolve(confidence).replies is not None


def of_answers() -> list[str]:
    """All definitions of answers by name, those first that say most; the default leads."""
    found = {name: resolve(name) for name in registry.names("confidence")}
    named = [name for name, pair in found.items() if pair.replies is None]
    return sorted(named, key=lambda x: (x != OF_ANSWERS, _SCALES.index(found[x].answers.scale), x))
