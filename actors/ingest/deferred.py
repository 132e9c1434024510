"""Decodes in two steps: a packet is begun now, and its picture is fetched when it is done anyway.

NVDEC takes milliseconds for a picture and works at several at once. To ask for a picture with its
packet is to wait for it, and each such wait costs more processor time, in the driver and at its
locks, than all the rest of decoding. FFmpeg's H.264 decoder can be told that pictures are reordered
by one: it then keeps the newest back, and gives it out when it reads the end of a sequence, which
changes nothing else. H.265 has no such option, and the end of a sequence means more there: it is
told so in the stream itself, and each picture comes with the packet after its own.
"""

from __future__ import annotations

from typing import cast

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.hevc_delay import HevcDelay

_END_OF_SEQUENCE = bytes.fromhex("000000010a")  # H.264, a NAL unit of type 10 and no more


class DeferredDecoder(CpuDecoder):
    """A decoder that can be asked for a picture some time after its packet.

    Streams whose pictures are reordered come late by themselves, and H.265 is made to: then
    nothing is to be collected.

    Args:
        context: Set up for the stream, not yet opened.
        interval_s: Nominal time between pictures, for those without a time of their own.
        is_reordered: Whether pictures are shown in another order than they come.
    """

    def __init__(
        self, context: VideoCodecContext, interval_s: float, *, is_reordered: bool
    ) -> None:
        super().__init__(context, interval_s)
        self._keeps_back = context.name == "h264" and not is_reordered
        is_delayable = context.name == "hevc" and not is_reordered
        self._delay = HevcDelay(context, interval_s) if is_delayable else None
        is_delayed = self._delay is not None and self._delay.is_on
        self.is_deferred = is_reordered or self._keeps_back or is_delayed
        self._end = cast("Packet[VideoStream]", Packet(_END_OF_SEQUENCE))
        self._is_timed = False
        self._is_begun = False
        self._last_s = float("-inf")
        if self._keeps_back:
            context.options = {**context.options, "has_b_frames": "1"}

    def collect(self) -> list[Decoded]:
        """The picture of the last packet that was begun, if it was kept back."""
        if not self._is_begun:
            return []
        self._is_begun = False
        pictures = super()._decode(self._end)
        for picture in pictures:
            # It is reordered after all, or shows fields, which come in pairs: FFmpeg, left alone,
            # gives them in order.
            if picture.pts_s < self._last_s or picture.frame.interlaced_frame:
                self._keeps_back = False
            self._last_s = picture.pts_s
        return pictures

    def _decode(self, packet: Packet[VideoStream]) -> list[Decoded]:
        if self._delay is not None:
            packet = self._delay.apply(packet)
            self.is_deferred = self._delay.is_on
        pictures = super()._decode(packet)
        self._is_begun = self._keeps_back and packet.size > 0
        # Pictures are told in the time base of what frees them; a stream's packets have but one.
        if not self._is_timed and packet.time_base is not None:
            self._end.time_base, self._is_timed = packet.time_base, True
        return pictures
