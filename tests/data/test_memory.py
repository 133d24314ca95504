"""The file in memory against Python's own, and float16 bits against numpy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from calprune.data.storage.finite import all_finite
from calprune.data.storage.memory import Memory

STEP = st.one_of(
    st.tuples(st.just("write"), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("read"), st.integers(0, 60)),
    st.tuples(st.just("seek"), st.integers(0, 120)),
    st.tuples(st.just("truncate"), st.integers(0, 150)),
    st.tuples(st.just("end"), st.just(0)),
)


def done(file: io.RawIOBase | io.BytesIO, name: str, value: bytes | int) -> object:
    if name == "end":
        return file.seek(0, 2)
    if name == "truncate" and isinstance(file, io.BytesIO):  # which never grows by it
        now = file.tell()
        file.seek(0, 2)
        file.write(bytes(max(int(value) - file.tell(), 0)))
        file.seek(now)
    return getattr(file, name)(value)


@given(st.lists(STEP, max_size=20), st.integers(0, 50))
def test_it_is_a_file(steps: list[tuple[str, bytes | int]], room: int) -> None:
    ours, theirs = Memory(room), io.BytesIO()
    for name, value in steps:
        assert done(ours, name, value) == done(theirs, name, value)
        assert ours.tell() == theirs.tell()
    assert ours.written == theirs.getvalue()


@given(arrays(np.uint16, st.tuples(st.integers(0, 5), st.integers(0, 7))))
def test_finite_float16_by_its_bits(bits: NDArray[np.uint16]) -> None:
    values = bits.view(np.float16)
    for seen in (values, values.T, values[::2, 1:], values.astype(">f2")):
        assert all_finite(seen) == np.isfinite(seen).all()


@pytest.mark.parametrize("place", [0, 70_000, 199_999])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_one_value_that_is_not_finite(place: int, value: float, kind: type) -> None:
    values = np.full((1000, 200), 65504.0, kind)
    assert all_finite(values)
    values.reshape(-1)[place] = value
    assert not all_finite(values)
