"""What MM-Vet's judge is asked, and how its answer is read.

Prompt, examples and procedure are those of yuweihao/MM-Vet, mm-vet_evaluator.py; ``mm_vet.txt``
holds the prompt as it stands there, since equal scores need equal examples. Differences: it asks
for three tokens, which other tokenizers than GPT-4's may cut within a number, so here there are
more, of which the first word counts as there; it takes NaN for a score; and it gives 0 to a reply
that the judge has not put into a number five times, where here that is an error.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

JUDGE = "gpt-4-0613"
"""The judge of MM-Vet's published scores."""

MOST_TOKENS = 8
TEMPERATURES = (0.0, 0.0, 0.5, 1.0, 1.5)
"""Of the first attempt and of those after it, which say again what is wanted."""

PROMPT = (files("calprune.judge") / "mm_vet.txt").read_text("utf-8")
AGAIN = "\nPredict the correctness of the answer (digit): "
VERSION = f"mm-vet-{hashlib.sha256((PROMPT + AGAIN).encode()).hexdigest()[:8]}"
"""Changes with every letter of the prompt."""


def asked(question: str, reference: str, reply: str, again: bool = False) -> str:
    """The whole text that a judge gets for one reply."""
    spaced = reference.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    row = " | ".join((question, spaced, reply, ""))
    return f"{PROMPT}\n{row}{AGAIN if again else ''}"


def reference_of(references: tuple[str, ...]) -> str:
    """Several references as one, in MM-Vet's own words: any of them makes a reply right."""
    return "<OR>".join(references)


def score_of(content: str) -> float | None:
    """The score 0.0..1.0 that an answer begins with; None if it begins with none."""
    words = content.split(maxsplit=1)
    try:
        score = float(words[0]) if words else None
    except ValueError:
        return None
    return score if score is not None and 0.0 <= score <= 1.0 else None
