"""How commands read a store: what cannot be trusted is named, and the rest is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calprune.commands.options import listed
from calprune.errors import StoreError
from calprune.terminal import Tell, remark, silent

if TYPE_CHECKING:
    from calprune.analyze.options import AnalysisOptions
    from calprune.data.storage.logits import LogitTable


@dataclass
class Reader:
    """Reads conditions, and remembers the names of the files that it had to leave out."""

    left_out: list[str] = field(default_factory=list)

    def tables(
        self,
        stores: Sequence[Path] | None,
        benchmark: str | Collection[str] | None = None,
        model: str | None = None,
        tell: Tell = silent,
        *,
        select: Sequence[str] | None = None,
        keep: str | None = None,
        against: str | None = None,
    ) -> list[LogitTable]:
        """As ``read_stores``, and of these as ``chosen``; what is not read is told on stderr."""
        from calprune.analyze.experiments.chosen import chosen
        from calprune.data.storage.several import read_stores

        found, lines = read_stores(stores, benchmark, model, self._bad, tell)
        for line in lines:
            remark(line)
        return chosen(found, select or (), keep, against)

    def _bad(self, path: Path, error: StoreError) -> None:
        self.left_out.append(path.name)
        remark(f"left out: {error}")

    def end(self) -> None:
        """Nothing if all was read; else exit code 4, as what was printed is of a part only."""
        if self.left_out:
            raise typer.Exit(StoreError.exit_code)


def analysis_options(values: Mapping[str, Any]) -> AnalysisOptions:
    """What a command was told about how numbers are made, from all its options by name.

    Of several definitions of confidence, separated by commas, the first.

    Raises:
        PlanError: a choice that does not exist.
    """
    from calprune.analyze.options import AllKeywords, AnalysisOptions

    told: Any = {k: v for k, v in values.items() if k in AllKeywords.__optional_keys__}
    told["verbalizers"] = ";".join(told.get("verbalizers") or ())
    first, *others = listed(told.pop("confidence")) or [""]
    for confidence in others:
        AnalysisOptions.of(**told, confidence=confidence)
    return AnalysisOptions.of(**told, confidence=first)
