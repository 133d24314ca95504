"""Scorers. One file here is one; its name is the file's, with dashes.

Other packages add theirs by entry points of the group ``calprune.scorers``. What a scorer is, says
``calprune.analyze.scorer``; what it may be made of stands here too.
"""

from calprune.analyze.predictions.correctness import first_token_answers, parsed_answers
from calprune.analyze.scorer import MeanOfRows, Scorer

__all__ = ["MeanOfRows", "Scorer", "first_token_answers", "parsed_answers"]
