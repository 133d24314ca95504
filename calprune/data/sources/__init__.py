"""Where published benchmarks come from: folders in official layout, or parquet from the hub.

``Released`` is the base of benchmarks that exist as files. ``rows`` reads questions with errors
that name file, row and field; ``labels`` reads answers in all their spellings; ``parquet`` streams
tables with images in them; ``hub`` finds and fetches what the hub has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import OpenedBenchmark, Published
from calprune.data.sources.hub import HubTable, cached, local_tables, revisions
from calprune.data.sources.parquet import Shards
from calprune.errors import BenchmarkError, PlanError


class Released(ABC):
    """A benchmark that is published as files: ``official`` and ``parquet`` read its two forms.

    Attributes:
        title, kind, licence, origin, published: see ``Benchmark``.
        name: on the command line, for messages.
        layout: what a folder in the official layout holds, for messages.
        marks: files or folders that tell the official layout; all must be there.
        tables: what to read from the hub, by a name of the plug-in's own choice.
    """

    title: ClassVar[str]
    kind: ClassVar[str]
    licence: ClassVar[str]
    origin: ClassVar[str]
    published: ClassVar[Published | None]
    name: ClassVar[str]
    layout: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    tables: ClassVar[Mapping[str, HubTable]]

    def open(self, root: Path | None) -> OpenedBenchmark:
        """Read the folder ``root`` in whichever form it has, or what was fetched.

        Raises BenchmarkError with what is wanted if neither is there.
        """
        if root is None:
            if (found := self.files()) is not None:
                return self.from_tables(found)
            raise BenchmarkError(f"{self.name} needs its data: {self._ways()}")
        if not root.is_dir():
            raise BenchmarkError(f"--data {root}: there is no such folder; {self._ways()}")
        missing = [mark for mark in self.marks if not (root / mark).exists()]
        if self.marks and not missing:
            return self.official(root)
        if (found := self.files(root)) is not None:
            return self.from_tables(found)
        lacking = f" (of the official layout it lacks {', '.join(missing)})" if missing else ""
        raise BenchmarkError(f"{self.name}: {root} lacks its files{lacking}; {self._ways()}")

    @classmethod
    def files(cls, root: Path | None = None) -> dict[str, list[Path]] | None:
        """The files of every table, below a folder or as they were fetched; None unless all are.

        Raises BenchmarkError if there is only a part of one.
        """
        if root is not None:
            return local_tables(root, cls.tables)
        found = {name: cached(table) for name, table in cls.tables.items()}
        return found if found and all(found.values()) else None

    @classmethod
    def availability(cls) -> str:
        """Whether its tables are here, told by names: fetched, partly, to fetch, or ``--data``."""
        if not cls.tables:
            return "--data"
        try:
            found = [bool(cached(table)) for table in cls.tables.values()]
        except BenchmarkError:
            return "partly"
        return "fetched" if all(found) else "partly" if any(found) else "to fetch"

    def fetch(self, folder: Path | None, say: Callable[[str], None]) -> None:
        """Download all tables, to the hub's cache or a folder; as ``fetch`` of ``hub``'s tables.

        Raises PlanError, with what to do instead, if there is nothing to fetch.
        """
        from calprune.data.sources.fetch import fetch

        self.check_fetchable()
        for table in self.tables.values():
            fetch(table, folder, say)

    def check_fetchable(self) -> None:
        """PlanError, with what to do instead, if nothing of it can be fetched."""
        if not self.tables:
            raise PlanError(
                f"{self.name}: nothing on the hub to fetch; take it from {self.origin}, and name "
                f"with --data a folder that holds {self.layout}"
            )

    def from_tables(self, found: Mapping[str, list[Path]]) -> OpenedBenchmark:
        """The tables in these files, with the commits that they came from."""
        source = self.parquet({name: Shards(paths) for name, paths in found.items()})
        return replace(source, revisions=revisions(p for paths in found.values() for p in paths))

    def _ways(self) -> str:
        ways = []
        if self.tables:
            repository = next(iter(self.tables.values())).repositories[0]
            ways.append(f"'calprune data fetch {self.name}' downloads {repository}")
        if self.marks:
            ways.append(f"name with --data a folder that holds {self.layout}")
        now = "'calprune collect --bench shapes' needs no data and works now"
        return f"{', or '.join(ways)}; {now}"

    @abstractmethod
    def official(self, root: Path) -> OpenedBenchmark:
        """The official layout in a folder."""

    @abstractmethod
    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """The hub's tables, one for each of ``tables``."""
