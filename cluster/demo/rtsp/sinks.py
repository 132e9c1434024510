"""The ways RTP takes to a client: inside its RTSP connection, or to its UDP ports."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cluster.demo.rtsp.rtp import RtpFrame, interleave

MAX_BUFFERED_BYTES = 1 << 20
MAX_BUFFERED_DATAGRAMS = 8192
_BURST = 48
_BURST_INTERVAL_S = 0.002


class PacketSink(Protocol):
    """Where the packets of a session go."""

    def send(self, frame: RtpFrame) -> bool:
        """Send a picture, or return False where the client has too much unread."""

    def report(self, packet: bytes) -> None:
        """Send an RTCP packet."""

    def close(self) -> None:
        """Send nothing more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a session's packets reach the client, as SETUP agreed.

    Attributes:
        sink: Takes the packets.
        header: The transport, as the answer to SETUP names it.
        channels: Interleaved channels of RTP and RTCP; none over UDP.
        rtcp_address: Where the client's RTCP comes from; None when interleaved.
    """

    sink: PacketSink
    header: str
    channels: tuple[int, ...] = ()
    rtcp_address: tuple[str, int] | None = None


class InterleavedSink:
    """RTP and RTCP on two channels of the RTSP connection."""

    def __init__(self, transport: asyncio.Transport, channels: tuple[int, int]) -> None:
        self._transport = transport
        self._rtp_channel, self._rtcp_channel = channels

    def send(self, frame: RtpFrame) -> bool:
        """Write a picture unless more than ``MAX_BUFFERED_BYTES`` wait already."""
        if self._transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            return False
        if frame.num_packets:
            self._transport.write(frame.interleaved(self._rtp_channel))
        return True

    def report(self, packet: bytes) -> None:
        """Write an RTCP packet."""
        self._transport.write(interleave(self._rtcp_channel, packet))

    def close(self) -> None:
        """Leave the connection open: it is the client's."""


class DatagramSink:
    """RTP and RTCP to two UDP ports; large pictures are spread so that receivers keep up."""

    def __init__(
        self,
        sockets: tuple[socket.socket, socket.socket],
        host: str,
        ports: tuple[int, int],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._rtp, self._rtcp = sockets
        self._addresses = (host, ports[0]), (host, ports[1])
        self._loop = loop
        self._waiting: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, frame: RtpFrame) -> bool:
        """Send a picture, 48 packets at once and as many every 2 ms."""
        if len(self._waiting) > MAX_BUFFERED_DATAGRAMS:
            return False
        self._waiting.extend(frame.datagrams())
        if self._timer is None:
            self._flush()
        return True

    def report(self, packet: bytes) -> None:
        """Send an RTCP packet."""
        _send_datagrams(self._rtcp, [packet], self._addresses[1])

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        burst = [self._waiting.popleft() for _ in range(min(_BURST, len(self._waiting)))]
        _send_datagrams(self._rtp, burst, self._addresses[0])
        more = bool(self._waiting)
        self._timer = self._loop.call_later(_BURST_INTERVAL_S, self._flush) if more else None


def _send_datagrams(
    sender: socket.socket, packets: Sequence[bytes], address: tuple[str, int]
) -> None:
    try:
        for packet in packets:
            sender.sendto(packet, address)
    except OSError:
        return  # a full socket buffer or an unreachable client is packet loss, as on any network
