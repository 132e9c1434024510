"""RTP packets of one picture (RFC 3550), built once for all clients of a camera."""

from __future__ import annotations

import struct
from collections.abc import Sequence

HEADER_BYTES = 12
PAYLOAD_TYPE = 96
_HEADER = struct.Struct(">BBHII")
_INTERLEAVED = struct.Struct(">BBH")  # RFC 2326, section 10.12
_VERSION = 0x80
_MARKER = 0x80


class RtpFrame:
    """The RTP packets of one picture, framed for either transport at the first use.

    Attributes:
        keyframe: Whether a client may begin with it.
        num_packets: Packets that are sent, the lost ones left out.
        num_payload_bytes: Their payload, for sender reports.
    """

    __slots__ = ("_packets", "_streams", "keyframe", "num_packets", "num_payload_bytes")

    def __init__(self, packets: Sequence[bytes], *, keyframe: bool) -> None:
        self._packets = packets
        self._streams: dict[int, bytes] = {}
        self.keyframe = keyframe
        self.num_packets = len(packets)
        self.num_payload_bytes = sum(map(len, packets)) - HEADER_BYTES * len(packets)

    def datagrams(self) -> Sequence[bytes]:
        """Return the packets for UDP."""
        return self._packets

    def interleaved(self, channel: int) -> bytes:
        """Return the packets as they travel in an RTSP connection, on ``channel``."""
        stream = self._streams.get(channel)
        if stream is None:
            stream = b"".join([interleave(channel, packet) for packet in self._packets])
            self._streams[channel] = stream
        return stream


def interleave(channel: int, packet: bytes) -> bytes:
    """Return a packet with its header for an RTSP connection."""
    return _INTERLEAVED.pack(0x24, channel, len(packet)) + packet


def rtp_packets(
    payloads: Sequence[bytes], *, sequence: int, timestamp: int, ssrc: int
) -> list[bytes]:
    """Return the RTP packets of one access unit; the last one carries the marker."""
    last = len(payloads) - 1
    return [
        _HEADER.pack(
            _VERSION,
            PAYLOAD_TYPE | (_MARKER if index == last else 0),
            (sequence + index) & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
        )
        + payload
        for index, payload in enumerate(payloads)
    ]
