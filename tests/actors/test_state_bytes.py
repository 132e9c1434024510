"""What goes from slot to slot: read as it was written, or dropped."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.rules import Moment, Sighting
from actors.analytics.rules.state import flags, floats, moments, sightings
from actors.analytics.state_bytes import VERSION, StateBytes, to_bytes
from actors.errors import StateError

NOON = Moment(1.5, 1_700_000_000.1, 7.0)
CAR = Sighting(3, "car", 0.9, (1.0, 2.0, 30.5, 40.25), NOON)
WRITTEN = to_bytes({"labels": ["car"]}, [1, moments([NOON, None]), np.arange(4.0)])


def read(tree: object, pts_shift_s: float = 0.0) -> object:
    return StateBytes(to_bytes(None, tree)).tree(pts_shift_s)


def test_the_head_can_be_read_without_the_tree():
    assert StateBytes(WRITTEN).head == {"labels": ["car"]}


def test_a_tree_comes_back_with_lists_for_columns():
    late = replace(NOON, t_s=2.0)
    tree = {
        "values": [None, True, 3, 0.1, "ä", {"nested": [-1]}],
        "floats": floats([0.1, 1e300]),
        "flags": [flags([True, None, False]), flags([])],
        "moments": [moments([NOON, None, late]), moments([NOON])],
        "seen": sightings([None, CAR, replace(CAR, at=late, class_name="bus")]),
    }
    assert read(tree) == {
        "values": [None, True, 3, 0.1, "ä", {"nested": [-1]}],
        "floats": [0.1, 1e300],
        "flags": [[True, None, False], []],
        "moments": [[NOON, None, late], [NOON]],
        "seen": [None, CAR, replace(CAR, at=late, class_name="bus")],
    }


@pytest.mark.parametrize("kind", ["f8", "f4", "i8", "i4", "i1", "u1", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (2, 3), (2, 0, 5)])
def test_arrays_come_back_as_they_were(kind, shape):
    array = np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape)
    found = read([array, array.T])
    for before, after in zip([array, array.T], found, strict=True):  # type: ignore[arg-type]
        assert (after.dtype, after.shape) == (before.dtype, before.shape)
        assert (after == before).all()


def test_the_source_s_clock_of_moments_is_shifted_and_no_other():
    found = read([moments([NOON]), sightings([CAR])], pts_shift_s=100.0)
    shifted = replace(NOON, pts_s=107.0)
    assert found == [[shifted], [replace(CAR, at=shifted)]]


def test_a_moment_is_written_once_however_often_it_is_told_of():
    once = len(to_bytes(None, moments([NOON])))
    assert len(to_bytes(None, [moments([NOON] * 50) for _ in range(20)])) < once + 200


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
    assert (found.head, str(found.tree())) == (whole.head, str(whole.tree()))


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
        StateBytes(WRITTEN[:4] + zlib.compress(content)).tree()


def test_bytes_of_another_version_are_refused_with_both_named():
    other = WRITTEN[:3] + bytes([VERSION + 1]) + WRITTEN[4:]
    with pytest.raises(StateError, match=rf"SLM.x0{VERSION + 1}.*reads.*SLM.x0{VERSION}"):
        StateBytes(other)


@pytest.mark.parametrize(
    "text",
    [
        b'{"$array":["O",1]}',
        b'{"$array":["<f8",1000000]}',
        b'{"$array":["<f8",-1]}',
        b'{"$array":7}',
        b"[" * 100_000,
        b'{"a":',
    ],
)
def test_a_head_that_promises_what_is_not_there_is_refused(text):
    section = len(text).to_bytes(4, "big") + text
    with pytest.raises(StateError):
        StateBytes(WRITTEN[:4] + zlib.compress(section))


def test_bytes_that_unpack_to_more_than_a_state_ever_has_are_refused():
    with pytest.raises(StateError, match="larger than"):
        StateBytes(WRITTEN[:4] + zlib.compress(bytes(9_000_000)))


@pytest.mark.parametrize("value", [object(), np.array([None]), {1, 2}])
def test_what_no_state_may_hold_is_refused_where_it_is_written(value):
    with pytest.raises(TypeError, match="a state cannot hold"):
        to_bytes(None, [value])
