"""Rewrites what H.265 says of the order of its pictures: that they are reordered by one.

A decoder then gives each picture out with the next one's packet, when it is done anyway. Nothing
else changes: pictures are decoded alike, and shown in the same order.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_START = b"\x00\x00\x01"
_SPS = 33
_FIRST_OTHER = 32  # types below it are slices
_RANDOM_ACCESS = range(16, 24)
_HEADER_BYTES = 2
_PROFILE_BITS, _LEVEL_BITS = 88, 8
_MAX_SUB_LAYERS = 7
_MAX_BUFFERED = 15  # pictures besides the one in work
_MAX_ZEROS = 32
_NO_OUTPUT_OF_PRIOR = 0x40  # in the first byte of a slice's header
_MAX_KNOWN = 256  # cameras of one make say the same


class Rewritten(NamedTuple):
    """NAL units with what they say of order.

    Attributes:
        data: The same as given where there was nothing to change, or it could not be read.
        is_delayed: Whether a decoder that knows no other SPS gives no picture with its own packet.
    """

    data: bytes
    is_delayed: bool


def has_parameters(head: bytes | memoryview) -> bool:
    """Whether an access unit begins with something else than a slice, so that sets may follow.

    Args:
        head: Its first five bytes or more, behind a start code.
    """
    at = 4 if head[2] == 0 else 3
    return head[at] >> 1 & 0x3F >= _FIRST_OTHER


def delay_pictures(data: bytes) -> Rewritten:
    """Parameter sets, or an access unit, of which each SPS says that pictures are reordered.

    Pictures that are kept back when a sequence ends are shown, whatever its successor says.

    Args:
        data: NAL units behind start codes (Rec. ITU-T H.265, annex B).
    """
    parts: list[bytes] = []
    copied, is_delayed, start = 0, True, data.find(_START)
    while 0 <= start < len(data) - len(_START) - _HEADER_BYTES:
        begin = start + len(_START)
        kind, layer = data[begin] >> 1 & 0x3F, (data[begin] & 1) << 5 | data[begin + 1] >> 3
        if kind < _FIRST_OTHER:
            at = begin + _HEADER_BYTES
            if kind in _RANDOM_ACCESS and data[at] & _NO_OUTPUT_OF_PRIOR:
                parts += (data[copied:at], bytes((data[at] & ~_NO_OUTPUT_OF_PRIOR,)))
                copied = at + 1
            break
        start = data.find(_START, begin)
        if kind == _SPS and layer == 0:
            unit = data[begin : start if start >= 0 else len(data)].rstrip(b"\x00")
            rewritten = delay_sequence(unit)
            is_delayed &= rewritten.is_delayed
            parts += (data[copied:begin], rewritten.data)
            copied = begin + len(unit)
    is_changed = parts and is_delayed
    return Rewritten(b"".join((*parts, data[copied:])) if is_changed else data, is_delayed)


@lru_cache(_MAX_KNOWN)
def delay_sequence(unit: bytes) -> Rewritten:
    """An SPS that says that pictures are reordered by one, where it says that they are not.

    One more picture is then buffered, unless there are as many as can be. See Rec. ITU-T H.265,
    7.3.2.2 and 7.3.3, for what is read, and C.5.2 for what decoders do with it.

    Args:
        unit: The NAL unit with its header, without zeros behind it.
    """
    header, payload = unit[:_HEADER_BYTES], unit[_HEADER_BYTES:]
    bits = _Bits(payload.replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        begin, order = bits.skip_to_order()
    except ValueError:
        return Rewritten(unit, is_delayed=False)
    if order[-1][1] > 0:  # of the highest sub-layer, which is the one that is shown
        return Rewritten(unit, is_delayed=True)
    changed = "".join(
        _number(value)
        for num_buffered, _, latency in order
        for value in (min(num_buffered + 1, _MAX_BUFFERED), 1, latency)
    )
    text = bits.text[:begin] + changed + bits.text[bits.at :].rstrip("0")
    text += "0" * (-len(text) % 8)
    plain = int(text, 2).to_bytes(len(text) // 8, "big")
    return Rewritten(header + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", plain), is_delayed=True)


class _Bits:
    """Reads bits one after the other.

    Attributes:
        text: All of them, each a 0 or a 1.
        at: How many have been read.

    Raises:
        ValueError: from each method, if there are too few, or they mean what cannot be.
    """

    def __init__(self, data: bytes) -> None:
        self.text = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""
        self.at = 0

    def fixed(self, num_bits: int) -> int:
        """u(n)."""
        begin, self.at = self.at, self.at + num_bits
        if self.at > len(self.text):
            raise ValueError("ends too early")
        return int(self.text[begin : self.at] or "0", 2)

    def number(self) -> int:
        """ue(v), 9.2."""
        num_zeros = self.text.find("1", self.at) - self.at
        if not 0 <= num_zeros <= _MAX_ZEROS:
            raise ValueError("is no number")
        return self.fixed(2 * num_zeros + 1) - 1

    def skip_to_order(self) -> tuple[int, list[tuple[int, int, int]]]:
        """Read an SPS up to what it says of order.

        Returns:
            Where that begins, and for each sub-layer it lists: pictures buffered besides the one in
            work, reordered ones, and what it says of latency.
        """
        self.fixed(4)
        num_sub_layers = self.fixed(3) + 1
        if num_sub_layers > _MAX_SUB_LAYERS:
            raise ValueError("has too many sub-layers")
        self.fixed(1)
        self._skip_levels(num_sub_layers - 1)
        self.number()
        if self.number() == 3:  # 4:4:4
            self.fixed(1)
        self._skip_numbers(2)
        if self.fixed(1):  # a conformance window
            self._skip_numbers(4)
        self._skip_numbers(3)
        num_listed = num_sub_layers if self.fixed(1) else 1
        begin = self.at
        order = [(self.number(), self.number(), self.number()) for _ in range(num_listed)]
        if any(not num_reordered <= num <= _MAX_BUFFERED for num, num_reordered, _ in order):
            raise ValueError("buffers too few or too many pictures")
        if "1" not in self.text[self.at :]:
            raise ValueError("has no end")
        return begin, order

    def _skip_levels(self, num_lower: int) -> None:
        """profile_tier_level(1, n)."""
        self.fixed(_PROFILE_BITS + _LEVEL_BITS)
        if not num_lower:
            return
        flags = [(self.fixed(1), self.fixed(1)) for _ in range(num_lower)]
        self.fixed(2 * (_MAX_SUB_LAYERS + 1 - num_lower))
        for has_profile, has_level in flags:
            self.fixed(_PROFILE_BITS * has_profile + _LEVEL_BITS * has_level)

    def _skip_numbers(self, num: int) -> None:
        for _ in range(num):
            self.number()


def _number(value: int) -> str:
    """ue(v), 9.2."""
    text = f"{value + 1:b}"
    return "0" * (len(text) - 1) + text
