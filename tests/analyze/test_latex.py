"""LaTeX of tables: its structure always, and that it compiles where there is a TeX."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from calprune.analyze.tables.latex import as_latex, tex
from calprune.analyze.tables.text_table import TextTable
from tests.analyze.calls import analyze
from tests.analyze.conftest import hostile, make_study_tables

HOSTILE = "\\input{/etc/passwd} $a_1^2$ 100% #1 & ~ {<>|\"'`--} [x]* é 中 α × \u202e\x1b\n"
LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿαβγδκμρτ−×≤✓✗"
DOCUMENT = (
    "\\documentclass{{article}}\n\\usepackage{{booktabs}}\n"
    "\\begin{{document}}\n{}\n\\end{{document}}\n"
)


def test_a_table_is_booktabs_with_aligned_pairs():
    grid = TextTable(
        "A 100 % title",
        ("condition", "ECE", "p"),
        (
            ("full", "0.041 [0.034, 0.049]", "-"),
            ("a_b", "-0.012 [-0.020, +0.001]", "<=0.0001"),
            ("seeds", "83.6 +- 0.2", "+0.1"),
        ),
        ("ece|bins:15",),
    )
    lines = as_latex([grid]).splitlines()
    assert lines[0] == r"% \usepackage{booktabs}"
    assert r"\caption{A 100 \% title}" in lines
    assert r"\begin{tabular}{lr@{\ }lr}" in lines
    assert r"condition & \multicolumn{2}{c}{ECE} & $p$ \\" in lines
    assert r"full & 0.041 & {[}0.034, 0.049] & -- \\" in lines
    assert r"a\_b & $-$0.012 & {[}$-$0.020, $+$0.001] & $\le$\,0.0001 \\" in lines
    assert r"seeds & 83.6 $\pm$ 0.2 &  & $+$0.1 \\" in lines
    assert r"ece\textbar{}\allowbreak{}bins:15\par" in lines
    rules = [r"\toprule", r"\midrule", r"\bottomrule"]
    assert [line for line in lines if line in rules] == rules


def test_rows_have_as_many_cells_as_columns():
    text = analyze(make_study_tables(), draws=20, fmt="latex")
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 11
    assert {row.count(" & ") for row in rows[1:]} == {9}  # ECE takes two columns


def test_text_is_never_a_command():
    shown = tex("\\input{x} $ & # _ % ^ ~ [ * 中")
    assert "\\input" not in shown
    assert shown.startswith(r"\textbackslash{}input\{x\} \$ \& \# \_ \%")
    assert shown.endswith("{[}U+4E2D]")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_it_compiles_whatever_the_text(tmp_path: Path):
    tables = [*make_study_tables(), hostile(make_study_tables()[0], HOSTILE)]
    parts = [
        analyze(tables, draws=20, fmt="latex"),
        analyze(make_study_tables(), metrics=["ece"], against="full", draws=20, fmt="latex"),
        analyze(tables[-1:], metrics=["ece"], by="split", draws=20, fmt="latex"),
        as_latex([TextTable(LETTERS, ("a",), ((LETTERS,), ("[1ex]",), ("*",)), (LETTERS,))]),
    ]
    (tmp_path / "t.tex").write_text(DOCUMENT.format("\n\\clearpage\n".join(parts)), "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "t.log").read_text("latin-1")
