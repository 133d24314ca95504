"""What makes two files comparable, what joins them, and by which names they are found."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest

from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.experiments.pairing import dropped_sets, with_common_questions
from calprune.analyze.study import Study
from calprune.data.condition import Condition, ExperimentKey
from calprune.data.condition_names import name_of
from calprune.errors import PlanError
from tests.analyze.calls import analyze, compare
from tests.analyze.conftest import make_condition, make_table

# Of each field of an experiment, another value.
OTHER = {
    "benchmark": "pope", "model": "other", "benchmark_digest": "c" * 64, "model_digest": "n" * 64,
    "pixels": "CLIPImageProcessorPil/crop", "template": "u" * 64, "dtype": "float16", "reply": 8,
    "closed_reply": 4, "weights": "int4", "kv": "h2o:0.5", "answer_tokens": ((1,), (3,)),
}  # fmt: skip
# What conditions of one experiment differ in.
OWN = {"selector", "parameters", "revision", "budget", "seed", "positions", "features", "numerics"}


def at(**changed):
    """Full and one pruned condition."""
    cells = (make_condition(), make_condition("scope", 16))
    return [make_table(replace(c, **changed), noise=i) for i, c in enumerate(cells)]


def test_every_field_of_a_condition_is_its_experiments_or_its_own():
    named = {f.name for f in fields(Condition)}
    assert set(ExperimentKey._fields) | OWN == named
    assert OTHER.keys() == set(ExperimentKey._fields)


@pytest.mark.parametrize("name", OTHER)
def test_files_that_differ_in_one_field_are_not_compared(name):
    first, second = at(), at(**{name: OTHER[name]})
    found = experiments([*first, *second])
    assert len(found) == 2
    assert all([c.name for c in s.conditions] == ["full", "scope @16"] for s in found)
    assert len({(s.model, s.benchmark) for s in found}) == 2, "a reader must tell them apart"
    rows = compare([*first, *second], ["accuracy"], draws=0, permutations=9)
    assert len(rows) == 2
    joined = with_common_questions(found)
    assert len(joined) == (1 if name in ("benchmark_digest", "model") else 2)


def test_quantised_conditions_are_named_and_selected():
    tables = [*at(), *at(weights="int4"), *at(kv="h2o")]
    text = analyze(tables, metrics=["accuracy"], against="full", draws=20, permutations=9)
    assert "toy (weights int4, KV whole) on shapes" in text
    assert "toy (weights not quantised, KV h2o) on shapes" in text
    study = Study(tuple(tables))
    assert len(study.select(weights="int4")) == 2
    assert len(study.select(kv="none", weights="none")) == 2
    assert study.conditions()["weights"].fillna("").tolist() == ["", "", "int4", "int4", "", ""]
    with pytest.raises(PlanError, match="no condition has weights = 'int8'; there are: int4, none"):
        study.select(weights="int8")


# --- sets of questions ------------------------------------------------------------------------


def of_images(table, images, digest):
    """The same condition, asked of the first images only."""
    rows = np.arange(images * 6)
    condition = replace(table.condition, benchmark_digest=digest * 64)
    columns = {
        f.name: getattr(table, f.name)[rows]
        for f in fields(table)
        if isinstance(getattr(table, f.name), np.ndarray) and f.name != "answer_tokens"
    }
    path = table.path.with_name(f"{digest}-{table.path.name}")
    return replace(table, condition=condition, path=path, **columns)


def test_sets_that_common_drops_are_named(capsys):
    full, pruned = at()
    few = of_images(full, 20, "d")
    tables = [full, pruned, few]
    (line,) = dropped_sets(experiments(tables))
    assert line == (
        "toy on shapes: full covers several sets of questions; read is the largest, of 240; left "
        "out is that of 120: logits/d-full.h5"
    )
    analyze(tables, metrics=["accuracy"], common=True, draws=20)
    assert capsys.readouterr().err == f"calprune: {line}\n"
    Study(tuple(tables)).compare("accuracy", common=True, draws=0, permutations=9)
    assert line in capsys.readouterr().err


def test_questions_that_common_drops_are_counted(capsys):
    full, pruned = at()
    few = of_images(full, 20, "d")
    analyze([few, pruned], metrics=["accuracy"], common=True, draws=20)
    assert capsys.readouterr().err == (
        "calprune: toy on shapes: read are the 120 questions that all conditions hold; left out "
        f"are 120 of 240 of {name_of(pruned.condition)}\n"
    )
    analyze([full, pruned], metrics=["accuracy"], common=True, draws=20)
    assert capsys.readouterr().err == ""


def test_common_keeps_all_conditions_under_their_names():
    one = [make_table(make_condition("scope", 16, alpha=1.0, gap=g), noise=int(g)) for g in (1, 2)]
    other = [
        of_images(make_table(make_condition("scope", 16, alpha=0.5, gap=g), noise=5), 20, "d")
        for g in (1, 2)
    ]
    (joined,) = with_common_questions(experiments([*one, *other]))
    names = [c.name for c in joined.conditions]
    assert len(set(names)) == 4
    assert "scope:alpha=0.5:gap=1 @16" in names


def test_several_definitions_read_common_questions():
    full, pruned = at()
    tables = [of_images(full, 20, "d"), pruned]
    text = analyze(
        tables, metrics=["ece"], confidence="answer-set,raw", against="full", common=True,
        draws=20, permutations=9,
    )  # fmt: skip
    assert text.count("n:120|") == 2


# --- names ------------------------------------------------------------------------------------


def test_every_name_that_a_table_or_an_error_prints_selects(study_tables):
    study = Study(tuple(study_tables))
    for each_seed in (False, True):
        for cell in experiments(study_tables, each_seed)[0].conditions:
            assert study.select(condition=cell.name).tables == tuple(
                t for t in study_tables if any(t is own for own in cell.tables)
            )
    assert len(study.select(condition="random @32 (3 seeds)")) == 3
    assert len(study.select(condition=["full", "random @8 seed=1"])) == 2
    assert len(study.select(condition=study_tables[1].condition.key)) == 1
    for column in study.conditions().columns:
        with pytest.raises(PlanError, match=r"there are: |known: ") as caught:
            study.select(**{column: "nothing"})
        for name in re.split("there are: |known: ", str(caught.value))[1].split(", "):
            assert study.select(**{column: name}), (column, name)


def test_short_names_select_too():
    cells = [make_condition("scope", 16, alpha=a, gap=1.0) for a in (0.5, 1.0)]
    study = Study(tuple(make_table(c, noise=i) for i, c in enumerate(cells)))
    assert len(study.select(condition="scope:alpha=0.5 @16")) == 1
    assert len(study.select(condition="scope:alpha=0.5:gap=1 @16")) == 1


def test_a_column_that_is_none_is_refused(study_tables):
    with pytest.raises(PlanError, match=r"unknown column of conditions 'wieghts'.*weights"):
        Study(tuple(study_tables)).select(wieghts="int4")
