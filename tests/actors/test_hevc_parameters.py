"""What an SPS says of order is rewritten, and nothing else of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ingest.hevc_parameters import (
    delay_pictures,
    delay_sequence,
    has_parameters,
)
from actors.ingest.rtsp.nal import is_annex_b

VPS = bytes.fromhex("40010c01ffff01600000030090000003000003003cba02400000")
SPS = bytes.fromhex(
    "42010101600000030090000003000003003ca010206165ba4a4c2e6808000003000800000300c840"
)
PPS = bytes.fromhex("4401c073c189")
SLICE = bytes.fromhex("2801ac3f0000030102")  # an IDR picture's
START, LONG_START = b"\0\0\1", b"\0\0\0\1"


def ue(value: int) -> str:
    text = f"{value + 1:b}"
    return "0" * (len(text) - 1) + text


@dataclass(frozen=True)
class Sequence265:
    """An SPS in words; written by other means than it is read."""

    lower: Sequence[tuple[str, str]]  # profile and level of each sub-layer but the highest
    profile: str
    numbers: Sequence[int]
    is_444: bool
    window: Sequence[int]
    order: Sequence[tuple[int, int, int]]
    rest: str

    def nal(self) -> bytes:
        flags = "".join(f"{bool(p):d}{bool(level):d}" for p, level in self.lower)
        flags += "00" * (8 - len(self.lower)) if self.lower else ""
        identity, chroma, width, height, luma, depth, poc = self.numbers
        text = "".join(
            (
                f"0000{len(self.lower):03b}1",
                self.profile + flags + "".join(p + level for p, level in self.lower),
                ue(identity) + (ue(3) + "0" if self.is_444 else ue(chroma)),
                ue(width) + ue(height),
                "1" + "".join(map(ue, self.window)) if self.window else "0",
                ue(luma) + ue(depth) + ue(poc),
                "1" if len(self.order) > 1 else "0",
                "".join(ue(value) for values in self.order for value in values),
                self.rest + "1",
            )
        )
        text += "0" * (-len(text) % 8)
        plain = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        return b"\x42\x01" + protected(plain)


def protected(plain: bytes) -> bytes:
    found, num_zeros = bytearray(), 0
    for byte in plain:
        if num_zeros == 2 and byte <= 3:
            found.append(3)
            num_zeros = 0
        found.append(byte)
        num_zeros = num_zeros + 1 if byte == 0 else 0
    return bytes(found)


def bits(num: int) -> st.SearchStrategy[str]:
    # Many zeros, so that bytes have to be put in against false start codes.
    sparse = st.sampled_from(["0" * num, "0" * (num - 1) + "1", "01" * (num // 2)])
    return sparse | st.text("01", min_size=num, max_size=num)


@st.composite
def sequences(draw: st.DrawFn, min_reordered: int, max_reordered: int) -> Sequence265:
    maybe = [st.just("") | bits(88), st.just("") | bits(8)]
    lower = draw(st.lists(st.tuples(*maybe), max_size=6))
    num_listed = draw(st.sampled_from([1, len(lower) + 1]))
    order = []
    for _ in range(num_listed):
        num_reordered = draw(st.integers(min_reordered, max_reordered))
        num_buffered = draw(st.integers(num_reordered, 15))
        order.append((num_buffered, num_reordered, draw(st.integers(0, 40))))
    return Sequence265(
        lower=lower,
        profile=draw(bits(96)),
        numbers=draw(st.lists(st.integers(0, 2), min_size=2, max_size=2))
        + draw(st.lists(st.integers(0, 9000), min_size=5, max_size=5)),
        is_444=draw(st.booleans()),
        window=draw(st.just([]) | st.lists(st.integers(0, 70), min_size=4, max_size=4)),
        order=order,
        rest=draw(st.integers(0, 200).flatmap(bits) if draw(st.booleans()) else bits(16)),
    )


@given(sequences(0, 0))
def test_pictures_are_then_reordered_by_one_and_all_else_is_as_it_was(sequence):
    order = [(min(num + 1, 15), 1, latency) for num, _, latency in sequence.order]
    rewritten = delay_sequence(sequence.nal())
    assert rewritten == (replace(sequence, order=order).nal(), True)
    assert delay_sequence(rewritten.data) == rewritten
    assert not re.search(rb"\0\0[\0-\2]", rewritten.data)


@given(sequences(1, 15))
def test_what_is_reordered_already_stays_as_it_is(sequence):
    assert delay_sequence(sequence.nal()) == (sequence.nal(), True)


@given(sequences(0, 0), st.data())
def test_what_ends_too_early_stays_as_it_is_and_is_told(sequence, data):
    whole = replace(sequence, rest="").nal()
    cut = data.draw(st.integers(2, min(len(whole), 14) - 1))
    assert delay_sequence(whole[:cut]) == (whole[:cut], False)


@given(st.binary(max_size=60))
def test_anything_may_come(data):
    assert delay_sequence(data).data[:2] == data[:2]
    if not delay_pictures(data).is_delayed:
        assert delay_pictures(data).data == data


@pytest.mark.parametrize("values", [(16, 0, 0), (1, 2, 0)])
def test_numbers_that_cannot_be_are_not_read(values):
    sequence = Sequence265([], "01" * 48, [0, 1, 64, 64, 0, 0, 4], False, [], [values], "0")
    assert not delay_sequence(sequence.nal()).is_delayed


@pytest.mark.parametrize("start", [START, LONG_START])
def test_of_an_access_unit_the_sps_alone_is_changed(start):
    rewritten = delay_pictures(start.join((b"", VPS, SPS, PPS, SLICE)))
    expected = start.join((b"", VPS, delay_sequence(SPS).data, PPS, SLICE))
    assert rewritten == (expected, True)
    assert expected != start.join((b"", VPS, SPS, PPS, SLICE))


def test_what_has_no_sps_is_given_back_itself():
    for data in (b"", LONG_START, START + SPS[:1], START + SLICE, START + PPS + START + SLICE):
        assert delay_pictures(data).data is data
        assert delay_pictures(data).is_delayed


def test_an_sps_of_another_layer_is_left_alone():
    other = START + bytes((SPS[0] | 1, SPS[1])) + SPS[2:]
    assert delay_pictures(other) == (other, True)


def test_one_sps_that_cannot_be_read_is_told():
    data = START + SPS + START + SPS[:9] + START + SLICE
    assert delay_pictures(data) == (data, False)


def test_the_picture_before_a_key_frame_is_not_left_out():
    hiding = bytes((SLICE[0], SLICE[1], SLICE[2] | 0x40)) + SLICE[3:]
    plain = bytes((SLICE[0], SLICE[1], SLICE[2] & ~0x40)) + SLICE[3:]
    rewritten = delay_pictures(LONG_START + PPS + LONG_START + hiding + bytes(64))
    assert rewritten.data == LONG_START + PPS + LONG_START + plain + bytes(64)
    trailing = LONG_START + b"\x02\x01" + hiding[2:]
    assert delay_pictures(trailing).data is trailing


def test_sets_are_looked_for_only_where_an_access_unit_does_not_begin_with_a_slice():
    for start in (START, LONG_START):
        assert [has_parameters(start + unit) for unit in (VPS, SPS, SLICE)] == [True, True, False]


def test_sets_of_files_are_not_behind_start_codes():
    assert [is_annex_b(sets) for sets in (b"", START + VPS, LONG_START + VPS)] == [True] * 3
    assert not is_annex_b(bytes.fromhex("0101600000"))
