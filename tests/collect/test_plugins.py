"""Selectors of somebody else: what they return is held to the rules, and their source is known."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module, invalidate_caches
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune import registry
from calprune.collect import run
from calprune.collect.grid import budgets, grid
from calprune.collect.hf.names import find
from calprune.collect.models import ModelOptions
from calprune.collect.models.llava import Llava
from calprune.collect.packed.reply import Packed
from calprune.collect.plugin_source import source
from calprune.collect.selection.half_precision import by_half_score
from calprune.collect.selectors import Merged, as_ranking, by_score, in_order
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.stages.encode import encode
from calprune.data.storage.container import unpack
from calprune.data.storage.store import Store
from calprune.errors import Mismatch, PlanError
from tests.collect.checkpoints import save_checkpoint

MINE = '''
"""A selector of somebody else."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.selectors import Merged, Ranking, VisualTokens, by_score, in_order
from calprune.data.condition import Budget


@dataclass(frozen=True)
class Mine:
    """Mine."""

    title: ClassVar[str] = "mine"
    needs: ClassVar[frozenset[str]] = frozenset({{"saliency"}})
    revision: ClassVar[int] = {revision}
    nested: ClassVar[bool] = {nested}
    budget: ClassVar[Budget | None] = None

    def {method}:
        """What it keeps."""
        {body}
'''
RANK, PICK, MERGE = "rank(self, tokens)", "pick(self, tokens, k)", "merge(self, tokens, k)"
SOUND = "return by_score(tokens.saliency, ~tokens.separator)"

Installing = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installing:
    """Puts a selector ``mine`` on the shelf, as an entry point of another package does."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    entry = EntryPoint("mine", "somebody_elses:Mine", "calprune.selectors")
    usual = registry._shelf

    def shelf(group: str) -> dict[str, Any]:
        return usual(group) | ({"mine": entry} if group == "selectors" else {})

    monkeypatch.setattr(registry, "_shelf", shelf)

    def installed(
        body: str,
        method: str = RANK,
        revision: int = 1,
        more: str = "",
        change: tuple[str, str] = ("", ""),
    ) -> None:
        nested = method == RANK
        text = MINE.format(body=body, method=method, revision=revision, nested=nested)
        assert change[0] in text
        text = text.replace(*change) if change[0] else text
        (folder / "somebody_elses.py").write_text(text + more)
        sys.modules.pop("somebody_elses", None)
        invalidate_caches()

    return installed


@pytest.fixture
def collected(tiny_llava: Path, tmp_path: Path) -> Callable[..., run.Outcome]:
    def collect(**options: Any) -> run.Outcome:
        settings = {"images": 2, "select": ["mine"], "keep": [16], "min_mass": 0}
        store = tmp_path / "store"
        return run.collect("shapes", store=store, model=str(tiny_llava), **{**settings, **options})

    return collect


@pytest.mark.parametrize("method", [by_score, by_half_score])
def test_scores_are_for_all_tokens_and_candidates_are_a_mask(method: Any) -> None:
    score, candidates = np.array([3.0, 1.0, 2.0, 9.0]), np.array([0, 1, 2])
    assert method(score, np.array([True, True, True, False])).order.tolist() == [0, 2, 1, -1]
    with pytest.raises(TypeError, match=r"candidates as a mask, bool \(v,\).*not int64"):
        method(score, candidates)
    with pytest.raises(TypeError, match="not float64"):
        method(score, np.ones(4))
    with pytest.raises(ValueError, match=r"scores \(3,\), candidates \(4,\)"):
        method(score[candidates], np.ones(4, np.bool_))
    with pytest.raises(ValueError, match=r"scores \(4, 1\)"):
        method(score[:, None], np.ones(4, np.bool_))


@pytest.mark.parametrize("method", [by_score, by_half_score])
def test_scores_are_finite_numbers_and_whole_ones_fall_too(method: Any) -> None:
    every = np.ones(3, np.bool_)
    with pytest.raises(ValueError, match="finite scores: that of token 1 is nan"):
        method(np.array([1.0, np.nan, 2.0]), every)
    for odd in (np.array(["a", "b", "c"]), np.ones(3) * 1j, every, every.astype(object)):
        with pytest.raises(TypeError, match=f"scores that are numbers.*not {odd.dtype}"):
            method(odd, every)
    apart = np.array([1.0, np.nan, 2.0]), np.array([True, False, True])  # as on separators
    assert method(*apart).order.tolist() == [2, 0, -1]
    found = method(np.array([0, 200, 3], np.uint8), every)  # whose negatives wrap around
    assert found.order.tolist() == [1, 2, 0]
    assert found.score.dtype == np.float64


@pytest.mark.parametrize("take", [lambda order: in_order(order, 2), Merged.rows])
def test_an_order_is_of_indices(take: Any) -> None:
    with pytest.raises(TypeError, match="takes indices of tokens, not bool"):
        take(np.array([True, False]))
    with pytest.raises(TypeError, match="takes indices of tokens, not float64"):
        take([0.5, 1.5])
    with pytest.raises(ValueError, match=r"indices of tokens, \(n,\), not shape \(1, 2\)"):
        take(np.array([[0, 1]]))


def test_an_order_is_of_tokens_there_are() -> None:
    assert in_order(np.zeros(0), 2).order.tolist() == [-1, -1]
    assert in_order([1, 0], 3).order.tolist() == [1, 0, -1]
    for order, said in (([2], "tokens 0 to 1, not 2"), ([-1], "not -1"), ([0, 1, 0], "3 of 2")):
        with pytest.raises(ValueError, match=said):
            in_order(np.array(order), 2)
    with pytest.raises(TypeError, match="the number of tokens, not ndarray"):
        in_order([0], np.array([False, True]))
    two, three = np.zeros(2), np.zeros(3)
    with pytest.raises(ValueError, match=r"one length, at most 4: order \(3,\), score \(2,\)"):
        as_ranking(4, np.arange(3), two, three, three > 0)


@pytest.mark.parametrize("token", [1.5, True, "1", np.float64(1)])
def test_new_tokens_are_made_of_whole_ones(token: Any) -> None:
    with pytest.raises(TypeError, match=r"Merged\.of takes indices of tokens, whole numbers"):
        Merged.of([{token: 1.0}])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('frozenset({"saliency"})', '["saliency"]'), "its needs is ['saliency'], and must be of"),
        (("revision: ClassVar[int] = 1", "other = 1"), "its revision is missing, and must be of"),
        (("revision: ClassVar[int] = 1", 'revision = "1"'), "its revision is '1', and must be of"),
        (("budget: ClassVar[Budget | None] = None", "more = 1"), "its budget is missing, and must"),
        (("nested: ClassVar[bool] = True", "nested = False"), "nested is True of those that rank"),
        (("def rank", "def order"), "has none of the methods rank, pick, merge, stages: one is"),
        (("@dataclass(frozen=True)", ""), "selector 'mine' is no dataclass"),
    ],
)
def test_what_a_selector_does_not_say_is_asked_for(
    install: Installing, change: tuple[str, str], said: str
) -> None:
    install(SOUND, change=change)
    with pytest.raises(PlanError) as caught:
        grid(["mine"], budgets("16"))
    assert said in str(caught.value)


V = "len(tokens.separator)"
FLAWED = {
    "by indices": (RANK, "return by_score(tokens.saliency, tokens.candidates)", "TypeError: by_sc"),
    "of candidates": (
        RANK,
        "return by_score(tokens.saliency[:9], ~tokens.separator)",
        r"ValueError: by_score takes one score for each token: scores \(9,\), candidates \(576,\)",
    ),
    "not a number": (
        RANK,
        "return by_score(tokens.saliency * np.nan, ~tokens.separator)",
        "ValueError: by_score takes finite scores: that of token 0 is nan",
    ),
    "some only": (
        RANK,
        f"return in_order(tokens.candidates[:100], {V})",
        "100 tokens, not exactly 576",
    ),
    "shorter": (
        RANK,
        "return in_order(tokens.candidates[:100], 100)",
        r"its order has shape \(100,\), not \(576,\)",
    ),
    "no whole numbers": (
        RANK,
        f"r = in_order(tokens.candidates, {V}); "
        "return Ranking(r.order * 1.0, r.score, r.margin, r.tied)",
        "its order is float64",
    ),
    "a gap": (
        PICK,
        f"r = in_order(tokens.candidates[:k], {V}); "
        "return Ranking(np.roll(r.order, 1), r.score, r.margin, r.tied)",
        "not of tokens first, and then of -1",
    ),
    "below -1": (
        PICK,
        f"r = in_order(tokens.candidates[:k], {V}); r.order[k:] = -7; return r",
        "not of tokens first, and then of -1",
    ),
    "too many": (
        PICK,
        f"return in_order(tokens.candidates[: k + 1], {V})",
        "17 tokens, not exactly 16",
    ),
    "twice": (PICK, f"return in_order(tokens.candidates[:k] // 2, {V})", "a token is taken twice"),
    "beyond": (
        PICK,
        f"return in_order(tokens.candidates[-k:] + 1, {V})",
        "ValueError: in_order takes tokens 0 to 575, not 576",
    ),
    "a list": (PICK, "return list(range(k))", "list returned, not a Ranking"),
    "an offset": (
        MERGE,
        "m = Merged.rows(range(k)); return Merged(m.offset + 1, m.token, m.weight)",
        "merged image .* wrongly",
    ),
    "entries left over": (
        MERGE,
        "m = Merged.rows(range(k)); return Merged(m.offset, np.arange(k + 3), np.ones(k + 3))",
        "merged image .* wrongly",
    ),
    "parts of tokens": (
        MERGE,
        "m = Merged.rows(range(k)); return Merged(m.offset, m.token + 0.5, m.weight)",
        "merged image .* wrongly",
    ),
}


@pytest.mark.parametrize("what", FLAWED)
def test_what_breaks_the_rules_is_never_sealed(
    install: Installing, collected: Any, tmp_path: Path, what: str
) -> None:
    method, body, message = FLAWED[what]
    install(body, method)
    with pytest.raises(PlanError, match=rf"selector 'mine' .*{message}"):
        collected()
    assert not list((tmp_path / "store").glob("rankings/**/*.h5"))
    assert not Store(tmp_path / "store").logit_files()


def test_a_source_that_has_changed_does_not_serve_what_the_old_one_chose(
    install: Installing, collected: Any, tmp_path: Path
) -> None:
    """Neither sealed answers nor rankings, until its revision is raised; words may change."""
    install(SOUND)
    assert collected().sealed == 1
    install(SOUND, more='\n\n# a remark\n\n\ndef help():\n    """Of no use."""\n')
    changed = r"made by another source of the selector Mine in somebody_elses; raise its revision"
    with pytest.raises(Mismatch, match=changed):
        collected()
    install("# the most salient\n        " + SOUND)
    assert (collected().sealed, collected().missing) == (0, 0)
    install("return by_score(-tokens.saliency, ~tokens.separator)")
    with pytest.raises(Mismatch, match=f"logits.*mine-k16.*{changed}, which is 1"):
        collected()
    with pytest.raises(Mismatch, match=f"rankings.*{changed}"):  # one ranking, every budget
        collected(keep=[32])
    install("return by_score(-tokens.saliency, ~tokens.separator)", revision=2)
    assert collected(keep=[16, 32]).sealed == 2
    assert len({t.condition.key for t in Store(tmp_path / "store").tables()}) == 3


def test_a_part_of_another_source_is_not_joined(
    install: Installing, collected: Any, tmp_path: Path
) -> None:
    """Two processes share the work, and one has another version of the plug-in."""
    install(SOUND)
    collected(images=40, shard=(0, 2))
    install("return by_score(-tokens.saliency, ~tokens.separator)")
    with pytest.raises(Mismatch, match="made by another source of the selector"):
        collected(images=40, shard=(1, 2))
    assert not Store(tmp_path / "store").logit_files()


OTHER = """
from calprune.collect.models.llava import Llava


class Other(Llava):
    def crops(self, opened):
        return {crops}
"""


def test_features_of_a_family_whose_source_has_changed_are_refused(
    tmp_path: Path, tiny_llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for crops in ("super().crops(opened)", "-super().crops(opened)"):
        (tmp_path / "other_family.py").write_text(OTHER.format(crops=crops))
        sys.modules.pop("other_family", None)
        invalidate_caches()
        family = import_module("other_family").Other
        plan = run.prepare("shapes", model=str(tiny_llava), images=2, store=tmp_path / "store")
        plan = replace(plan, packed=Packed(family(find(str(tiny_llava)), ModelOptions())))
        if crops.startswith("super"):
            assert list(encode(plan)) == list(encode(plan)) == [0]
            continue
        changed = "features.*made by another source of the model Other in other_family; delete"
        with pytest.raises(Mismatch, match=changed):
            list(encode(plan))


def test_older_files_and_our_own_selectors_say_nothing_of_a_source(
    collected: Any, tmp_path: Path, tiny_llava: Path
) -> None:
    collected(select=["saliency"])
    for path in (tmp_path / "store").glob("*/**/*.h5"):
        kind = f"calprune.{path.relative_to(tmp_path / 'store').parts[0]}"
        assert "plugins" not in unpack(path, kind).provenance
    assert source(Saliency()) == ""
    assert source(Llava(find(str(tiny_llava)), ModelOptions())) == ""
    assert source(Path()) != ""


@pytest.mark.parametrize(
    ("select", "keep"), [("uniform", "100%"), ("uniform", "0"), ("pool", "100%")]
)
def test_all_and_none_are_of_every_crop(tmp_path: Path, select: str, keep: str) -> None:
    folder = save_checkpoint(tmp_path / "next", family="llava_next")
    run.collect(
        "shapes",
        store=tmp_path / "store",
        model=str(folder),
        images=1,
        select=[select],
        keep=keep,
        min_mass=0,
    )
    (table,) = Store(tmp_path / "store").tables()
    assert set(table.visual[:, -1].tolist()) == {0 if keep == "0" else 3 * 576}
