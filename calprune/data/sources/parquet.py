"""Parquet tables with images in them, streamed: a few rows at a time become Python's.

Arrow decodes a page as a whole, which takes up to twice the page's size in memory. How many images
a page holds is up to its writer: it may be a few or a whole row group.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune.data.benchmark import Blob
from calprune.data.sources.records import Record
from calprune.errors import BenchmarkError
from calprune.extras import needed

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_AT_ONCE = 16  # rows with their images


class Shards:
    """The files of one table, in order. Images are read again when they are asked for.

    Reading images in the order of the table costs one pass over it. Going back starts the row
    group again and reads all that lies before the row, so a benchmark gives its questions in the
    order of their images' rows.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise BenchmarkError("a parquet table without files")
        self.paths = tuple(paths)
        self._lock = threading.Lock()
        self._stream: tuple[str, int, Iterator[tuple[int, Any]]] | None = None
        self._digests: dict[int, str] = {}

    def rows(
        self, columns: Sequence[str], image: str = "image", further: Sequence[str] = ()
    ) -> Iterator[Record]:
        """Every row with these columns and the digest of its image; ``image`` "" leaves it out.

        A column of images may hold one image or a list, of which the first counts. Of ``further``
        columns of images the row only holds whether there is one. Raises BenchmarkError for other
        columns than expected or a file that cannot be read.
        """
        at = 0
        for path in self.paths:
            table = _opened(path)
            wanted = [*columns, *([image] if image else []), *further]
            missing = [c for c in wanted if c not in table.schema_arrow.names]
            if missing:
                raise BenchmarkError(
                    f"{path}: no column {', '.join(missing)}; it has "
                    f"{', '.join(table.schema_arrow.names)}: is it a file of another benchmark, "
                    "or of another release?"
                )
            for i, values in enumerate(_values(path, table, wanted)):
                where = f"{path}, row {i + 1}"
                digest = ""
                if image and (found := _content(values.pop(image))) is not None:
                    digest = hashlib.sha256(found).hexdigest()
                    self._digests[at] = digest
                values |= {name: _content(values[name]) is not None for name in further}
                yield Record(where, values, at, digest)
                at += 1

    def digest(self, at: int) -> str:
        """SHA-256 of the image of a row that ``rows`` has passed; BenchmarkError if it has none."""
        if at not in self._digests:
            raise self._empty(at)
        return self._digests[at]

    def picture(self, at: int, image: str = "image") -> Blob:
        """The image of a row, by its index in the whole table; BenchmarkError if it has none."""
        with self._lock:
            stream, self._stream = self._stream, None  # one that fails is not gone on with
            if stream is None or stream[0] != image or not self._ahead(stream[1], at):
                stream = (image, at, self._images(image, at))
            for index, content in stream[2]:
                if index == at:
                    self._stream = (image, at + 1, stream[2])
                    if content is None:
                        raise self._empty(at)
                    return Blob(self._where(at), content)
        raise BenchmarkError(f"{self.paths[-1]}: the table has no row of index {at}")

    def _ahead(self, here: int, at: int) -> bool:
        """Whether row ``at`` is still to come in the row group that is being read."""
        return here <= at and bisect_right(self._starts, here) == bisect_right(self._starts, at)

    @cached_property
    def _starts(self) -> list[int]:
        """Index of every row group's first row."""
        sizes = []
        for path in self.paths:
            metadata = _opened(path).metadata
            sizes += [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        return list(accumulate(sizes, initial=0))

    def _images(self, image: str, first: int) -> Iterator[tuple[int, bytes | None]]:
        """Index and image of every row, from the row group that holds row ``first``."""
        at = 0
        for path in self.paths:
            table = _opened(path)
            for group in range(table.num_row_groups):
                n = table.metadata.row_group(group).num_rows
                if at + n > first:
                    values = _values(path, table, [image], [group])
                    for i, row in enumerate(values):
                        yield at + i, _content(row[image])
                at += n

    def _empty(self, at: int) -> BenchmarkError:
        return BenchmarkError(f"{self._where(at)}: no picture in this row; fetch the table again")

    def _where(self, at: int) -> str:
        shard = bisect_right(self._ends, at)
        return f"{self.paths[shard]}, row {at - (self._ends[shard - 1] if shard else 0) + 1}"

    @cached_property
    def _ends(self) -> list[int]:
        """Index after every file's last row."""
        return list(accumulate(_opened(path).metadata.num_rows for path in self.paths))


def _values(
    path: Path, table: ParquetFile, columns: Sequence[str], groups: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows as plain values, a few at a time."""
    import pyarrow as pa

    chosen = list(groups) if groups is not None else list(range(table.num_row_groups))
    try:
        for group in chosen:
            for batch in table.iter_batches(_AT_ONCE, row_groups=[group], columns=list(columns)):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"{path}: cannot be read on ({_first_line(error)}); truncated? fetch it again"
        ) from error


def _opened(path: Path) -> ParquetFile:
    with needed(f"reading {path.name}", "data"):
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    try:
        return ParquetFile(path, memory_map=True, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise BenchmarkError(
            f"{path}: not a parquet file ({_first_line(error)}); truncated? fetch it again"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _content(value: Any) -> bytes | None:
    """The encoded image in a cell: a struct with ``bytes``, plain bytes, or a list of them."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("bytes")
    return value if isinstance(value, bytes) and value else None
