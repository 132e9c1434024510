"""A client's session with one camera."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cluster.demo.rtsp.rtcp import sender_report
from cluster.demo.rtsp.rtp import RtpFrame
from cluster.demo.rtsp.sinks import Delivery

if TYPE_CHECKING:
    from cluster.demo.rtsp.connection import Connection
    from cluster.demo.rtsp.live import LiveCamera

REPORT_INTERVAL_S = 5.0
SLOW_CLIENT_TIMEOUT_S = 10.0


class Session:
    """What SETUP makes and TEARDOWN ends.

    Attributes:
        id: The value of the Session header.
        live: The camera.
        connection: The RTSP connection that made it; the session ends with it.
        channels: Of the connection, for RTP and RTCP; none over UDP.
        rtcp_address: Where the client's RTCP comes from; None when interleaved.
        playing: Between PLAY and PAUSE.
        last_seen: When the client was last heard, on the clock of the loop.
    """

    def __init__(
        self,
        live: LiveCamera,
        connection: Connection,
        delivery: Delivery,
        now: float,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.live = live
        self.connection = connection
        self.channels = delivery.channels
        self.rtcp_address = delivery.rtcp_address
        self.playing = False
        self.last_seen = now
        self._sink = delivery.sink
        self._awaits_keyframe = True
        self._blocked_since: float | None = None
        self._next_report = 0.0
        self._num_packets = 0
        self._num_payload_bytes = 0

    def await_keyframe(self) -> None:
        """Send nothing before the next keyframe."""
        self._awaits_keyframe = True

    def deliver(self, frame: RtpFrame, now: float) -> None:
        """Send a picture to the client, or drop it where the client is slow or just begins."""
        if self._awaits_keyframe and not frame.keyframe:
            return
        if not self._sink.send(frame):
            self._drop(now)
            return
        self._awaits_keyframe = False
        self._blocked_since = None
        self._count(frame)
        if now >= self._next_report:
            self._report(now)

    def close(self) -> None:
        """Stop sending."""
        self._sink.close()

    def _drop(self, now: float) -> None:
        self._awaits_keyframe = True
        self.live.counters.num_frames_dropped += 1
        if self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since > SLOW_CLIENT_TIMEOUT_S:
            self.connection.reset()

    def _count(self, frame: RtpFrame) -> None:
        self._num_packets += frame.num_packets
        self._num_payload_bytes += frame.num_payload_bytes
        counters = self.live.counters
        counters.num_frames_sent += 1
        counters.num_packets_sent += frame.num_packets
        counters.num_bytes_sent += frame.num_payload_bytes

    def _report(self, now: float) -> None:
        self._next_report = now + REPORT_INTERVAL_S
        wall_s, timestamp = self.live.clock_reading(now)
        counts = self._num_packets, self._num_payload_bytes
        self._sink.report(sender_report(self.live.ssrc, wall_s, timestamp, *counts))
