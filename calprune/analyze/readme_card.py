"""What comes with conditions that are shared: a README that says what they are and what they show.

The same files give the same text: there is no time and no machine in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calprune import registry
from calprune.analyze.experiments.experiment import Experiment, experiments
from calprune.analyze.experiments.facts import facts_of
from calprune.analyze.options import DEFAULT_METRICS, DEFAULTS, AnalysisOptions
from calprune.analyze.results.estimate import estimate
from calprune.analyze.tables.estimates import estimate_tables
from calprune.analyze.tables.markdown import as_markdown
from calprune.analyze.tables.text_table import TextTable
from calprune.data.condition_names import name_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError
from calprune.terminal import counted, printable

_METADATA = """\
---
pretty_name: "calprune cache"
license: other
viewer: false
tags:
- calprune
- calibration
- visual-token-pruning
---
"""
_INTRODUCTION = """\
# Logits of a multimodal model with pruned visual tokens

Sealed files of calprune: for every question the logits of its answers, with and without visual
tokens pruned. Reading them needs neither the model nor the images, and no GPU:

```bash
{how}
```
"""


def readme_card(tables: Sequence[LogitTable], how: str, options: AnalysisOptions = DEFAULTS) -> str:
    """Markdown, as the hub's cards are.

    Args:
        tables: sealed logits that it is about.
        how: commands that read them, a line each.
        options: of the table of results.
    """
    found = experiments(tables)
    parts = [_METADATA + "\n" + _INTRODUCTION.format(how=printable_lines(how))]
    parts += ["## Results", *_results(found, options)]
    parts += ["## Conditions", *(as_markdown(_conditions(one)) for one in found)]
    parts += ["## Provenance", *(as_markdown(_provenance(one)) for one in found)]
    names = dict.fromkeys(table.condition.benchmark for table in tables)
    parts += ["## Licence", as_markdown(_licences(list(names)))]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def printable_lines(text: str) -> str:
    """The same, line by line printable, so that it cannot end the block that it stands in."""
    return "\n".join(printable(line).replace("```", "` ` `") for line in text.splitlines())


def _results(found: Sequence[Experiment], options: AnalysisOptions) -> Iterator[str]:
    """The main table of each model and benchmark; why there is none, where that is so."""
    for one in found:
        try:
            rows = estimate([one], list(DEFAULT_METRICS), options)
        except CalpruneError as error:
            text = as_markdown(TextTable(one.title, ("no table",), ((str(error),),), ()))
        else:
            text = "\n\n".join(as_markdown(table) for table in estimate_tables(rows))
        yield text


def _conditions(experiment: Experiment) -> TextTable:
    body = tuple(
        (
            name_of(table.condition),
            f"{len(table):,}",
            f"{len(set(table.cluster.tolist())):,}",
            f"{runs.kept:g}",
            table.condition.key,
        )
        for runs in experiment.conditions
        for table in runs.tables
    )
    header = ("condition", "questions", "images", "visual tokens", "key")
    note = f"{counted(len(body), 'condition')}; a key is the SHA-256 of what was asked"
    return TextTable(experiment.title, header, body, (note,))


def _provenance(experiment: Experiment) -> TextTable:
    tables = [table for runs in experiment.conditions for table in runs.tables]
    body = tuple((name, "; ".join(values)) for name, values in facts_of(tables).items())
    return TextTable(experiment.title, ("recorded", "value"), body, ())


def _licences(names: Sequence[str]) -> TextTable:
    body = tuple((name, *_licence(name)) for name in names)
    note = (
        "Files hold names and labels of the benchmark's questions, and where replies were "
        "generated their words; its licence, and the model's, hold for them"
    )
    return TextTable("Benchmarks", ("benchmark", "licence", "origin"), body, (note,))


def _licence(name: str) -> tuple[str, str]:
    """Licence and origin as the benchmark's plug-in says; other packages' ones may be anything."""
    try:
        plugin = registry.load("benchmarks", name)
        found = [str(getattr(plugin, what, "") or "") for what in ("licence", "origin")]
    except Exception:  # not installed, or a foreign plug-in that fails in any way
        found = ["", ""]
    return found[0] or "not known here: ask its publisher", found[1] or "not known here"
