"""Tables as text: aligned for pipes and files, ruled for a terminal."""

from __future__ import annotations

import shutil
from io import StringIO

from calprune.analyze.tables.text_table import TextTable
from calprune.terminal import in_columns, printable


def as_text(grid: TextTable) -> str:
    """Aligned columns without any drawing: for pipes, files and greps."""
    aligned = in_columns((grid.header, *grid.body), right=range(1, len(grid.header)))
    notes = ["", *(printable(note) for note in grid.notes)] if grid.notes else []
    return "\n".join([printable(grid.title), "", *aligned, *notes])


def for_terminal(grid: TextTable) -> str:
    """Ruled and coloured for a terminal; as wide as its numbers need, whatever the window."""
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=Text(printable(grid.title), style="bold"))
    table.title_justify = "left"
    for i, name in enumerate(grid.header):
        longest = max(cell_len(printable(row[i])) for row in (grid.header, *grid.body))
        if i == 0:
            table.add_column(Text(printable(name)), overflow="fold", min_width=min(longest, 14))
        else:
            column = Text(printable(name))
            table.add_column(column, justify="right", no_wrap=True, min_width=longest)
    for row in grid.body:
        table.add_row(*(Text(printable(cell)) for cell in row))
    out = StringIO()
    window = shutil.get_terminal_size().columns
    console = Console(file=out, width=10_000)
    least = Measurement.get(console, console.options, table).minimum
    console = Console(file=out, force_terminal=True, width=max(window, least))
    console.print(table)
    for note in grid.notes:
        console.print(Text(printable(note), style="dim", overflow="fold"))
    return out.getvalue().rstrip("\n")
