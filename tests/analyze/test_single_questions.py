"""Single questions of a page: which are chosen, what was kept of them, and what a script reads."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.html_report.page import page
from calprune.analyze.html_report.question_pages import QuestionChoice, QuestionPage, question_pages
from calprune.analyze.html_report.sections.questions import _chosen, questions
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results import single_questions as module
from calprune.analyze.results.single_questions import SingleQuestions, single_questions
from calprune.analyze.study import Study
from calprune.data.questions import find_benchmark
from calprune.data.storage.container import unpack
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.store import Store
from tests.analyze.calls import collect_data
from tests.analyze.conftest import make_condition, make_study_tables, make_table

ATTACK = "</script><script>window.hurt = 1</script>\u202e"


def chosen(
    tables: Sequence[LogitTable],
    each: int | None,
    against: str = "full",
    options: AnalysisOptions = DEFAULTS,
) -> SingleQuestions:
    (found,) = experiments(tables, each_seed=True)
    return single_questions(found, against, each, options, {})


@pytest.fixture(scope="module")
def sample() -> list[LogitTable]:
    return [
        table
        for table in Store(SAMPLE).tables()
        if table.condition.selector in ("full", "fastv")
        or (table.condition.selector, table.condition.budget.value) == ("scope", 64)
    ]


def content(made: str) -> Any:
    (found,) = re.findall(r'<script type="application/json">(.*?)</script>', made, re.S)
    return json.loads(found)


def pages(tables: Sequence[LogitTable], **choice: Any) -> tuple[QuestionPage, ...]:
    return question_pages(
        experiments(tables, each_seed=True), "full", QuestionChoice(**choice), DEFAULTS
    )


def test_of_each_run_the_most_changed_are_there() -> None:
    tables = make_study_tables()
    found = chosen(tables, 7)
    rows = Study(tuple(tables)).rows()
    rows["lost"] = rows.label_probability_before - rows.label_probability
    rows["moved"] = rows.confidence_change.abs()
    rows["sure"] = rows.confidence.where(rows.correct < 0.5)
    for _, own in rows.groupby("key"):
        for measure in ("lost", "moved", "sure"):
            first = own.dropna(subset=measure).nlargest(7, measure)
            assert set(first.id) <= set(found.id)
    assert len(found.id) < found.asked == len(set(rows.id))
    assert found.drawn == module.RANDOM
    assert len(set(found.id)) == len(found.id)


def test_numbers_are_those_of_rows() -> None:
    tables = make_study_tables()
    found = chosen(tables, 3)
    rows = Study(tuple(tables)).rows().set_index(["condition", "id"])
    for run in found.runs:
        own = rows.loc[run.condition.name].loc[list(found.id)]
        assert run.confidence.tolist() == own.confidence.tolist()
        assert run.correct.tolist() == own.correct.tolist()
        assert run.answer.tolist() == own.answer.tolist()
        told = [" | ".join(f"{p:.6f}" for p in one if p == p) for one in run.probabilities.tolist()]
        assert told == own.probabilities.tolist()
        assert {run.reference} == set(own.reference)


def test_what_is_asked_again_stands_once_with_all_its_splits() -> None:
    tables = [make_table(make_condition()), make_table(make_condition("scope", 64), noise=1)]
    again = np.arange(len(tables[0]), dtype=np.int32)
    again[1] = again[2] = 0
    found = chosen([replace(t, duplicate_of=again) for t in tables], 10_000)
    assert (found.rows, found.asked, len(found.id)) == (240, 238, 238)
    assert found.splits[found.id.tolist().index("q00000")] == ("random", "popular", "adversarial")
    assert "q00001" not in found.id


def test_many_runs_get_fewer_questions_unless_a_number_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = make_study_tables()
    monkeypatch.setattr(module, "MOST_NUMBERS", 60 * len(tables) * 3)
    few = chosen(tables, None)
    assert 1 <= few.each < module.EACH
    assert len(few.id) - few.drawn <= 60
    assert chosen(tables, 100).each == 100
    monkeypatch.setattr(module, "MOST_NUMBERS", 10**9)
    assert chosen(tables, None).each == module.EACH


def test_without_a_reference_the_confident_errors_are_there() -> None:
    tables = [make_table(make_condition("scope", k), noise=k) for k in (64, 32)]
    found = chosen(tables, 5)
    assert [run.reference for run in found.runs] == ["", ""]
    wrong = Study(tuple(tables)).rows(confident_errors=True)
    for _, own in wrong.groupby("key"):
        assert set(own.nlargest(5, "confidence").id) <= set(found.id)
    for some, named in ((tables, False), (two(), True)):
        (only,) = pages(some, each=1, thumbnails=False)
        shown = _chosen(only)
        assert ("against full" in shown) == named


def test_kept_tokens_are_those_of_the_file(sample: list[LogitTable]) -> None:
    found = chosen(sample, 20)
    assert (found.side, found.square) == (24, "pad")
    asked: dict[str, list[str]] = {}
    prompts = {}
    for example in find_benchmark("shapes").open(None).examples:
        prompts[example.id] = example.prompt
        own = asked.setdefault(example.image, [])
        own += [example.prompt] * (example.prompt not in own)
    paths = {table.condition.key: table.path for table in sample}
    for run in found.runs:
        arrays = unpack(paths[run.condition.keys[0]], "calprune.logits").arrays
        names = arrays["image/id"].tolist()
        place = [-1] * len(names)
        place = arrays.get("image/question", np.array(place)).tolist()
        units = {(i.decode(), q): n for n, (i, q) in enumerate(zip(names, place, strict=True))}
        assert run.places is not None
        for name, image, at in zip(found.id, found.image, run.places.at, strict=True):
            unit = (image, asked[image].index(prompts[name]) if -1 not in place else -1)
            index = arrays["image/kept"][units[unit]]
            assert np.flatnonzero(run.places.kept[at]).tolist() == index[index >= 0].tolist()


def test_kept_tokens_have_room_for_the_most_changed_only(
    sample: list[LogitTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PLACES", 10 * len(sample) * 576)
    whole, (found,) = chosen(sample, 20), pages(sample, each=20)
    for run in whole.runs:
        assert run.places is not None
        there = run.places.at >= 0
        assert there[0]
        assert len(set(run.places.at[there])) == 10
    assert found.notes == (
        f"Kept tokens of the most changed questions only: "
        f"{', '.join(run.condition.title for run in whole.runs)}.",
    )


def test_without_the_file_or_a_square_of_tokens_nothing_is_marked(
    sample: list[LogitTable],
) -> None:
    lost = [replace(t, path=t.path.with_name("gone.h5")) for t in sample]
    assert all(run.places is None for run in chosen(lost, 5).runs)
    (made,) = pages(lost, each=5)
    assert not any("kept" in run for run in content(str(questions_of(made)))["runs"])
    assert chosen(make_study_tables(), 5).side == 0  # nobody knows how its pictures are cut


def questions_of(*made: QuestionPage) -> Any:
    return questions(replace(collect_data(make_study_tables(), draws=100), questions=made))


def test_the_script_reads_what_was_chosen(sample: list[LogitTable]) -> None:
    (one,) = pages(sample, each=20)
    told, data = one.questions, content(str(questions_of(one)))
    assert data["id"] == told.id.tolist()
    assert [data["images"][i] for i in data["image"]] == told.image.tolist()
    assert set(data["splits"]) == {"random", "popular", "adversarial"}
    for run, plain in zip(told.runs, data["runs"], strict=True):
        assert plain["name"] == run.condition.name
        sums = np.array(plain["p"]).reshape(-1, 2).sum(axis=1)
        assert np.abs(sums - 10_000).max() <= 1
        assert "confidence" not in plain  # it is the largest probability
        packed = [plain["kept"][i] for i in plain["at"]]
        for place, bits in zip(run.places.at if run.places else [], packed, strict=True):
            assert run.places is not None
            own = run.places.kept[place]
            if bits == "*":
                assert own.all()
            else:
                found = np.unpackbits(np.frombuffer(base64.b64decode(bits), np.uint8))
                assert found[:576].tolist() == own.tolist()
    assert all(source.startswith("data:image/jpeg;base64,") for source in data["pictures"])
    assert data["asked"] == ["--bench", "shapes", "--model", "shapes-llava"]


def test_pictures_are_left_out_where_nobody_asks_for_them(sample: list[LogitTable]) -> None:
    (none,) = pages(sample, each=5, thumbnails=False)
    assert none.thumbnails == {}
    assert none.notes == ("Pictures are left out; --thumbnails shows them.",)
    (some,) = pages(sample, each=5)
    assert some.notes == ()
    assert set(some.thumbnails) == set(some.questions.image)


def test_pictures_have_room_for_some_only(
    sample: list[LogitTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calprune.analyze.html_report.question_pages.MOST_BYTES", 40_000)
    (found,) = pages(sample, each=20)
    assert 0 < sum(map(len, found.thumbnails.values())) <= 40_000
    first = list(dict.fromkeys(found.questions.image))[: len(found.thumbnails)]
    assert list(found.thumbnails) == first  # of the most changed
    assert found.notes[0].startswith(f"Pictures of {len(first)} of ")


def test_a_benchmark_that_is_not_at_hand_is_told() -> None:
    tables = [replace(t, condition=replace(t.condition, benchmark="nowhere")) for t in two()]
    (found,) = pages(tables, each=5, thumbnails=True)
    assert found.thumbnails == {}
    assert found.notes[0].startswith("No texts of questions of nowhere")


def two() -> list[LogitTable]:
    return [make_table(make_condition()), make_table(make_condition("scope", 64), noise=1)]


def test_text_of_strangers_stays_text() -> None:
    bad = ATTACK
    tables = [
        replace(t, id=np.array([f"{i}{bad}" for i in range(len(t))]), answers=(bad, "no"))
        for t in two()
    ]
    data = collect_data(tables, draws=100, questions=QuestionChoice(each=5))
    made = page(data, figures=False)
    found = content(made)
    assert bad not in made
    assert "<" not in re.findall(r'json">(.*?)</script>', made, re.S)[0]
    assert found["answers"][0].startswith("</script>")
    assert "\u202e" not in json.dumps(found, ensure_ascii=False)


def test_a_page_without_them_has_neither_script_nor_section() -> None:
    data = collect_data(two(), draws=100, questions=QuestionChoice(each=0))
    assert data.questions == ()
    made = page(data, figures=False)
    assert 'id="questions"' not in made
    assert "application/json" not in made
