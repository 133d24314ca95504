"""The datasets of a sealed file, by an allow-list of what they may be and how they are stored.

Files are read through h5py's low-level interface, from memory: a sealed file has some twenty small
datasets, and the objects of the high-level one cost more than reading them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.data.storage.schema import FORMATS
from calprune.data.storage.validation import MOST_MEMBERS, NAME
from calprune.errors import Mismatch

_LARGEST_CHUNK = 64 << 20
_ABOUT = (b"dims", b"meaning", b"unit")

Arrays = dict[str, NDArray[Any]]


@contextmanager
def opened(raw: bytes) -> Iterator[Any]:
    """The root group of a whole HDF5 file in memory; what h5py raises, if it is none."""
    from h5py import h5f, h5g

    file = h5f.open_file_image(raw)
    try:
        yield h5g.open(file, b"/")
    finally:
        file.close()


def attributes_of(root: Any) -> int:
    """How many attributes an object has."""
    from h5py import h5a

    return int(h5a.get_num_attrs(root))


def attribute(root: Any, name: str, longest: int) -> bytes | None:
    """A short fixed-length text; None for anything else. KeyError if it is not there."""
    from h5py import h5a, h5s

    if not h5a.exists(root, name.encode()):
        raise KeyError(name)
    found = h5a.open(root, name.encode())
    kind = found.dtype
    single = found.get_space().get_simple_extent_type() == h5s.SCALAR
    if not single or kind.kind != "S" or kind.itemsize > longest:
        return None
    value = np.empty((), dtype=kind)
    found.read(value)
    return bytes(value[()])


def read_arrays(
    path: Path, root: Any, kind: str, size: int, *, lenient: bool, passed: bool = False
) -> Arrays:
    """Datasets by an allow-list: hard links only, known names, plain types, no outside storage.

    Where all that was found in order before (``passed``), they are read alone.
    """
    from h5py import h5d, h5g

    arrays: Arrays = {}
    # views are stored as they are; everything else compresses, honest constant columns 1000:1
    room = 2 * size + _LARGEST_CHUNK
    if kind != "calprune.features":
        room = min(200 * size, 1 << 30) + _LARGEST_CHUNK
    for group_name, group in _members(path, root, "", h5g.GroupID):
        for name, dataset in _members(path, group, group_name, h5d.DatasetID):
            full = f"{group_name}/{name}"
            if FORMATS[kind].column(full) is None and not lenient:
                raise Mismatch(f"{path}: {full} is not part of {kind}")
            if not passed:
                _check_storage(path, full, dataset, size)
            shape, dtype = dataset.shape, dataset.dtype
            room -= dtype.itemsize * math.prod(shape)
            if room < 0:
                raise Mismatch(f"{path}: declares far more than the {size} bytes it has")
            arrays[full] = _values(dataset, shape, dtype)
    return arrays


_SHARED = 64  # columns
_MOST_SHARED = 1 << 14  # bytes of a column as it is stored
_shared: dict[tuple[Any, ...], NDArray[Any]] = {}


def _values(dataset: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """All values. What is stored as the same few bytes is read once and one array, read-only.

    Files of a benchmark have most of their columns in common: names, splits, labels, images.
    """
    from h5py import h5d, h5s

    values = np.empty(shape, dtype)
    plist, stored = dataset.get_create_plist(), dataset.get_storage_size()
    single = plist.get_layout() == h5d.CHUNKED and plist.get_chunk() == shape
    if not (single and 0 < stored <= _MOST_SHARED):
        if values.size:
            dataset.read(h5s.ALL, h5s.ALL, values)
        return values
    filters = tuple(plist.get_filter(i) for i in range(plist.get_nfilters()))
    kind = dataset.get_type().encode()
    key = (shape, kind, filters, *dataset.read_direct_chunk((0,) * len(shape)))
    found = _shared.pop(key, None)
    if found is None:
        dataset.read(h5s.ALL, h5s.ALL, values)
        values.flags.writeable = False
        found = values
    _shared[key] = found  # the latest last
    if len(_shared) > _SHARED:
        del _shared[next(iter(_shared))]
    return found


def _check_storage(path: Path, name: str, dataset: Any, size: int) -> None:
    """Plain little-endian values inside the file, checksummed, in chunks of reasonable size."""
    from h5py import h5a, h5d, h5s, h5z

    plist, space, kind = dataset.get_create_plist(), dataset.get_space(), dataset.dtype
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    layout, fletcher = plist.get_layout(), h5z.FILTER_FLETCHER32
    nothing = space.get_simple_extent_type() == h5s.NULL
    if plist.get_external_count() or layout == h5d.VIRTUAL or nothing:
        raise Mismatch(f"{path}: {name} stores its values elsewhere")
    if not filters <= {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, fletcher}:
        raise Mismatch(f"{path}: {name} uses a filter that is not allowed")
    shape: tuple[int, ...] = space.get_simple_extent_dims()
    if math.prod(shape) and fletcher not in filters:
        raise Mismatch(f"{path}: {name} carries no checksum")
    if kind.kind not in "ifbS" or kind.hasobject or kind.byteorder == ">" or kind.itemsize > 512:
        raise Mismatch(f"{path}: {name} has type {kind}, which is not allowed")
    if space.get_simple_extent_dims(True) != shape:
        raise Mismatch(f"{path}: {name} could grow")
    if layout == h5d.CHUNKED:
        chunks = plist.get_chunk()
        chunk = kind.itemsize * math.prod(chunks)
        larger = any(c > s for c, s in zip(chunks, shape, strict=True))
        if larger or chunk > _LARGEST_CHUNK:
            raise Mismatch(f"{path}: {name} is cut into chunks of {chunk} bytes")
        wanted = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
        _check_chunks(path, name, dataset, wanted, size)
    if h5a.get_num_attrs(dataset) != len(_ABOUT) or not all(
        h5a.exists(dataset, about) for about in _ABOUT
    ):
        raise Mismatch(f"{path}: {name} lacks dims, meaning or unit, or has more attributes")


def _check_chunks(path: Path, name: str, dataset: Any, wanted: int, size: int) -> None:
    """Every chunk is stored, within the file and through all filters: none reads as fill values."""
    stored: list[Any] = []
    dataset.chunk_iter(stored.append)
    if len(stored) != wanted:
        raise Mismatch(
            f"{path}: {name} has {len(stored)} of its {wanted} chunks; the rest would be made up"
        )
    for chunk in stored:
        if chunk.filter_mask or not 0 < chunk.size <= size - chunk.byte_offset <= size:
            raise Mismatch(f"{path}: {name} has a chunk without checksum or outside the file")


def _members(path: Path, group: Any, where: str, wanted: type) -> list[tuple[str, Any]]:
    from h5py import h5l, h5o

    if len(group) > MOST_MEMBERS:
        raise Mismatch(f"{path}: {len(group)} members in /{where}")
    members = []
    for raw in group:
        name, links = raw.decode("utf-8", "surrogateescape"), group.links
        if links.get_info(raw).type != h5l.TYPE_HARD or not NAME.fullmatch(name):
            shown = f"{where}/{name[:60]}" + "…" * (len(name) > 60)
            raise Mismatch(f"{path}: {shown!a} is not a plain member")
        found = h5o.open(group, raw)
        if not isinstance(found, wanted):
            raise Mismatch(f"{path}: {f'{where}/{name[:60]}'!a} is unexpected")
        members.append((name, found))
    return members
