"""What a camera wants to hear while it plays: that its client is still there."""

from __future__ import annotations

import secrets
import struct

from actors.ingest.rtsp.handshake import Agreement, Dialogue
from actors.ingest.rtsp.messages import Message, answer
from actors.ingest.rtsp.wire import Wire

_REPORT_INTERVAL_S = 5.0
_REPORT = struct.Struct(">BBHBBHIBBHIBBxx")
_BYE = 203


class Upkeep:
    """Keeps a session alive by requests, and by empty receiver reports for those that want them.

    Args:
        dialogue: For requests.
        agreement: What the session is.
        wire: The connection.
        now: Monotonic time, seconds; PLAY has just been sent, with the dialogue's last number.

    Attributes:
        due_at: Monotonic time at which there is something to send, seconds.
    """

    def __init__(self, dialogue: Dialogue, agreement: Agreement, wire: Wire, now: float) -> None:
        self._dialogue = dialogue
        self._agreement = agreement
        self._wire = wire
        self._play = dialogue.cseq
        self._interval_s = max(agreement.timeout_s / 2, 0.5)
        self._alive_at = now + self._interval_s
        self._report_at = now + _REPORT_INTERVAL_S
        self.due_at = min(self._alive_at, self._report_at)
        self._report = receiver_report(agreement.channels[1], secrets.randbits(32))

    def tend(self, now: float) -> None:
        """Send what is due at ``now``, monotonic time in seconds.

        Raises:
            SourceError: if the connection is broken.
        """
        if now >= self._report_at:
            self._report_at = now + _REPORT_INTERVAL_S
            self._wire.send(self._report)
        if now >= self._alive_at:
            self._alive_at = now + self._interval_s
            method, agreement = self._agreement.keep_alive, self._agreement
            self._wire.send(self._dialogue.encode(method, agreement.url, Session=agreement.session))
        self.due_at = min(self._alive_at, self._report_at)

    def hear(self, message: Message) -> None:
        """Take a message that came between pictures.

        Raises:
            SourceError: if the camera refuses to play.
        """
        if message.method:
            self._wire.send(answer(message))
        elif message.cseq == self._play:
            self._dialogue.accepted(message)
        elif message.status == 401 and self._dialogue.authenticator.take(
            message.headers.get("www-authenticate", ())
        ):
            self._alive_at = self.due_at = 0.0  # the nonce has expired


def receiver_report(channel: int, ssrc: int) -> bytes:
    """An interleaved compound packet: a report on nothing and a name (RFC 3550, 6.4.2 and 6.5).

    Args:
        channel: Of RTCP.
        ssrc: The client's own.
    """
    size = _REPORT.size - 4
    parts = (0x24, channel, size, 0x80, 201, 1, ssrc, 0x81, 202, 2, ssrc, 1, 0)
    return _REPORT.pack(*parts)


def says_goodbye(packets: bytes) -> bool:
    """Whether a compound RTCP packet ends the stream (RFC 3550, section 6.6)."""
    at = 0
    while at + 4 <= len(packets):
        if packets[at + 1] == _BYE:
            return True
        at += 4 + 4 * int.from_bytes(packets[at + 2 : at + 4], "big")
    return False
