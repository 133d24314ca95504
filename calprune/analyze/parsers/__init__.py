"""Parsers. One file here is one script's rule; its name is the file's, with dashes.

Other packages add theirs by entry points of the group ``calprune.parsers``. What a parser is, says
``calprune.analyze.parser``.
"""

from calprune.analyze.parser import Parser, option_texts

__all__ = ["Parser", "option_texts"]
