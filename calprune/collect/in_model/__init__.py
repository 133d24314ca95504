"""Pruning inside the language model: tokens leave between its layers, a choice per question.

What a selector of this kind promises is said in ``collect/pruning_stages``. ``decoder`` calls the
model's own layers one by one and recomputes attention rows, ``scores`` makes scores of the rows and
picks, ``token_merging`` merges what was dropped, ``layout`` moves questions from packs to sequences
of their own, ``run`` is the fast route and ``reference`` holds two slow ones that share nothing
with it. ``compatibility`` says what fits before weights are read. See docs/decisions/0014.
"""
