"""Definitions of confidence. One file here is one; its name is the file's, with dashes.

Other packages add theirs by entry points of the group ``calprune.confidence``. The two shapes are
in ``calprune.analyze.confidence_definition``; a dataclass's fields are parameters, as in
``name:parameter=value``. With g the joined logits of a row's n answers, p their softmax and Z the
log-sum-exp over the vocabulary, and l_1 .. l_T the log-probabilities of a reply's tokens:

================  ==========================  =============
answer-set        max p                       probabilities
raw               exp(max g - Z)              confidence
margin            p_1 - p_2, largest first    score
entropy           1 - H(p) / log n            score
logit-gap         g_1 - g_2, largest first    score
product           exp(sum l)                  probabilities
mean-logprob      exp(mean l)                 probabilities
minimum           exp(min l)                  probabilities
first-token       exp(l_1)                    probabilities
================  ==========================  =============

For two answers all of the first five but ``raw`` are increasing functions of each other.
"""

from calprune.analyze.confidence_definition import (
    AnswerConfidence,
    Answers,
    ReplyConfidence,
    ReplyTokens,
    Scale,
)

__all__ = ["AnswerConfidence", "Answers", "ReplyConfidence", "ReplyTokens", "Scale"]
