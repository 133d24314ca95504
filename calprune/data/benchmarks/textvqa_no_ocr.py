"""``textvqa-no-ocr``: TextVQA, validation, without OCR tokens in the prompt.

The same questions as ``textvqa``, but the model has to read by itself, and scores are lower;
numbers with and without the tokens cannot be compared.
"""

from __future__ import annotations

from typing import ClassVar

from calprune.data.benchmarks.textvqa import IMAGES, QUESTIONS, TextVqa

__all__ = ["TextVqaNoOcr"]


class TextVqaNoOcr(TextVqa):
    """5,000 questions about text in 3,166 images, each answered by ten people."""

    title = "TextVQA validation without OCR tokens: the model reads by itself"
    name = "textvqa-no-ocr"
    layout = f"{QUESTIONS} and the images in a sub-folder {IMAGES}/"
    marks: ClassVar[tuple[str, ...]] = (QUESTIONS, IMAGES)
    ocr: ClassVar[bool] = False
