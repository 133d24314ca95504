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
    "\N{CHECK MARK}": r"\surd",
    "\N{BALLOT X}": r"\times",
    **{c: rf"\{name}" for c, name in zip("αβγδκμρτ", GREEK, strict=True)},
}
_ACCENTED = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ")
_PAIR = re.compile(r"(\S+) (\[\S+, \S+\]|\(\S+ \[\S+, \S+\]\))")
_NUMBER = re.compile(r"[-+]?\d")
_BOUNDS = {"<=": r"$\le$\,", "<": r"$<$\,"}
_LABEL = dict(zip("αβγδκμρτ", GREEK, strict=True))


def as_latex(grids: Sequence[TextTable]) -> str:
    """One ``table`` environment a grid; what packages they take stands in a comment above.

    Each has a label made of its title; notes stand below it as a block of their own.
    """
    labels: list[str] = []
    for grid in grids:
        name = label_of(grid.title)
        again = labels.count(name) + sum(x.startswith(f"{name}--") for x in labels)
        labels.append(f"{name}--{again + 1}" if again else name)
    tables = (_table(grid, label) for grid, label in zip(grids, labels, strict=True))
    return "\n\n".join([PREAMBLE, *tables])


def label_of(title: str) -> str:
    """``tab:toy-on-shapes-ece-against-full``: letters and digits of a title, to refer to."""
    plain = unicodedata.normalize("NFKD", "".join(_LABEL.get(c, c) for c in title)).lower()
    return "tab:" + re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")


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


def _table(grid: TextTable, label: str) -> str:
    split = [any(_PAIR.fullmatch(row[i]) for row in grid.body) for i in range(len(grid.header))]
    columns = "l" + "".join(r"r@{\ }l" if two else "r" for two in split[1:])
    head = [
        rf"\multicolumn{{2}}{{c}}{{{_heading(name)}}}" if two else _heading(name)
        for name, two in zip(grid.header, split, strict=True)
    ]
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{tex(grid.title)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(_row(grid, i, split) for i in range(len(grid.body))),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if notes := (*grid.print_notes, *grid.notes):
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{_breakable(note)}\par" for note in notes]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"])


def _row(grid: TextTable, i: int, split: Sequence[bool]) -> str:
    cells = [tex(grid.body[i][0])]
    for j, two in enumerate(split[1:], start=1):
        text = grid.in_print.get((i, j), grid.body[i][j])
        pair = _PAIR.fullmatch(text) if two else None
        first, *rest = [_number(part) for part in (pair.groups() if pair else (text,))]
        cells.append(rf"\textbf{{{first}}}" if (i, j) in grid.bold else first)
        cells += rest or [""] * two
    return " & ".join(cells) + r" \\"


def _heading(name: str) -> str:
    """``p`` as a symbol, also of corrected ones."""
    return f"$p${tex(name[1:])}" if name == "p" or name.startswith("p (") else tex(name)


def _number(text: str) -> str:
    """Signs of numbers as mathematics has them, all of one width; a lone hyphen as a dash."""
    if text == "-":
        return "--"
    for sign, shown in _BOUNDS.items():
        if text.startswith(sign) and _NUMBER.match(text.removeprefix(sign)):
            return shown + tex(text.removeprefix(sign))
    parts = re.split(r"(?<![\w.])(\+-(?= )|[-+](?=\d))", text)
    signs = {"-": "$-$", "+": "$+$", "+-": r"$\pm$"}
    return "".join(signs.get(p) or tex(p) for p in parts)


def _breakable(note: str) -> str:
    """A note whose signatures may be broken at their bars."""
    bar = _SPECIAL["|"]
    return tex(note).replace(bar, bar + r"\allowbreak{}")
