"""Overlap, ties and margins of selections: against sets taken by hand, and without a model."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from calprune.cli import app
from calprune.collect import run
from calprune.collect.grid import SelectorChoice
from calprune.collect.inspection.overlap import HALF, choice_of, compare, compare_selections
from calprune.collect.models import EncodedImage, TokenLayout
from calprune.collect.packed import reply
from calprune.collect.selectors import Merged, Ranking, VisualTokens, by_score
from calprune.collect.stages.planning import make_plan
from calprune.collect.stages.select import read_ranking
from calprune.commands.selections import rendered
from calprune.data.condition import Budget
from calprune.data.storage.blocks import SealedBlocks
from calprune.errors import PlanError

WANTED: dict[str, Any] = {
    "select": ["scope:alpha=0,1", "saliency", "random:seed=0"],
    "keep": "16,64",
}


@dataclass(frozen=True)
class ByQuestion:
    """The tokens on which a question's length falls, one after another."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset({"text-words"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def rank(self, tokens: VisualTokens) -> Ranking:
        first = len(tokens.signals["text-words"])
        return by_score(-np.abs(np.arange(len(tokens.separator)) - first + 0.25), ~tokens.separator)


@dataclass(frozen=True)
class Halves:
    """The first k tokens, each with a part of the next k."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        return Merged.of([{i: 1.0, i + k: 0.5, i + 2 * k: 0.0} for i in range(k)])


@dataclass(frozen=True)
class Level:
    """Every token is as good as any other."""

    title: ClassVar[str] = "made up"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def rank(self, tokens: VisualTokens) -> Ranking:
        return by_score(np.ones(len(tokens.separator)), ~tokens.separator)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("selections")


@pytest.fixture(autouse=True)
def _no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The language model is not to be asked."""

    def refuse(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(reply.Packed, "reply", refuse)


def plan_of(store: Path, model: Path, *chosen: SelectorChoice) -> Any:
    plan = run.prepare("shapes", store=store, model=str(model), images=3, **WANTED)
    return make_plan(plan.store, plan.questions, plan.packed, chosen)


def test_overlap_is_that_of_the_sets(store: Path, tiny_llava: Path) -> None:
    found = compare_selections("shapes", store=store, model=str(tiny_llava), images=34, **WANTED)
    assert len(found.pairs) == 2 * 6
    assert len(found.details) == 34 * len(found.pairs)
    plan = run.prepare("shapes", store=store, model=str(tiny_llava), images=34, **WANTED)
    by_label = {c.condition.label: c for c in plan.conditions}
    orders = {
        label: np.concatenate([read_ranking(plan, c, b)["rank/order"] for b in plan.mine])
        for label, c in by_label.items()
    }
    a, b = orders["scope-alpha0-gap_power1-k64"], orders["saliency-k64"]
    shares = [len({*x[:64].tolist()} & {*y[:64].tolist()}) / 64 for x, y in zip(a, b, strict=True)]
    pair = next(
        p for p in found.pairs if (p.one, p.other, p.budget) == ("scope:alpha=0", "saliency", "64")
    )
    assert (pair.mean, pair.smallest, pair.largest) == pytest.approx(
        (np.mean(shares), min(shares), max(shares))
    )
    assert (pair.per, pair.merged, pair.choices) == ("image", False, 34)
    own = [d.overlap for d in found.details if (d.one, d.other) == (pair.one, pair.other)]
    assert own[34:] == shares


def test_ties_and_margins_are_those_of_the_ranking(store: Path, tiny_llava: Path) -> None:
    found = compare_selections("shapes", store=store, model=str(tiny_llava), images=34, **WANTED)
    plan = run.prepare("shapes", store=store, model=str(tiny_llava), images=34, **WANTED)
    planned = next(c for c in plan.conditions if c.condition.label == "saliency-k16")
    ranks = [read_ranking(plan, planned, b) for b in plan.mine]
    tied, margin = (
        np.concatenate([a[f"rank/{x}"] for a in ranks])[:, :16] for x in ("tied", "margin")
    )
    own = {(d.selector, d.budget): d for d in found.selectors}
    saliency = own["saliency", "16"]
    assert saliency.kept == 16
    assert saliency.ties == tied.sum(1).mean()
    assert saliency.most_ties == tied.sum(1).max()
    assert saliency.close == (tied | (margin < HALF)).sum(1).mean()
    assert saliency.edge == margin[:, -1].min()
    random = own["random seed=0", "64"]
    assert (random.ties, random.most_ties, random.close, random.edge) == (None,) * 4


def test_what_is_sealed_is_not_computed_again(
    store: Path, tiny_llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"store": store, "model": str(tiny_llava), "images": 34, **WANTED}
    first = compare_selections("shapes", **wanted)

    def refuse(*_: object) -> None:
        raise AssertionError("sealed again")

    monkeypatch.setattr(SealedBlocks, "seal", refuse)
    steps: list[tuple[str, int, int]] = []
    again = compare_selections("shapes", **wanted, progress=lambda *step: steps.append(step))
    assert again == first
    assert steps == [(x, i, 2) for x in ("encode", "select", "compare") for i in (1, 2)]


def test_all_tied_choices_are_told(tmp_path: Path, tiny_llava: Path) -> None:
    chosen = [SelectorChoice(n, Level(), Budget("count", 8)) for n in ("level", "level-too")]
    found = compare(plan_of(tmp_path, tiny_llava, *chosen))
    (pair,), one = found.pairs, found.selectors[0]
    assert (pair.mean, pair.equal) == (1.0, 1.0)
    assert (one.ties, one.most_ties, one.close, one.edge) == (8.0, 8, 8.0, 0.0)


def test_choices_that_follow_the_question_are_compared_for_each(
    tmp_path: Path, tiny_llava: Path
) -> None:
    one = SelectorChoice("by-question", ByQuestion(), Budget("count", 8))
    plan = plan_of(tmp_path, tiny_llava, one, SelectorChoice("level", Level(), Budget("count", 8)))
    found = compare(plan)
    (pair,) = found.pairs
    assert (pair.per, pair.choices) == ("question", sum(map(len, plan.distinct)))
    assert [d.question for d in found.details] == [q for asked in plan.distinct for q in asked]
    assert [s.per for s in found.selectors] == ["question", "image"]
    assert "questions" in rendered(found, "table", False)


def test_of_new_tokens_all_parts_count(tmp_path: Path, tiny_llava: Path) -> None:
    one = SelectorChoice("halves", Halves(), Budget("count", 8))
    found = compare(
        plan_of(tmp_path, tiny_llava, one, SelectorChoice("level", Level(), Budget("count", 8)))
    )
    (pair,) = found.pairs
    assert pair.merged
    assert pair.mean == pair.smallest == 0.5  # the first 8 of 16; a weight of 0 is no part
    assert found.selectors[0].kept == 16
    table = rendered(found, "table", False)
    assert "halves / level *" in table
    assert "*: makes or arranges tokens" in table


def test_of_several_crops_the_closest_edge_counts() -> None:
    crop = np.repeat([0, 1], 4)
    layout = TokenLayout(
        np.stack([crop, np.arange(8) % 4, np.zeros(8)], 1).astype(np.int32),
        np.zeros(8, np.bool_),
        np.zeros((8, 4), np.float32),
        (4, 8),
    )
    order = np.array([3, 1, 0, 2, 6, 7, 5, 4])
    margin = np.array([0.5, 0.2, 0.001, 0.0, 0.9, 0.0001, 0.6, 0.0])
    untied = np.zeros(8, np.bool_)
    budget = Budget("count", 4, "split")
    planned: Any = SimpleNamespace(condition=SimpleNamespace(budget=budget, label="made up"))
    found = choice_of(planned, (0, -1), EncodedImage(layout, {}, {}), order, margin, untied)
    assert found.kept.tolist() == [1, 3, 6, 7]
    assert (found.ties, found.close, found.edge) == (0, 1, 0.0001)


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("scope", "nothing to compare"),
        (["scope", "full"], "full has only one budget"),
        (["scope", "fastv:layer=1"], "fastv chooses inside the language model.*: .*scope, "),
        (["scope", "saliencey"], "'saliencey'.*saliency"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    select: list[str], said: str, tmp_path: Path, tiny_llava: Path
) -> None:
    with pytest.raises(PlanError, match=said):
        compare_selections("shapes", store=tmp_path, model=str(tiny_llava), images=1, select=select)
    assert not list(tmp_path.iterdir())


def test_the_command_prints_it(store: Path, tiny_llava: Path) -> None:
    args = ["--model", str(tiny_llava), "--store", str(store), "--images", "34", "--keep", "16"]
    done = CliRunner().invoke(
        app, ["compare-selections", *args, "--select", "scope:alpha=0", "--numerics", "both"]
    )
    assert done.exit_code == 0, done.output
    assert "scope:alpha=0 / scope:alpha=0 numerics=compat" in done.stdout
    wrong = CliRunner().invoke(
        app, ["compare-selections", *args, "--select", "scope", "--format", "md"]
    )
    assert isinstance(wrong.exception, PlanError)


def test_all_are_those_that_can_be_compared(tmp_path: Path, tiny_llava: Path) -> None:
    found = compare_selections(
        "shapes", store=tmp_path, model=str(tiny_llava), images=1, select="all", keep=16
    )
    names = {re.split("[: ]", s.selector)[0] for s in found.selectors}
    assert {"scope", "saliency", "random", "uniform"} <= names
    assert not {"full", "blind", "fastv"} & names
    assert any("all leaves out" in note for note in found.notes)


def test_every_form_holds_the_same_numbers(store: Path, tiny_llava: Path) -> None:
    found = compare_selections("shapes", store=store, model=str(tiny_llava), images=34, **WANTED)
    rows = list(csv.DictReader(io.StringIO(rendered(found, "csv", False))))
    assert [float(r["mean"]) for r in rows] == [p.mean for p in found.pairs]
    assert len(rendered(found, "csv", True).splitlines()) == 1 + len(found.details)
    whole = json.loads(rendered(found, "json", True))
    assert len(whole["details"]) == len(found.details)
    assert "details" not in json.loads(rendered(found, "json", False))
    table = rendered(found, "table", False)
    assert all(f"{p.mean:.3f}" in table for p in found.pairs)
    assert "question" not in rendered(found, "table", True)  # an empty column
