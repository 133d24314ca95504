"""Logs that the harnesses wrote themselves (``tests/logs/make.sh``), read as they printed them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.analyze.pipeline import read_predictions
from calprune.data.importing import Named, imported
from calprune.data.log import Log
from calprune.data.logs._records import head_of
from calprune.data.logs.lm_eval import LmEval
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.store import Store
from calprune.errors import BenchmarkError, CalpruneError
from calprune.registry import load, names
from tests.children import calprune

LOGS = Path(__file__).parent.parent / "logs"
PRINTED: dict[str, float] = json.loads((LOGS / "printed.json").read_text())
LM_EVAL = LOGS / "lm-eval"


def stored(folder: Path, log: Path, *more: str) -> tuple[LogitTable, str]:
    """The table of one log in a store of its own, and what was said."""
    done = calprune("import", str(log), "--store", str(folder / "store"), *more)
    assert done.returncode == 0, done.stderr
    (table,) = Store(folder / "store").tables()
    return table, done.stdout


@pytest.mark.parametrize("name", PRINTED)
def test_accuracy_is_what_the_harness_printed(tmp_path: Path, name: str) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    named = ("--bench", "b", "--model", "m") if name.startswith("vlmevalkit") else ()
    table, said = stored(tmp_path, LOGS / name, *named)
    found = read_predictions(table)
    assert found.correct.mean() == pytest.approx(PRINTED[name], abs=1e-12)
    # VLMEvalKit prints into other files than these
    by = "" if name.startswith("vlmevalkit") else f"printed {_metric(name)} "
    assert f"{by}{100 * PRINTED[name]:.2f}%" in said
    assert "left out" not in said


def _metric(name: str) -> str:
    return {"inspect": "accuracy", "lmms-eval": "tiny_accuracy"}.get(name.split("/")[0]) or (
        "exact_match" if "reply" in name else "acc"
    )


@pytest.mark.parametrize("name", PRINTED)
def test_each_log_is_known_by_its_looks_by_one_reader(name: str) -> None:
    head = head_of(LOGS / name)
    claiming = [reader for reader in names("logs") if load("logs", reader)().claims(head)]
    assert claiming == [name.split("/")[0]]


def samples(task: str) -> Path:
    (path,) = LM_EVAL.glob(f"samples_{task}_*.jsonl")
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def copied(folder: Path, path: Path, rows: list[dict[str, Any]]) -> Path:
    made = folder / path.name
    made.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return made


def test_likelihoods_of_lm_eval_are_those_of_its_log(tmp_path: Path) -> None:
    path = samples("tiny_fruit")
    table, said = stored(tmp_path, path)
    found = read_predictions(table)
    for i, row in enumerate(rows_of(path)):
        stated = np.array([float(text) for text, _ in row["filtered_resps"]])
        p = np.exp(stated - stated.max())
        n = len(stated)
        assert np.allclose(found.probabilities[i, :n], p / p.sum(), rtol=1e-5)
        assert found.offered[i].tolist() == [True] * n + [False] * (4 - n)
        assert table.log_z[i] == pytest.approx(-stated.max(), rel=1e-6)
    assert table.condition.model == "tiny-random"
    assert table.provenance["imported"]["harness"] == "lm-evaluation-harness 0.4.13"
    assert "options differ between questions" in said
    assert "less than 0.99" in said


def test_images_of_documents_are_clusters(tmp_path: Path) -> None:
    table, _ = stored(tmp_path, samples("tiny_yes_no"))
    assert table.cluster.tolist() == [f"{x}.png" for x in "aabbccdd"]
    assert table.answers == ("yes", "no")


def test_filters_of_lm_eval_are_not_mixed(tmp_path: Path) -> None:
    table, said = stored(tmp_path, samples("tiny_reply"))
    assert len(table) == 8
    assert "other filters are not read: letters" in said
    assert "metrics: accuracy, score\n" in said


def changed(rows: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    row = rows[2]
    if what == "nan":
        row["filtered_resps"][0][0] = "nan"
    elif what == "null":
        row["filtered_resps"][0][0] = None
    elif what == "target":
        row["target"] = "-100"
    elif what == "word":
        row["filtered_resps"][1][0] = "x"
    elif what == "short":
        row["filtered_resps"].pop()
    elif what == "twice":
        row["doc_id"] = 0
    elif what == "requests":
        row["arguments"] = []
    return rows


@pytest.mark.parametrize("what", ["nan", "null", "target"])
def test_what_is_not_stated_is_left_out_and_not_0(tmp_path: Path, what: str) -> None:
    path = samples("tiny_yes_no")
    log = LmEval().read(copied(tmp_path, path, changed(rows_of(path), what)))
    made = imported(log, Named(model="m"), "lm-eval")
    assert sum(made.left_out.values()) == 1
    assert len(made.kept) == 7
    whole = imported(LmEval().read(path), Named(model="m"), "lm-eval")
    same = made.condition.benchmark_digest == whole.condition.benchmark_digest
    assert same == (what != "target")


@pytest.mark.parametrize("what", ["word", "short", "twice", "requests"])
def test_a_wrong_line_is_named(tmp_path: Path, what: str) -> None:
    path = samples("tiny_yes_no")
    with pytest.raises(BenchmarkError, match="line 3: "):
        LmEval().read(copied(tmp_path, path, changed(rows_of(path), what)))


def test_a_cut_off_log_is_refused(tmp_path: Path) -> None:
    for path in (samples("tiny_yes_no"), samples("tiny_reply")):
        cut = tmp_path / path.name
        cut.write_bytes(path.read_bytes()[:-40])
        done = calprune("import", str(cut), "--store", str(tmp_path / "s"), "--model", "m")
        assert done.returncode == 3
        assert "line " in done.stderr
        assert not (tmp_path / "s").exists()


def test_without_its_results_a_log_still_reads(tmp_path: Path) -> None:
    path = samples("tiny_yes_no")
    shutil.copy(path, tmp_path)
    log: Log = LmEval().read(tmp_path / path.name)
    assert (log.model, log.version, log.printed) == ("", "", None)
    with pytest.raises(CalpruneError, match="--model NAME"):
        imported(log, Named(), "lm-eval")


# inspect_ai ---------------------------------------------------------------------------------------


def test_confidence_of_inspect_is_of_the_tokens_that_were_said(tmp_path: Path) -> None:
    """Its local models log further tokens behind the end of a reply, which nobody said."""
    table, _ = stored(tmp_path, LOGS / "inspect" / "tiny-words.eval")
    assert table.replies is not None
    assert "4m" in table.replies.text
    lengths = np.diff(table.replies.offset).tolist()
    for text, length in zip(table.replies.text, lengths, strict=True):
        assert length == max(1, len(text))  # a token of this model is a letter
    assert {"", "4m,4"} < set(table.replies.text)
    assert table.cluster.tolist() == [f"{x}.png" for x in "aabbccdd"]


def test_epochs_of_a_sample_are_resampled_together(tmp_path: Path) -> None:
    table, said = stored(tmp_path, LOGS / "inspect" / "tiny-choice.eval")
    assert len(table) == 16
    assert len(set(table.cluster.tolist())) == 8
    assert {"q0", "q0#2"} < set(table.id.tolist())
    assert "metrics: accuracy, score\n" in said


@pytest.mark.parametrize("where", ["header", "sample", "end", "none"])
def test_a_damaged_archive_is_refused(tmp_path: Path, where: str) -> None:
    raw = bytearray((LOGS / "inspect" / "tiny-words.eval").read_bytes())
    with zipfile.ZipFile(LOGS / "inspect" / "tiny-words.eval") as archive:
        header, sample = (archive.getinfo(n) for n in ("header.json", "samples/q3_epoch_1.json"))
    if where in ("header", "sample"):
        member = header if where == "header" else sample
        at = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
        raw[at : at + 4] = bytes(b ^ 0xFF for b in raw[at : at + 4])
    elif where == "end":
        del raw[-100:]
    else:
        raw = bytearray(b"PK nothing")
    path = tmp_path / "a.eval"
    path.write_bytes(raw)
    done = calprune("import", str(path), "--store", str(tmp_path / "s"), "--from", "inspect")
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "a.eval" in done.stderr
    assert not (tmp_path / "s").exists()


# lmms-eval ----------------------------------------------------------------------------------------


def test_lmms_eval_names_pictures_and_loses_what_a_judge_failed_on(tmp_path: Path) -> None:
    (path,) = (LOGS / "lmms-eval").glob("*_samples_*.jsonl")
    log = load("logs", "lmms-eval")().read(path)
    assert [row.image for row in log.rows] == [f"{x}.png" for x in "aabbccdd"]
    rows = rows_of(path)
    for row in rows:
        graded = {"score": row.pop("tiny_accuracy"), "eval_model": "judge"}
        row["gpt_eval_score"] = graded
    rows[1]["gpt_eval_score"] = {"score": 0.0, "eval_model": ""}
    log = load("logs", "lmms-eval")().read(copied(tmp_path, path, rows))
    made = imported(log, Named(model="m"), "lmms-eval")
    assert log.metric == "gpt_eval_score"
    assert made.left_out == {"its judge failed": 1}
    assert len(made.kept) == 7


# VLMEvalKit ---------------------------------------------------------------------------------------

VLM = LOGS / "vlmevalkit"


def test_vlmevalkit_tells_images_options_and_verdicts() -> None:
    pytest.importorskip("openpyxl")
    log = load("logs", "vlmevalkit")().read(VLM / "tiny_Tiny_exact_matching_result.xlsx")
    assert [row.image for row in log.rows] == [f"{x}.png" for x in "aabbccdd"]
    assert [row.score for row in log.rows] == [1, 1, 1, 0, 0, 1, 1, 0]
    assert log.rows[0].question == "Is the sky blue?\nA. yes\nB. no"
    assert log.metric == "hit"


def test_an_option_drawn_at_random_for_a_failed_judge_is_no_verdict(tmp_path: Path) -> None:
    text = (VLM / "tiny_TinyYN_auxmatch.tsv").read_text().splitlines()
    text = [f'{line}\t"{what}"' for line, what in zip(text, ["log", *["ok"] * 8], strict=True)]
    text[2] = text[2].replace('"ok"', '"Failed to predict, thus randomly generate one. "')
    text[4] = text[4].replace('"Yes"', '"Failed to obtain answer via API."', 1)
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(text) + "\n")
    log = load("logs", "vlmevalkit")().read(path)
    made = imported(log, Named("b", "m"), "vlmevalkit")
    assert made.left_out == {"its judge failed": 2}


def test_predictions_that_nobody_judged_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("index\tprediction\n0\tA\n")
    done = calprune("import", str(tmp_path / "a.tsv"), "--store", str(tmp_path / "s"))
    assert done.returncode == 3
    assert "nobody judged" in done.stderr


@pytest.mark.parametrize("content", [b"PK", b"nothing", b""])
def test_a_workbook_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "a.xlsx").write_bytes(content)
    words = ("--store", str(tmp_path / "s"), "--from", "vlmevalkit", "--bench", "b", "--model", "m")
    done = calprune("import", str(tmp_path / "a.xlsx"), *words)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
