"""Replies to questions with answers to choose from: asked for, stored, audited, scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calprune
from calprune.collect import run
from calprune.collect.cost.estimate import estimate, render_estimate
from calprune.collect.cost.speed import assumed
from calprune.collect.stages import audit as audits
from calprune.collect.stages import plan as plans
from calprune.data.storage.container import Sealed, header, pack, unpack
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.publishing import publish
from calprune.data.storage.ragged_text import pack_texts
from calprune.data.storage.reading import read_logits
from calprune.data.storage.store import Store
from calprune.errors import Mismatch, PlanError
from tests.analyze.calls import read_predictions

SMALL: dict[str, Any] = {"images": 2, "select": ["full", "scope:alpha=0"], "keep": 8}
LIMIT = 3


def collected(bench: str, model: Path, store: Path, **options: Any) -> run.Outcome:
    asked = {**SMALL, "min_mass": 0, "model": str(model), "store": store, **options}
    return run.collect(bench, **asked)


@pytest.fixture(scope="module")
def store(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two conditions without replies, and the same two with; of two parts each."""
    folder = tmp_path_factory.mktemp("stores") / "both"
    with pytest.MonkeyPatch.context() as patch:
        for module in (plans, audits):
            patch.setattr(module, "BLOCK_IMAGES", 1)
        collected("shapes", tiny_llava, folder)
        before = {p: p.read_bytes() for p in Store(folder).logit_files()}
        outcome = collected("shapes", tiny_llava, folder, reply_tokens=LIMIT, audit_rows=12)
    assert outcome.sealed == 2
    assert all((a.rows, a.flipped) == (12, 0) and a.worst_logit < 1e-4 for a in outcome.audits)
    assert len(outcome.audits) == 2
    assert len(Store(folder).logit_files()) == 4
    assert all(path.read_bytes() == content for path, content in before.items())
    return folder


def halves(store: Path) -> tuple[LogitTable, LogitTable]:
    """The full condition without and with replies."""
    full = [t for t in Store(store).tables() if t.condition.selector == "full"]
    plain, replied = sorted(full, key=lambda t: t.replies is not None)
    return plain, replied


def test_only_those_who_ask_get_replies(store: Path, tiny_llava: Path) -> None:
    plain, replied = halves(store)
    assert (plain.replies, plain.parser, plain.condition.closed_reply) == (None, "", None)
    assert (replied.parser, replied.condition.closed_reply) == ("pope", LIMIT)
    assert replied.condition.reply is None
    assert "closed_reply" not in plain.condition.to_json()
    assert plain.condition.label == replied.condition.label
    again = collected("shapes", tiny_llava, store, reply_tokens=LIMIT)
    assert again.sealed == 0
    other = run.prepare("shapes", store=store, model=str(tiny_llava), reply_tokens=2, **SMALL)
    assert len(other.open) == 2
    assert all(error is None for _, error in Store(store).verify())


def test_keys_without_replies_have_not_moved() -> None:
    keys = {"shapes": ("db5c68e4", "3167e8bb"), "shapes-mc": ("79e3fa13", "0622b46d")}
    for bench, expected in keys.items():
        plan = run.prepare(bench, **SMALL, store="unused")
        assert tuple(c.condition.key[:8] for c in plan.conditions) == expected


def test_the_first_token_is_that_of_the_logits(store: Path) -> None:
    plain, replied = halves(store)
    replies = replied.replies
    assert replies is not None
    assert replies.given.all()
    assert not replies.open.any()
    assert (replies.id[replies.offset[:-1]] == replied.top_token[:, 0]).all()
    length = np.diff(replies.offset)
    assert length.max() == LIMIT
    assert (length[~replies.stop] == LIMIT).all()
    first = replies.logprob[replies.offset[:-1]]
    assert first == pytest.approx(replied.top_logit[:, 0] - replied.log_z, abs=1e-4)
    assert replies.question[0] == "Is there a red star in the image?"
    assert plain.answer_logits == pytest.approx(replied.answer_logits, abs=1e-4)
    copies = replied.duplicate_of
    assert [replies.text[i] for i in copies] == list(replies.text)


def test_replies_move_the_score_and_no_confidence(store: Path) -> None:
    plain, replied = (read_predictions(t) for t in halves(store))
    assert replied.confidence == pytest.approx(plain.confidence, abs=1e-5)
    assert (replied.correct == plain.correct).all()
    table = halves(store)[1]
    assert table.replies is not None
    no = [bool({"No", "no", "not"} & set(t.strip().split(" "))) for t in table.replies.text]
    assert replied.item_scores is not None
    assert replied.item_scores.tolist() == (np.array(no) == (table.label == 1)).tolist()
    study = calprune.open(store)
    found = study.estimates(["score", "ece"], draws=0)
    assert len(found) == 8
    assert {"first-token", "reply(pope)"} == {
        s.partition("|said:")[2].partition("|")[0].partition(",")[0]
        for s in found["signature"]
        if "|said:" in s
    }
    # two ways of asking, in tables of their own
    models = set(found["model"])
    assert {m.partition(" (")[2] for m in models} == {
        "first tokens)",
        f"closed replies of {LIMIT} tokens)",
    }


def test_what_prunes_inside_gives_none(tiny_llava: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": tmp_path, "model": str(tiny_llava), "images": 1}
    with pytest.raises(PlanError, match=r"fastv prunes inside .*: leave out --reply-tokens, or"):
        run.prepare("shapes", select="fastv", keep=64, reply_tokens=2, **options)
    plan = run.prepare("shapes", reply_tokens=2, **options)
    assert not any(c.name == "fastv" for c in plan.conditions)
    assert any("leaves out fastv" in note for note in plan.notes)


def test_estimates_price_replies(tiny_llava: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": tmp_path, "model": str(tiny_llava), **SMALL}
    plain, asked = (
        estimate(run.prepare("shapes", reply_tokens=n, **options), assumed("h100")) for n in (0, 8)
    )
    assert (plain["reply_tokens"], asked["reply_tokens"]) == (0, 8 * asked["questions"])
    more = asked["packed"]["tokens"] - plain["packed"]["tokens"]
    assert more == 2 * 8 * asked["questions"]  # of two conditions
    assert asked["packed"]["flops"] > plain["packed"]["flops"]
    assert f"replies: up to {8 * asked['questions']:,} tokens" in render_estimate(asked, "table")
    assert "replies" not in render_estimate(plain, "table")


def test_quotes_price_replies_and_refuse_them() -> None:
    asked: dict[str, Any] = {"model": "llava-1.5-7b", "select": "full"}
    plain, replied = (run.estimate_cost("pope", reply_tokens=n, **asked) for n in (0, 16))
    assert plain["estimated"]
    assert (plain["reply_tokens"], replied["reply_tokens"]) == (0, 16 * 5127)
    assert replied["packed"]["flops"] > plain["packed"]["flops"]
    with pytest.raises(PlanError, match=r"fastv .*--reply-tokens"):
        run.estimate_cost("pope", reply_tokens=16, model="llava-1.5-7b", select="fastv", keep=64)
    grid = run.estimate_cost("pope", reply_tokens=16, model="llava-1.5-7b")
    assert any("fastv" in note for note in grid["left_out"])


def test_letters_are_read_with_their_options(tiny_llava: Path, tmp_path: Path) -> None:
    collected("shapes-mc", tiny_llava, tmp_path, images=1, select="full", keep=(), reply_tokens=2)
    (table,) = Store(tmp_path).tables()
    assert table.parser == "scienceqa"
    assert table.replies is not None
    wordy = replace(table.replies, text=tuple(f"{table.answers[i]}. so" for i in table.label))
    assert read_predictions(replace(table, replies=wordy)).item_scores.mean() == 1.0  # type: ignore[union-attr]


def rewritten(
    store: Path, folder: Path, *, asked: bool = True, without: str = "", **columns: Any
) -> Path:
    """The full condition's file with other columns, or as if no replies had been asked for."""
    sealed = unpack(halves(store)[1].path, "calprune.logits")
    arrays = {k: x for k, x in sealed.arrays.items() if k != without} | columns
    manifest = {k: v for k, v in sealed.manifest.items() if asked or k != "closed_reply"}
    path = folder / "other.h5"
    key = sealed.key if asked else halves(store)[0].condition.key
    path.unlink(missing_ok=True)
    publish(path, pack(Sealed(sealed.kind, key, manifest, sealed.provenance, arrays)), header)
    return path


def test_files_whose_replies_are_not_what_was_asked(store: Path, tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"other\.h5: replies .* asked for.*parser is missing"):
        read_logits(rewritten(store, tmp_path, without="benchmark/parser"))
    with pytest.raises(Mismatch, match="were not asked for, and benchmark/parser is there"):
        read_logits(rewritten(store, tmp_path, asked=False))
    with pytest.raises(Mismatch, match=r"row 0 .*: closed, and has a reply"):
        read_logits(rewritten(store, tmp_path, without="benchmark/parser", asked=False))
    replies = halves(store)[1].replies
    assert replies is not None
    first = replies.offset[1]
    text, offset = pack_texts(["", *replies.text[1:]])
    lost = {
        **{f"gen/{x}": getattr(replies, x)[first:] for x in ("id", "logprob", "entropy")},
        "gen/top2_gap": replies.top2_gap[first:],
        "gen/offset": np.concatenate([[0], replies.offset[1:] - first]),
        "reply/text": text,
        "reply/offset": offset,
    }
    with pytest.raises(Mismatch, match=r"row 0 .*: closed, and has no reply"):
        read_logits(rewritten(store, tmp_path, **lost))
