"""The datasets of a sealed file, by an allow-list of what they may be and how they are stored."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.data.storage.schema import FORMATS
from calprune.data.storage.validation import MOST_MEMBERS, NAME
from calprune.errors import Mismatch

_LARGEST_CHUNK = 64 << 20

Arrays = dict[str, NDArray[Any]]


def read_arrays(path: Path, file: Any, kind: str, size: int, *, lenient: bool) -> Arrays:
    """Datasets by an allow-list: hard links only, known names, plain types, no outside storage."""
    arrays: Arrays = {}
    # views are stored as they are; everything else compresses, honest constant columns 1000:1
    room = 2 * size + _LARGEST_CHUNK
    if kind != "calprune.features":
        room = min(200 * size, 1 << 30) + _LARGEST_CHUNK
    for group_name, group in _members(path, file, "", groups=True):
        for name, dataset in _members(path, group, group_name, groups=False):
            full = f"{group_name}/{name}"
            if FORMATS[kind].column(full) is None and not lenient:
                raise Mismatch(f"{path}: {full} is not part of {kind}")
            _check_storage(path, full, dataset, size)
            room -= dataset.dtype.itemsize * int(np.prod(dataset.shape, dtype=np.float64))
            if room < 0:
                raise Mismatch(f"{path}: declares far more than the {size} bytes it has")
            arrays[full] = dataset[()]
    return arrays


def _check_storage(path: Path, name: str, dataset: Any, size: int) -> None:
    """Plain little-endian values inside the file, checksummed, in chunks of reasonable size."""
    import h5py

    plist = dataset.id.get_create_plist()
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    fletcher = h5py.h5z.FILTER_FLETCHER32
    if plist.get_external_count() or dataset.is_virtual or dataset.shape is None:
        raise Mismatch(f"{path}: {name} stores its values elsewhere")
    if not filters <= {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, fletcher}:
        raise Mismatch(f"{path}: {name} uses a filter that is not allowed")
    if dataset.size and fletcher not in filters:
        raise Mismatch(f"{path}: {name} carries no checksum")
    kind = dataset.dtype
    if kind.kind not in "ifbS" or kind.hasobject or kind.byteorder == ">" or kind.itemsize > 512:
        raise Mismatch(f"{path}: {name} has type {kind}, which is not allowed")
    if dataset.maxshape != dataset.shape:
        raise Mismatch(f"{path}: {name} could grow")
    if dataset.chunks is not None:
        chunk = kind.itemsize * int(np.prod(dataset.chunks, dtype=np.float64))
        larger = any(c > s for c, s in zip(dataset.chunks, dataset.shape, strict=True))
        if larger or chunk > _LARGEST_CHUNK:
            raise Mismatch(f"{path}: {name} is cut into chunks of {chunk} bytes")
        _check_chunks(path, name, dataset, size)
    if set(dataset.attrs) != {"dims", "meaning", "unit"}:
        raise Mismatch(f"{path}: {name} lacks dims, meaning or unit, or has more attributes")


def _check_chunks(path: Path, name: str, dataset: Any, size: int) -> None:
    """Every chunk is stored, within the file and through all filters: none reads as fill values."""
    wanted = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
    stored: list[Any] = []
    dataset.id.chunk_iter(stored.append)
    if len(stored) != wanted:
        raise Mismatch(
            f"{path}: {name} has {len(stored)} of its {wanted} chunks; the rest would be made up"
        )
    for chunk in stored:
        if chunk.filter_mask or not 0 < chunk.size <= size - chunk.byte_offset <= size:
            raise Mismatch(f"{path}: {name} has a chunk without checksum or outside the file")


def _members(path: Path, group: Any, where: str, *, groups: bool) -> list[tuple[str, Any]]:
    import h5py

    if len(group) > MOST_MEMBERS:
        raise Mismatch(f"{path}: {len(group)} members in /{where}")
    wanted = h5py.Group if groups else h5py.Dataset
    members = []
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink) or not NAME.fullmatch(name):
            raise Mismatch(f"{path}: {f'{where}/{name}'!a} is not a plain member")
        found = group[name]
        if not isinstance(found, wanted):
            raise Mismatch(f"{path}: {f'{where}/{name}'!a} is unexpected")
        members.append((name, found))
    return members
