"""Tables with images: read as written in any order, like the hub's own library, in small steps."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calprune.data.benchmark import Blob
from calprune.data.sources import parquet
from calprune.data.sources.parquet import Shards
from calprune.errors import BenchmarkError
from tests.fixtures import picture, save_table

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Cells = Sequence[bytes | None]


def write(path: Path, images: Cells, group: int = 3, **columns: Sequence[Any]) -> Path:
    """A table with image cells as the hub has them, ``group`` rows to a row group."""
    cells = [None if c is None else {"bytes": c, "path": f"{i}.png"} for i, c in enumerate(images)]
    table = pa.table({**columns, "image": pa.array(cells, IMAGE)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def content(shards: Shards, at: int, image: str = "image") -> bytes:
    blob = shards.picture(at, image)
    assert isinstance(blob, Blob)
    return blob.content


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[bytes | None]], list[int], list[int]]:
    """Shards of image cells, the size of a row group of each, and indices of rows to look at."""
    cell = st.none() | st.binary(min_size=1, max_size=40)
    shards = draw(st.lists(st.lists(cell, max_size=40), min_size=1, max_size=4))
    groups = [draw(st.integers(1, 45)) for _ in shards]
    rows = sum(map(len, shards))
    order = draw(st.lists(st.integers(0, rows - 1), max_size=30)) if rows else []
    return shards, groups, order


@given(tables())
def test_every_row_is_read_as_written_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    table: tuple[list[list[bytes | None]], list[int], list[int]],
) -> None:
    cells, groups, order = table
    folder = tmp_path_factory.mktemp("table")
    paths = [
        write(folder / f"{k}.parquet", shard, group, n=pa.array(range(len(shard)), pa.int64()))
        for k, (shard, group) in enumerate(zip(cells, groups, strict=True))
    ]
    flat = [(k, i, cell) for k, shard in enumerate(cells) for i, cell in enumerate(shard)]
    shards = Shards(paths)
    rows = list(shards.rows(["n"]))
    assert [row.at for row in rows] == list(range(len(flat)))
    assert [row.integer("n") for row in rows] == [i for _, i, _ in flat]
    assert [row.where for row in rows] == [f"{paths[k]}, row {i + 1}" for k, i, _ in flat]
    for row, (_, _, cell) in zip(rows, flat, strict=True):
        assert row.digest == (hashlib.sha256(cell).hexdigest() if cell else "")
    for at in order:
        where, cell = rows[at].where, flat[at][2]
        if cell is None:
            with pytest.raises(BenchmarkError, match="picture") as error:
                shards.picture(at)
            assert str(error.value).startswith(where)
        else:
            assert (content(shards, at), shards.picture(at).where) == (cell, where)
            assert shards.digest(at) == rows[at].digest


def test_going_forward_reads_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[Any]()
    inner = parquet._content
    monkeypatch.setattr(parquet, "_content", lambda cell: read.append(cell) or inner(cell))
    shards = Shards(
        [write(tmp_path / f"{k}.parquet", [bytes([k, i]) for i in range(10)]) for k in range(3)]
    )
    for at in range(30):
        assert content(shards, at) == bytes([at // 10, at % 10])
    assert len(read) == 30
    content(shards, 13)  # going back starts the row group that holds it again, rows 13 to 15
    assert len(read) == 31


@pytest.mark.parametrize("group", [1, 4, 100])
def test_rows_are_those_of_the_hubs_own_library(tmp_path: Path, group: int) -> None:
    """The peer: ``datasets``, which also wrote the files, streaming them."""
    text = datasets.Value("string")
    features = {
        "id": datasets.Value("int64"),
        "question": text,
        "options": [text],
        "types": {"structural": text, "semantic": text},
        "score": datasets.Value("float32"),
        "image": datasets.Image(),
    }
    table = [
        {
            "id": i,
            "question": [None, "", "nan", "What's “ÿ”?\n\tq"][i % 4],
            "options": ["None", f"{i}"][: i % 3],
            "types": {"structural": "query", "semantic": None},
            "score": i / 7,
            "image": None if i == 5 else {"bytes": picture(i), "path": f"{i}.jpg"},
        }
        for i in range(23)
    ]
    paths = [tmp_path / f"data/test-0000{k}-of-00002.parquet" for k in range(2)]
    save_table(paths[0], table[:17], features, group)
    save_table(paths[1], table[17:], features, group)

    peer = datasets.load_dataset(
        "parquet", data_files=list(map(str, paths)), split="train", streaming=True
    ).cast_column("image", datasets.Image(decode=False))
    shards = Shards(paths)
    ours = list(shards.rows([name for name in features if name != "image"]))
    seen = 0
    for row, theirs in zip(ours, peer, strict=True):
        image = theirs.pop("image")
        assert dict(row.values) == theirs
        if image is None:
            assert not row.digest
        else:
            assert content(shards, row.at) == image["bytes"]
            assert row.digest == hashlib.sha256(image["bytes"]).hexdigest()
        seen += 1
    assert seen == 23


PEAK = """
import sys
import pyarrow
from pathlib import Path
from calprune.data.sources.parquet import Shards

shards = Shards([Path(sys.argv[1])])
rows = sum(bool(row.digest) for row in shards.rows(["id"]))
for at in range(rows):
    shards.picture(at)
print(rows, pyarrow.default_memory_pool().max_memory())
"""


@pytest.mark.parametrize("writer", ["datasets", "pyarrow"])
def test_a_table_is_never_in_memory_as_a_whole(tmp_path: Path, writer: str) -> None:
    """30 MB, less than a quarter at a time; in a process of its own, whose peak is its own."""
    rng = np.random.default_rng(0)
    rows, size = 300, 100_000
    path = tmp_path / "table.parquet"
    images = [rng.bytes(size) for _ in range(rows)]
    ids = list(map(str, range(rows)))
    if writer == "datasets":
        table = [{"id": i, "image": image} for i, image in zip(ids, images, strict=True)]
        features = {"id": datasets.Value("string"), "image": datasets.Image()}
        save_table(path, table, features, group=100)
    else:  # compressed pages of many images each
        write(path, images, group=20, id=ids)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)],
        env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not done.returncode, done.stderr
    found, peak = map(int, done.stdout.split())
    assert found == rows
    assert path.stat().st_size > rows * size
    assert size < peak < rows * size / 4


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (IMAGE, {"bytes": b"picture", "path": None}),
        (pa.binary(), b"picture"),
        (pa.large_binary(), b"picture"),
        (pa.list_(IMAGE), [{"bytes": b"picture", "path": "a"}, {"bytes": b"other", "path": "b"}]),
        (pa.list_(pa.binary()), [b"picture", b"other"]),
    ],
)
def test_images_in_every_kind_of_cell(tmp_path: Path, kind: pa.DataType, cell: Any) -> None:
    pq.write_table(pa.table({"image": pa.array([None, cell], kind)}), tmp_path / "a.parquet")
    shards = Shards([tmp_path / "a.parquet"])
    assert [row.digest for row in shards.rows([])] == ["", hashlib.sha256(b"picture").hexdigest()]
    assert content(shards, 1) == b"picture"


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (IMAGE, None),
        (IMAGE, {"bytes": None, "path": "somewhere/else.jpg"}),
        (IMAGE, {"bytes": b"", "path": None}),
        (pa.list_(IMAGE), []),
        (pa.list_(IMAGE), [None]),
        (pa.string(), "base64"),
    ],
)
def test_a_cell_without_an_image_is_named(tmp_path: Path, kind: pa.DataType, cell: Any) -> None:
    pq.write_table(pa.table({"image": pa.array([cell, cell], kind)}), tmp_path / "a.parquet")
    shards = Shards([tmp_path / "a.parquet"])
    assert [row.digest for row in shards.rows([])] == ["", ""]
    for read in (shards.digest, shards.picture):
        with pytest.raises(BenchmarkError, match=r"a\.parquet, row 2: no picture in this row"):
            read(1)


def test_of_further_images_only_their_presence_is_told(tmp_path: Path) -> None:
    columns: Mapping[str, Any] = {
        "id": ["a", "b", "c"],
        "second": pa.array([None, {"bytes": b"x", "path": None}, {"bytes": None}], IMAGE),
        "third": pa.array([b"y", None, b""], pa.binary()),
    }
    shards = Shards([write(tmp_path / "a.parquet", [b"1", None, b"3"], **columns)])
    rows = list(shards.rows(["id"], "image", ["second", "third"]))
    assert [dict(row.values) for row in rows] == [
        {"id": "a", "second": False, "third": True},
        {"id": "b", "second": True, "third": False},
        {"id": "c", "second": False, "third": False},
    ]
    assert [bool(row.digest) for row in rows] == [True, False, True]


def test_images_of_two_columns_in_turn(tmp_path: Path) -> None:
    others = pa.array([b"x", b"y", b"z"], pa.binary())
    shards = Shards([write(tmp_path / "a.parquet", [b"1", b"2", b"3"], other=others)])
    found = [content(shards, at, name) for at in range(3) for name in ("image", "other")]
    assert found == [b"1", b"x", b"2", b"y", b"3", b"z"]


def test_columns_are_read_without_images(tmp_path: Path) -> None:
    shards = Shards([write(tmp_path / "a.parquet", [b"1", b"2"], id=["a", "b"])])
    rows = list(shards.rows(["id"], image=""))
    assert [(dict(row.values), row.digest) for row in rows] == [
        ({"id": "a"}, ""),
        ({"id": "b"}, ""),
    ]


def test_threads_get_the_images_they_ask_for(tmp_path: Path) -> None:
    images = [bytes([i]) * 9 for i in range(40)]
    shards = Shards([write(tmp_path / "a.parquet", images, group=7)])
    wrong = list[int]()

    def look(seed: int) -> None:
        order = np.random.default_rng(seed).integers(0, len(images), 60).tolist()
        wrong.extend(at for at in order if content(shards, at) != images[at])

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_columns_are_named(tmp_path: Path) -> None:
    shards = Shards([write(tmp_path / "a.parquet", [b"1"], id=["a"])])
    with pytest.raises(
        BenchmarkError, match=r"a\.parquet: no column question, x; it has id, image"
    ):
        next(shards.rows(["id", "question"], further=["x"]))
    with pytest.raises(BenchmarkError, match="column picture"):
        next(shards.rows(["id"], image="picture"))


def test_a_row_that_is_not_there_is_named(tmp_path: Path) -> None:
    shards = Shards([write(tmp_path / "a.parquet", [b"1"])])
    with pytest.raises(BenchmarkError, match=r"a\.parquet: the table has no row of index 1"):
        shards.picture(1)
    with pytest.raises(BenchmarkError, match="a parquet table without files"):
        Shards([])


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    bad = pa.array([b"caf\xe9"], pa.binary()).view(pa.string())
    shards = Shards([write(tmp_path / "a.parquet", [b"1"], question=bad)])
    with pytest.raises(BenchmarkError, match=r"a\.parquet: cannot be read on .*utf-8.*fetch it"):
        next(shards.rows(["question"]))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [bytes([i]) * 5000 for i in range(8)])
    whole = path.read_bytes()
    for damaged in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(BenchmarkError, match=r"a\.parquet: not a parquet file .*fetch it"):
            next(Shards([path]).rows([]))
    path.unlink()
    with pytest.raises(BenchmarkError, match=r"a\.parquet: not a parquet file .*fetch it"):
        next(Shards([path]).rows([]))


def test_after_a_failure_the_other_images_are_still_there(tmp_path: Path) -> None:
    images = [np.random.default_rng(i).bytes(5000) for i in range(6)]
    path = write(tmp_path / "a.parquet", images, group=3)
    place = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    altered = bytearray(path.read_bytes())
    altered[place : place + 200] = bytes(200)
    path.write_bytes(altered)
    shards = Shards([path])
    for _ in range(2):
        assert content(shards, 2) == images[2]
        with pytest.raises(BenchmarkError, match=r"a\.parquet: "):
            shards.picture(3)
