"""RTP packets into access units: what both codings have in common (RFC 3550).

The packets lie in a buffer and are not copied before their access unit is complete or others need
the buffer. Over TCP a packet is missing only where the camera or a relay has left it out, and none
overtakes another.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from actors.ingest.rtsp.nal import START_CODE
from actors.ingest.rtsp.unfamiliar import UnfamiliarError

HEADER_BYTES = 12
MAX_UNIT_BYTES = 16 << 20
_HEADER = struct.Struct(">BBHI")
# An interleaved packet with its first four bytes of payload: channel, length, first word of the
# RTP header, timestamp, payload.
_FRAME = struct.Struct(">HHII4xI")
_FRAME_BYTES = _FRAME.size
_MARK = 0x24 << 8  # of an interleaved packet
_MARKER = 0x80 << 16  # in the first word of the RTP header
_END = 0x40  # in the last byte of a fragment's header, in both codings
# FFmpeg reads up to 64 bytes too far, and packets share the memory of their data. Zeros may follow
# a NAL unit (Rec. H.264, annex B).
_PADDING = bytes(64)
_PLAIN = 0x80  # version 2; no padding, extension or contributing sources
_NONE = -1


class AccessUnit(NamedTuple):
    """One coded picture with what comes with it.

    Attributes:
        data: NAL units behind start codes, and zeros, over which decoders may read.
        timestamp: RTP time, 32 bits.
        is_keyframe: Whether decoding can begin here.
        is_corrupt: Whether packets are missing in it or before it.
    """

    data: bytes
    timestamp: int
    is_keyframe: bool
    is_corrupt: bool


class Depacketizer(ABC):
    """Puts access units together; the codings say how packets hold NAL units.

    An access unit ends with the marker or where the timestamp changes, and not before there is a
    picture in it: some cameras mark each parameter set.

    Args:
        channel: On which they come.
        payload_type: Packets of others are left out.
    """

    _FRAGMENT_BYTES: ClassVar[int]
    """What comes before the data of a fragment: its header and that of its NAL unit."""

    __slots__ = (
        "_buffer",
        "_ended",
        "_expected",
        "_fragment",
        "_has_picture",
        "_is_corrupt",
        "_is_keyframe",
        "_kept",
        "_mark",
        "_parts",
        "_payload_type",
        "_timestamp",
        "_units",
        "_view",
    )

    def __init__(self, channel: int, payload_type: int) -> None:
        self._units: list[AccessUnit] = []
        self._buffer = bytearray()
        self._view = memoryview(self._buffer)
        self._mark = _MARK | channel
        self._payload_type = payload_type
        self._expected = self._timestamp = self._ended = _NONE
        self._kept = bytearray()  # of the access unit in work, of what was read before
        self._parts: list[bytes | memoryview] = []
        self._has_picture = self._is_keyframe = self._is_corrupt = False
        self._fragment = 0  # how further fragments of the NAL unit in work begin; 0 between them

    @property
    def has_begun(self) -> bool:
        """Whether packets have come."""
        return self._expected != _NONE

    def look_at(self, buffer: bytearray) -> None:
        """Say where packets lie from now on."""
        if buffer is not self._buffer:
            self._buffer, self._view = buffer, memoryview(buffer)

    def take(self) -> list[AccessUnit]:
        """Those that are complete, each once; the buffer may be written over from now on.

        Raises:
            UnfamiliarError: if what is not complete is too large for a picture.
        """
        if self._parts:
            self._settle()
        units, self._units = self._units, []
        return units

    def push(self, begin: int, end: int) -> None:
        """Take the packet at ``begin`` to ``end`` of the buffer, of 12 bytes or more.

        Raises:
            UnfamiliarError: if it cannot be read.
        """
        first, second, sequence, timestamp = _HEADER.unpack_from(self._buffer, begin)
        if first == _PLAIN:
            begin += HEADER_BYTES
        else:
            begin, end = self._payload(first, begin, end)
        is_missing = sequence != self._expected != _NONE
        self._expected = (sequence + 1) & 0xFFFF
        if is_missing:
            self._is_corrupt, self._fragment = True, 0
        if second & 0x7F != self._payload_type:
            return
        if timestamp != self._timestamp:
            if self._has_picture:
                self._end()
                self._is_corrupt = is_missing
            self._timestamp = timestamp
        if begin < end:
            self._take(begin, end)
        if second & 0x80:
            self._end_at_marker()

    def follow(self, begin: int, end: int) -> int:
        """Take the fragments that complete the NAL unit in work, if any: most packets are such.

        They differ in nothing but length and sequence number, so that a look at each is enough.

        Args:
            begin: Where the next interleaved packet begins.
            end: Where what has come ends.

        Returns:
            Where the first packet begins that is none of them, or incomplete.
        """
        if not self._fragment:
            return begin
        buffer, view = self._buffer, self._view
        append, unpack = self._parts.append, _FRAME.unpack_from
        mark, timestamp, middle = self._mark, self._timestamp, self._fragment
        shift, skipped = 32 - 8 * self._FRAGMENT_BYTES, 16 + self._FRAGMENT_BYTES
        word = (_PLAIN << 8 | self._payload_type) << 16 | self._expected
        while end - begin >= _FRAME_BYTES:
            found, length, header, at, start = unpack(buffer, begin)
            stop = begin + 4 + length
            if at != timestamp or found != mark or stop > end:
                break
            kind = start >> shift
            is_last = kind != middle or header != word
            if is_last and (kind | _END != middle | _END or header & ~_MARKER != word):
                break
            append(view[begin + skipped : stop])
            begin = stop
            word += 1
            if is_last:
                self._fragment = 0
                if header & _MARKER:
                    self._end_at_marker()
                break
        self._expected = word & 0xFFFF
        return begin

    def _settle(self) -> None:
        """Copy what the access unit in work needs of the buffer."""
        self._kept += b"".join(self._parts)
        self._parts = []
        if len(self._kept) > MAX_UNIT_BYTES:
            raise UnfamiliarError(f"sends a picture of more than {MAX_UNIT_BYTES >> 20} MiB")

    def _payload(self, first: int, begin: int, end: int) -> tuple[int, int]:
        """Where the payload lies in a packet that holds more than that and a plain header."""
        buffer, start = self._buffer, begin + HEADER_BYTES + 4 * (first & 0x0F)
        if first & 0x10 and start + 4 <= end:
            start += 4 + 4 * int.from_bytes(buffer[start + 2 : start + 4], "big")
        stop = end - buffer[end - 1] if first & 0x20 else end
        if first >> 6 != 2 or start > stop:
            raise UnfamiliarError("sends what is no RTP")
        return start, stop

    @abstractmethod
    def _take(self, begin: int, end: int) -> None:
        """Take the payload of a packet."""

    @abstractmethod
    def _take_unit(self, begin: int, end: int) -> None:
        """Take a NAL unit that is whole, with its header."""

    def _take_aggregate(self, begin: int, end: int) -> None:
        """Take the NAL units of a packet that holds several, each after its size."""
        while begin + 2 < end:
            size = int.from_bytes(self._buffer[begin : begin + 2], "big")
            start, begin = begin + 2, begin + 2 + size
            if size == 0 or begin > end:
                raise UnfamiliarError("sends aggregated NAL units that exceed their packet")
            self._take_unit(start, begin)

    def _add(self, begin: int, end: int) -> None:
        """Add a NAL unit that is whole."""
        self._parts += (START_CODE, self._view[begin:end])

    def _begin_slice(self, at: int, *, is_keyframe: bool) -> None:
        """Note that a picture is in the access unit; ``at`` is where its first slice's data is."""
        if not self._has_picture:
            # The first bit says that a slice begins its picture, in both codings.
            begins = self._buffer[at] & 0x80
            if self._timestamp == self._ended and not begins and not self._is_corrupt:
                raise UnfamiliarError("marks the end of pictures before their last slice")
            self._has_picture = True
        self._is_keyframe |= is_keyframe

    def _end_at_marker(self) -> None:
        if self._has_picture:
            self._ended = self._timestamp
            self._end()

    def _end(self) -> None:
        data = b"".join((self._kept, *self._parts, _PADDING))
        self._units.append(AccessUnit(data, self._timestamp, self._is_keyframe, self._is_corrupt))
        self._kept, self._parts = bytearray(), []
        self._has_picture = self._is_keyframe = self._is_corrupt = False
        self._fragment = 0
