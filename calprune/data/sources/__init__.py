"""Where published benchmarks come from: folders in official layout, or parquet from the hub.

``Released`` is the base of benchmarks that exist as files. ``rows`` reads questions with errors
that name file, row and field; ``labels`` reads answers in all their spellings; ``parquet`` streams
tables with images in them; ``hub`` finds and fetches what the hub has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmarks import Published, Source
from calprune.data.sources.hub import Part, cached, local_parts, revisions
from calprune.data.sources.parquet import Shards
from calprune.errors import BenchmarkError


class Released(ABC):
    """A benchmark that is published as files: ``official`` and ``parquet`` read its two forms.

    Attributes:
        title, kind, licence, origin, published: see ``Benchmark``.
        name: on the command line, for messages.
        layout: what a folder in the official layout holds, for messages.
        marks: files or folders that tell the official layout; all must be there.
        parts: what to read from the hub, by a name of the plug-in's own choice.
    """

    title: ClassVar[str]
    kind: ClassVar[str]
    licence: ClassVar[str]
    origin: ClassVar[str]
    published: ClassVar[Published | None]
    name: ClassVar[str]
    layout: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    parts: ClassVar[Mapping[str, Part]]

    def open(self, root: Path | None) -> Source:
        """Read the folder ``root`` in whichever form it has, or what was fetched from the hub.

        Raises BenchmarkError with what is wanted if neither is there.
        """
        if root is None:
            found = {name: cached(part) for name, part in self.parts.items()}
            if found and all(found.values()):
                return self.tables(found)
            raise BenchmarkError(f"{self.name} needs its data: {self._ways()}")
        if not root.is_dir():
            raise BenchmarkError(f"--data {root}: there is no such folder; {self._ways()}")
        missing = [mark for mark in self.marks if not (root / mark).exists()]
        if self.marks and not missing:
            return self.official(root)
        shards = local_parts(root, self.parts)
        if shards is not None:
            return self.tables(shards)
        lacking = f" (of the official layout it lacks {', '.join(missing)})" if missing else ""
        raise BenchmarkError(f"{self.name}: {root} lacks its files{lacking}; {self._ways()}")

    def tables(self, found: Mapping[str, list[Path]]) -> Source:
        """The hub's tables in these files, with the commits that they came from."""
        source = self.parquet({name: Shards(paths) for name, paths in found.items()})
        return replace(source, revisions=revisions(p for paths in found.values() for p in paths))

    def _ways(self) -> str:
        ways = []
        if self.parts:
            repository = next(iter(self.parts.values())).repositories[0]
            ways.append(f"'calprune data fetch {self.name}' downloads {repository}")
        if self.marks:
            ways.append(f"name with --data a folder that holds {self.layout}")
        now = "'calprune collect --bench shapes' needs no data and works now"
        return f"{', or '.join(ways)}; {now}"

    @abstractmethod
    def official(self, root: Path) -> Source:
        """The official layout in a folder."""

    @abstractmethod
    def parquet(self, parts: Mapping[str, Shards]) -> Source:
        """The hub's tables, one for each of ``parts``."""
