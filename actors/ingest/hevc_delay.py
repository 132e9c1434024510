"""Makes FFmpeg give each picture of an H.265 stream out with the packet after its own."""

from __future__ import annotations

from typing import cast

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from actors.ingest.hevc_parameters import delay_pictures, has_parameters
from actors.ingest.rtsp.nal import is_annex_b

_MAX_INTERVAL_S = 0.06
"""A picture comes as much later; the strictest class has 0.1 s for all."""
_MAX_SLOW = 10
_HEAD_BYTES = 6
# FFmpeg reads up to 64 bytes too far. Zeros may follow a NAL unit (Rec. ITU-T H.265, annex B).
_PADDING = bytes(64)


class HevcDelay:
    """Rewrites the parameter sets of one stream whose pictures are not reordered.

    Streams with few pictures a second are left alone: theirs would wait too long for the next.
    Where a stream becomes so, as cameras do at night, it gets its own parameter sets back with a
    key frame. Where one cannot be read they are left as they come.

    Args:
        context: Set up for the stream, not yet opened; its parameter sets are rewritten.
        interval_s: Nominal time between pictures.

    Attributes:
        is_on: Whether pictures come with the packets after theirs. Once it is not it stays so.
    """

    def __init__(self, context: VideoCodecContext, interval_s: float) -> None:
        self._parameters = context.extradata or b""
        self._before: int | None = None
        self._max_ticks = 0.0
        self._num_slow = 0
        self.is_on = interval_s <= _MAX_INTERVAL_S and is_annex_b(self._parameters)
        if self.is_on and self._parameters:
            rewritten = delay_pictures(self._parameters)
            self.is_on = rewritten.is_delayed
            if self.is_on:
                context.extradata = rewritten.data

    def apply(self, packet: Packet[VideoStream]) -> Packet[VideoStream]:
        """The packet as the decoder is to have it."""
        if not self.is_on or packet.size < _HEAD_BYTES:
            return packet
        self._watch(packet)
        if packet.is_keyframe and self._num_slow >= _MAX_SLOW:
            self.is_on = False
            return _like(packet, self._parameters + bytes(packet))
        if not packet.is_keyframe and not has_parameters(memoryview(packet)):
            return packet
        data = bytes(packet)
        rewritten = delay_pictures(data)
        self.is_on = rewritten.is_delayed
        is_changed = self.is_on and rewritten.data is not data
        return _like(packet, rewritten.data) if is_changed else packet

    def _watch(self, packet: Packet[VideoStream]) -> None:
        """See how far packets are apart; before a key frame others may have been left out."""
        before, self._before = self._before, packet.pts
        if before is None or self._before is None or packet.is_keyframe:
            return
        if not self._max_ticks:
            self._max_ticks = _MAX_INTERVAL_S / float(packet.time_base or 1)
        is_slow = self._before - before > self._max_ticks
        self._num_slow = self._num_slow + 1 if is_slow else 0


def _like(packet: Packet[VideoStream], data: bytes) -> Packet[VideoStream]:
    """A packet with other data."""
    other = cast("Packet[VideoStream]", Packet(data + _PADDING))
    other.pts, other.dts = packet.pts, packet.dts
    if packet.time_base is not None:
        other.time_base = packet.time_base
    other.is_keyframe, other.is_corrupt = packet.is_keyframe, packet.is_corrupt
    return other
