"""Pruning inside the language model: tokens leave between its layers, a choice per question.

``stages`` says what a selector of this kind promises, ``decoder`` calls the model's own layers one
by one and recomputes attention rows, ``scores`` makes scores of the rows and picks, ``recycle``
merges what was dropped, ``layout`` moves questions from packs to sequences of their own, ``reply``
is the fast route and ``oracle`` two slow ones that share nothing with it. See docs/decisions/0014.
"""

from calprune.collect.in_model.stages import Inside, Stage, inside, positions_of

__all__ = ["Inside", "Stage", "inside", "positions_of"]
