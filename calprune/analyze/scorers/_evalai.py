"""Answers as EvalAI compares them: ``EvalAIAnswerProcessor`` of facebookresearch/mmf.

LLaVA's llava/eval/m4c_evaluator.py holds the same rules. Equal scores need equal behaviour, so two
slips of the original are kept. Its look-behind for "a digit before the full stop" is misspelt and
always holds: a full stop goes unless a digit follows it. And the number of a regular expression's
flag stands where the count of replacements belongs: only the first 32 full stops go.

Left out is what cannot happen there: contractions with a capital letter, and rules about commas,
which are gone by then.
"""

from __future__ import annotations

import re

__all__ = ["normalised"]

_ARTICLES = frozenset(("a", "an", "the"))
_DIGITS = {
    "none": "0",
    **{
        word: str(number)
        for number, word in enumerate(
            ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
        )
    },
}
_MARKS = ';/[]"{}()=+\\_-><@`!'
_FULL_STOP = re.compile(r"\.(?!\d)")
_MOST_FULL_STOPS = int(re.UNICODE)

# contractions that are recognised when their one apostrophe is missing
_ONE = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd
how'll how's isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock
oughtn't shan't should've shouldn't somebody'll somebody's someone'd someone'll someone's
something'd something'll that's there'd there're there's they'd they'll they're they've 'twas wasn't
we've weren't what'll what're what's what've when's where'd where's where've who'd who'll who's
who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
"""
# those that are recognised when one of their two apostrophes is missing, and not without both
_TWO = """
couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've
something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'll you'd've
"""
_ODD = {
    "ow's'at": "'ow's'at",
    "'ows'at": "'ow's'at",
    "'ow'sat": "'ow's'at",
    "somebody'd": "somebodyd",
    "yall'd've": "y'all'd've",
    "y'alld've": "y'all'd've",
    "y'all'dve": "y'all'd've",
}


def _contractions() -> dict[str, str]:
    found = dict(_ODD)
    for word in _ONE.split():
        found[word.replace("'", "")] = word
    for word in _TWO.split():
        first, second, third = word.split("'")
        found[f"{first}{second}'{third}"] = found[f"{first}'{second}{third}"] = word
    return found


CONTRACTIONS = _contractions()
"""Misspelt contractions, and how they are spelt."""


def normalised(text: str) -> str:
    """An answer in the form in which answers are compared; may be empty."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = text.replace("\n", " ").replace("\t", " ")
    words = (_DIGITS.get(word, word) for word in _without_marks(text).split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _without_marks(text: str) -> str:
    """A mark beside a blank anywhere in the text goes everywhere; others become blanks."""
    left = text
    for mark in _MARKS:
        beside = f"{mark} " in text or f" {mark}" in text
        left = left.replace(mark, "" if beside else " ")
    return _FULL_STOP.sub("", left, count=_MOST_FULL_STOPS)
