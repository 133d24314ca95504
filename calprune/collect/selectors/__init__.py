"""Selectors: which visual tokens to keep. One file each.

A plug-in file exports one frozen dataclass. Its fields are its parameters (``--select
scope:alpha=0,0.5``); a field called ``seed`` is a draw, not a parameter. Its contract stands in
``collect/selector``, ``collect/visual_tokens`` and ``collect/pruning_stages``; plug-ins find all of
it here.
"""

from __future__ import annotations

from calprune.collect.pruning_stages import InModelSelector, Positions, Stage
from calprune.collect.selector import Merges, Picks, Ranks, Selector, SelectorInfo
from calprune.collect.visual_tokens import (
    CLS,
    Merged,
    Ranking,
    VisualTokens,
    as_ranking,
    by_score,
    in_order,
)

__all__ = [
    "CLS",
    "InModelSelector",
    "Merged",
    "Merges",
    "Picks",
    "Positions",
    "Ranking",
    "Ranks",
    "Selector",
    "SelectorInfo",
    "Stage",
    "VisualTokens",
    "as_ranking",
    "by_score",
    "in_order",
]
