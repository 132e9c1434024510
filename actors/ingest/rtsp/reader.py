"""Tells apart what comes inside an RTSP connection: pictures, reports and messages."""

from __future__ import annotations

import struct
from collections.abc import Callable

from actors.ingest.rtsp.depacketizer import HEADER_BYTES, AccessUnit, Depacketizer
from actors.ingest.rtsp.messages import Message
from actors.ingest.rtsp.unfamiliar import UnfamiliarError
from actors.ingest.rtsp.upkeep import says_goodbye
from actors.ingest.rtsp.wire import Wire
from actors.ingest.source_errors import failure

_FRAME = struct.Struct(">BBH")  # RFC 2326, section 10.12
_DOLLAR = 0x24


class Reader:
    """Cuts a connection's bytes and hands them on.

    Args:
        url: Of the camera, for messages.
        wire: The connection.
        depacketizer: Takes RTP.
        channels: Of RTP and RTCP; others are left out.
        hear: Takes messages.
    """

    def __init__(
        self,
        url: str,
        wire: Wire,
        depacketizer: Depacketizer,
        channels: tuple[int, int],
        hear: Callable[[Message], None],
    ) -> None:
        self._url = url
        self._has_ended = False
        self._wire = wire
        self._depacketizer = depacketizer
        self._rtp, self._rtcp = channels
        self._hear = hear

    def read(self) -> list[AccessUnit]:
        """Wait for bytes; the access units that they complete.

        Raises:
            SourceError: if no bytes come, they make no sense, or the camera has ended the stream.
        """
        if self._has_ended:
            raise failure(self._url, "disconnected", "ended the stream")
        wire, depacketizer = self._wire, self._depacketizer
        wire.fill()
        depacketizer.look_at(wire.buffer)
        self._drain()
        if wire.begin < wire.end:
            wire.keep()
        return depacketizer.take()

    def _drain(self) -> None:
        wire, depacketizer, rtp = self._wire, self._depacketizer, self._rtp
        push, follow, unpack = depacketizer.push, depacketizer.follow, _FRAME.unpack_from
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
                stop = follow(stop, end)
            elif channel == self._rtcp:
                self._has_ended |= says_goodbye(bytes(buffer[start:stop]))
            begin = stop
        wire.begin = begin

    def _take_message(self) -> bool:
        message = self._wire.take_message()
        if message is not None:
            self._hear(message)
        return message is not None
