"""Tells apart what comes inside an RTSP connection: pictures, reports and messages."""

from __future__ import annotations

import struct
from collections.abc import Callable

from actors.ingest.rtsp.depacketizer import HEADER_BYTES, Depacketizer
from actors.ingest.rtsp.messages import Message
from actors.ingest.rtsp.unfamiliar import UnfamiliarError
from actors.ingest.rtsp.upkeep import says_goodbye
from actors.ingest.rtsp.wire import Wire

_FRAME = struct.Struct(">BBH")  # RFC 2326, section 10.12
_DOLLAR = 0x24


class Reader:
    """Cuts a connection's bytes and hands them on.

    Args:
        wire: The connection.
        depacketizer: Takes RTP; reads the wire's buffer.
        channels: Of RTP and RTCP; others are left out.
        hear: Takes messages.

    Attributes:
        has_ended: Whether the camera has said that it sends no more.
    """

    def __init__(
        self,
        wire: Wire,
        depacketizer: Depacketizer,
        channels: tuple[int, int],
        hear: Callable[[Message], None],
    ) -> None:
        self.has_ended = False
        self._wire = wire
        self._depacketizer = depacketizer
        self._rtp, self._rtcp = channels
        self._hear = hear

    def read(self) -> None:
        """Wait for bytes and take all that is complete.

        Raises:
            SourceError: if none come, or they make no sense.
        """
        wire = self._wire
        if wire.is_full:
            self._depacketizer.settle()
            wire.compact()
        elif wire.begin == wire.end and self._depacketizer.is_empty:
            wire.begin = wire.end = 0  # a small part of the buffer stays in the cache
        wire.fill()
        self.drain()

    def drain(self) -> None:
        """Take all that is complete.

        Raises:
            SourceError: if it makes no sense.
        """
        wire, depacketizer, rtp = self._wire, self._depacketizer, self._rtp
        push, unpack = depacketizer.push, _FRAME.unpack_from
        buffer, begin, end = wire.buffer, wire.begin, wire.end
        while end - begin >= _FRAME.size:
            mark, channel, length = unpack(buffer, begin)
            if mark != _DOLLAR:
                wire.begin = begin
                if not self._take_message():
                    return
                begin = wire.begin
                continue
            start, stop = begin + 4, begin + 4 + length
            if stop > end:
                break
            if channel == rtp:
                if length < HEADER_BYTES:
                    raise UnfamiliarError("sends RTP packets that are too short")
                push(start, stop)
                if depacketizer.is_fragmented:
                    stop = depacketizer.follow(stop, end)
            elif channel == self._rtcp:
                self.has_ended |= says_goodbye(bytes(buffer[start:stop]))
            begin = stop
        wire.begin = begin

    def _take_message(self) -> bool:
        message = self._wire.take_message()
        if message is not None:
            self._hear(message)
        return message is not None
