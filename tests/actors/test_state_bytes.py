"""What goes from slot to slot: read as it was written, or dropped."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.rules import Moment, Sighting
from actors.analytics.rules.side import Side
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.state_bytes import VERSION, StateBytes, to_bytes
from actors.errors import StateError

NOON = Moment(1.5, 1_700_000_000.1, 7.0)
CAR = Sighting(3, "car", 0.9, (1.0, 2.0, 30.5, 40.25), NOON)


def example() -> StateWriter:
    to = StateWriter()
    to.moments([NOON, None])
    to.array(np.arange(4.0))
    to.noise(np.arange(-3, 4, dtype=np.int8))
    return to


WRITTEN = to_bytes({"labels": ["car"]}, example().columns)


def reader(to: StateWriter, pts_shift_s: float = 0.0) -> StateReader:
    return StateBytes(to_bytes(None, to.columns)).reader(pts_shift_s)


def test_the_head_can_be_read_without_the_columns():
    assert StateBytes(WRITTEN).head == {"labels": ["car"]}


def test_columns_come_back_in_their_order_each_kind_by_itself():
    late, to = replace(NOON, t_s=2.0), StateWriter()
    bus = replace(CAR, at=late, class_name="bus", track=2**40)
    to.value({"nested": [None, True, 3, 0.1, "ä", (-1,)]})
    to.floats([0.1, 1e300, -math.inf])
    to.ints([2**62, -(2**62), 0])
    to.flags([True, None, False])
    to.flags([])
    to.tracks([None, 7])
    to.moments([NOON, None, late])
    to.sightings(each for each in (CAR, bus, CAR))
    to.sides([Side(True, None, late, 3.0, NOON), Side()])
    to.moments([NOON])
    found = reader(to)
    assert found.value() == {"nested": [None, True, 3, 0.1, "ä", [-1]]}
    assert found.floats() == [0.1, 1e300, -math.inf]
    assert found.ints() == [2**62, -(2**62), 0]
    assert (found.flags(), found.flags()) == ([True, None, False], [])
    assert found.tracks() == [None, 7]
    assert found.moments() == [NOON, None, late]
    assert found.sightings() == [CAR, bus, CAR]
    assert found.sides() == [Side(True, None, late), Side()]
    assert found.moments() == [NOON]


@pytest.mark.parametrize("kind", ["ints", "floats", "moments", "value", "array", "noise"])
def test_more_than_was_written_cannot_be_read(kind):
    with pytest.raises(ValueError, match="none left"):
        getattr(reader(StateWriter()), kind)()


def test_a_column_that_is_shorter_than_it_says_is_refused():
    to = example()
    to.columns.lengths[0] = 3
    with pytest.raises(ValueError, match="3 moments expected, 2 left"):
        reader(to).moments()


@pytest.mark.parametrize("kind", ["f8", "f4", "i8", "i4", "i1", "u1", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (2, 3), (2, 0, 5)])
def test_arrays_come_back_as_they_were(kind, shape):
    array = np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape)
    to = StateWriter()
    to.array(array)
    to.noise(array)
    to.array(array.T)
    found = reader(to)
    read = [found.array(), found.array(), found.noise()]
    for before, after in zip([array, array.T, array], read, strict=True):
        assert (after.dtype, after.shape) == (before.dtype, before.shape)
        assert (after == before).all()


def test_the_source_s_clock_of_moments_is_shifted_and_no_other():
    to = StateWriter()
    to.moments([NOON])
    to.sightings([CAR])
    found, shifted = reader(to, pts_shift_s=100.0), replace(NOON, pts_s=107.0)
    assert (found.moments(), found.sightings()) == ([shifted], [replace(CAR, at=shifted)])


def test_a_moment_is_written_once_however_often_it_is_told_of():
    once, often = StateWriter(), StateWriter()
    once.moments([NOON])
    for _ in range(20):
        often.moments([NOON] * 50)
    assert len(to_bytes(None, often.columns)) < len(to_bytes(None, once.columns)) + 100


def test_noise_is_not_packed():
    to, zeros = StateWriter(), np.zeros(1000)
    to.array(zeros)
    packed = len(to_bytes(None, to.columns))
    to.noise(zeros)
    assert packed < 500
    assert len(to_bytes(None, to.columns)) >= packed + zeros.nbytes


def read(state: StateBytes) -> str:
    saved = state.reader()
    return f"{saved.moments()} {saved.array()} {saved.noise()}"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_refused(data):
    at = data.draw(st.integers(0, len(WRITTEN) - 1))
    flip = data.draw(st.integers(1, 255))
    damaged = WRITTEN[:at] + bytes([WRITTEN[at] ^ flip]) + WRITTEN[at + 1 :]
    try:
        found = StateBytes(damaged)
    except StateError:
        return
    # zlib's own words, as how hard it tried, and the bits that fill up its last byte
    whole = StateBytes(WRITTEN)
    assert (found.head, read(found)) == (whole.head, read(whole))


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, len(WRITTEN) - 1))
def test_bytes_that_are_cut_off_or_go_on_are_refused(cut):
    for other in (WRITTEN[:cut], WRITTEN + WRITTEN[cut:]):
        with pytest.raises(StateError):
            StateBytes(other)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_what_was_packed_by_somebody_else_is_refused(content):
    with pytest.raises(StateError):
        StateBytes(WRITTEN[:4] + 3 * zlib.compress(content)).reader()


def test_bytes_of_another_version_are_refused_with_both_named():
    other = WRITTEN[:3] + bytes([VERSION + 1]) + WRITTEN[4:]
    with pytest.raises(StateError, match=rf"SLM.x0{VERSION + 1}.*reads.*SLM.x0{VERSION}"):
        StateBytes(other)


@pytest.mark.parametrize(
    "text",
    [
        b'[0,[["O",1]]]',
        b'[0,[["<f8",1000000]]]',
        b'[0,[["<f8",-1]]]',
        b"[0,[7]]",
        b"[0,7]",
        b"[" * 100_000,
        b'[{"a":',
    ],
)
def test_a_part_that_promises_what_is_not_there_is_refused(text):
    part = zlib.compress(len(text).to_bytes(4, "big") + text)
    with pytest.raises(StateError, match="cannot be read"):
        StateBytes(WRITTEN[:4] + 3 * part)


@pytest.mark.parametrize("num", [0, 1, 2, 4])
def test_other_than_three_parts_are_refused(num):
    text = b"[0,[]]"
    part = zlib.compress(len(text).to_bytes(4, "big") + text)
    assert StateBytes(WRITTEN[:4] + 3 * part).head == 0
    with pytest.raises(StateError, match=f"{num} parts"):
        StateBytes(WRITTEN[:4] + num * part)


@pytest.mark.parametrize("sizes", [(9_000_000, 0, 0), (3_000_000, 3_000_000, 3_000_000)])
def test_bytes_that_unpack_to_more_than_a_state_ever_has_are_refused(sizes):
    with pytest.raises(StateError, match="larger than"):
        StateBytes(WRITTEN[:4] + b"".join(zlib.compress(bytes(size)) for size in sizes))


@pytest.mark.parametrize("array", [np.array([None]), np.array(["a"]), np.zeros(2, complex)])
@pytest.mark.parametrize("kind", ["array", "noise"])
def test_an_array_of_anything_but_numbers_is_refused_where_it_is_written(kind, array):
    to = StateWriter()
    getattr(to, kind)(array)
    with pytest.raises(TypeError, match="a state cannot hold"):
        to_bytes(None, to.columns)


def test_a_value_that_is_none_of_json_is_refused_where_it_is_written():
    to = StateWriter()
    to.value({1, 2})
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_bytes(None, to.columns)
