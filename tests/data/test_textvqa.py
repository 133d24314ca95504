from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from calprune.data.benchmarks.textvqa import QUESTIONS, TOKENS
from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import textvqa

BOTH = ("textvqa", "textvqa-no-ocr")


def content(q: Questions) -> set[tuple[object, ...]]:
    """All that has to be the same in both layouts."""
    digests = dict(zip(q.images, q.digests, strict=True))
    return {(e.id, digests[e.image], e.prompt, e.references) for e in q.examples}


def changed(folder: Path, name: str, **fields: Any) -> Path:
    """The official files with other fields in the first entry of a file."""
    path = textvqa.official(folder) / name
    everything = json.loads(path.read_text())
    everything["data"][0] |= fields
    path.write_text(json.dumps(everything))
    return folder


@pytest.mark.parametrize("name", BOTH)
def test_both_layouts_hold_the_same(tmp_path: Path, name: str) -> None:
    official = open_questions(name, textvqa.official(tmp_path / "official"))
    parquet = open_questions(name, textvqa.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)
    assert (len(official.examples), len(official.images)) == (4, 3)
    assert official.source.answers == parquet.source.answers == ()
    assert (official.source.layout, parquet.source.layout) == ("official", "parquet")


def test_one_question_word_for_word(tmp_path: Path) -> None:
    q = open_questions("textvqa", textvqa.official(tmp_path))
    first = q.examples[0]
    assert first.id == "34602"
    assert first.prompt == (
        "What is the brand of this camera?\nReference OCR token: DANTE, Löwe,, 5 pm\n"
        "Answer the question using a single word or phrase."
    )
    assert first.references == ("dante",) * 9 + ("Löwe",)
    assert (first.label, first.offered) == (-1, ())
    assert q.reply_tokens(first) == 16
    assert q.source.scorer == "vqa"


@pytest.mark.parametrize("layout", [textvqa.official, textvqa.parquet])
def test_without_tokens_the_line_ends_after_the_blank(tmp_path: Path, layout: Any) -> None:
    q = open_questions("textvqa", layout(tmp_path))
    (e,) = [e for e in q.examples if e.id == "34603"]
    assert e.prompt == (
        "What does the small white text spell? \nReference OCR token: \n"
        "Answer the question using a single word or phrase."
    )
    assert e.references == ("nan", "") * 5  # a person's answer may be any text


def test_all_but_the_first_letter_is_small_as_in_the_published_prompts(tmp_path: Path) -> None:
    q = open_questions("textvqa", changed(tmp_path, QUESTIONS, question="what is IBM?"))
    assert q.examples[0].prompt.startswith("What is ibm?\n")


def test_without_ocr_it_is_another_benchmark(tmp_path: Path) -> None:
    textvqa.official(tmp_path)
    with_tokens = open_questions("textvqa", tmp_path)
    (tmp_path / TOKENS).unlink()
    q = open_questions("textvqa-no-ocr", tmp_path)
    assert q.examples[0].prompt == (
        "What is the brand of this camera?\nAnswer the question using a single word or phrase."
    )
    assert [e.id for e in q.examples] == [e.id for e in with_tokens.examples]
    assert (q.name, q.digest != with_tokens.digest) == ("textvqa-no-ocr", True)


def test_images_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("textvqa", textvqa.parquet(tmp_path / "parquet"))
    files = open_questions("textvqa", textvqa.official(tmp_path / "official")).source
    for image in (*q.images, *reversed(q.images), *q.images):
        path = files.picture(image)
        assert q.source.picture(image).content == path.read_bytes()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"answers": []}, "answers: 0 answers, 10 expected: are these the test rows"),
        ({"answers": "dante"}, "answers: list of text expected"),
        ({"question": ""}, "question: empty"),
        ({"question_id": None}, "question_id: empty"),
        ({"question_id": 34603}, r"id '34603' is already that of .*entry 1"),
        ({"image_id": "../../etc/passwd"}, "image_id: .*leaves the folder"),
        ({"image_id": "ffff"}, rf"image_id: 'ffff' is not in .*{TOKENS}; fetch it again"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=rf"{QUESTIONS}, entry \d.*{message}"):
        open_questions("textvqa", changed(tmp_path, QUESTIONS, **fields))


def test_bad_tokens_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=rf"{TOKENS}, entry 1: ocr_tokens: list of text"):
        open_questions("textvqa", changed(tmp_path / "a", TOKENS, ocr_tokens=None))
    path = textvqa.official(tmp_path / "b") / TOKENS
    path.write_text("[]")
    with pytest.raises(BenchmarkError, match=rf"{TOKENS}: no list 'data' in it: .*another"):
        open_questions("textvqa", tmp_path / "b")


@pytest.mark.parametrize("name", BOTH)
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    textvqa.official(tmp_path)
    (tmp_path / QUESTIONS).unlink()
    ways = rf"lacks {QUESTIONS}\).*calprune data fetch {name}' .*lmms-lab/textvqa"
    with pytest.raises(BenchmarkError, match=ways):
        open_questions(name, tmp_path)


def test_a_missing_image_is_left_out_and_named(tmp_path: Path) -> None:
    textvqa.official(tmp_path)
    (tmp_path / "train_images" / "f441f29812b385ad.jpg").unlink()
    q = open_questions("textvqa", tmp_path)
    assert len(q.images) == 2
    assert "f441f29812b385ad.jpg" in q.left_out[0]


def test_a_table_without_tokens_is_named(tmp_path: Path) -> None:
    """As the one of facebook/textvqa, which does for the benchmark without them."""
    import pyarrow.parquet as pq

    textvqa.parquet(tmp_path)
    for path in (tmp_path / "data").glob("validation-*"):
        pq.write_table(pq.read_table(path).drop_columns("ocr_tokens"), path)
    with pytest.raises(BenchmarkError, match=r"validation-00000.*column ocr_tokens"):
        open_questions("textvqa", tmp_path)
    assert len(open_questions("textvqa-no-ocr", tmp_path).examples) == 4
