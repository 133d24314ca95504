r"""Tables for a paper: booktabs, to be read with ``\input``; they compile with plain pdflatex."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from calprune.analyze.tables.text_table import TextTable

PREAMBLE = r"% \usepackage{booktabs}"
GREEK = ("alpha", "beta", "gamma", "delta", "kappa", "mu", "rho", "tau")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "-{}",  # two of them are no dash
    "[": "{[}",  # after \\ it would begin a length
    "*": "{*}",  # and this a starred form
}
_SIGNS = {
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": r"\times",
    "\N{LESS-THAN OR EQUAL TO}": r"\le",
    **{c: rf"\{name}" for c, name in zip("αβγδκμρτ", GREEK, strict=True)},
}
_ACCENTED = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ")
_PAIR = re.compile(r"(\S+) (\[\S+, \S+\]|\(\S+ \[\S+, \S+\]\))")
_NUMBER = re.compile(r"[-+]?\d")


def as_latex(grids: Sequence[TextTable]) -> str:
    """One ``table`` environment a grid; what packages they take stands in a comment above."""
    return "\n\n".join([PREAMBLE, *(_table(grid) for grid in grids)])


def tex(text: str) -> str:
    """Text that TeX prints as it stands and never obeys.

    Letters that pdflatex has no shape for come as their code point, such as ``[U+4E2D]``.
    """
    return "".join(_character(c) for c in unicodedata.normalize("NFC", text))


def _character(c: str) -> str:
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c in _SIGNS:
        return rf"\ensuremath{{{_SIGNS[c]}}}"
    return c if c.isascii() or c in _ACCENTED else f"{{[}}U+{ord(c):04X}]"


def _table(grid: TextTable) -> str:
    split = [any(_PAIR.fullmatch(row[i]) for row in grid.body) for i in range(len(grid.header))]
    columns = "l" + "".join(r"r@{\ }l" if two else "r" for two in split[1:])
    head = [
        rf"\multicolumn{{2}}{{c}}{{{tex(name)}}}" if two else tex(name)
        for name, two in zip(grid.header, split, strict=True)
    ]
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{tex(grid.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(_row(row, split) for row in grid.body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if grid.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{_breakable(note)}\par" for note in grid.notes]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"])


def _row(row: Sequence[str], split: Sequence[bool]) -> str:
    cells = [tex(row[0])]
    for text, two in zip(row[1:], split[1:], strict=True):
        pair = _PAIR.fullmatch(text)
        if two:
            cells += [_number(part) for part in pair.groups()] if pair else [_number(text), ""]
        else:
            cells.append(_number(text))
    return " & ".join(cells) + r" \\"


def _number(text: str) -> str:
    """Signs of numbers as mathematics has them, all of one width; a lone hyphen as a dash."""
    if text == "-":
        return "--"
    if text.startswith("<=") and _NUMBER.match(text[2:]):
        return rf"$\le$\,{tex(text[2:])}"
    parts = re.split(r"(?<![\w.])(\+-(?= )|[-+](?=\d))", text)
    signs = {"-": "$-$", "+": "$+$", "+-": r"$\pm$"}
    return "".join(signs.get(p) or tex(p) for p in parts)


def _breakable(note: str) -> str:
    """A note whose signatures may be broken at their bars."""
    bar = _SPECIAL["|"]
    return tex(note).replace(bar, bar + r"\allowbreak{}")
