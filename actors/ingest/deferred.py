"""Decodes in two steps: a packet is begun now, and its picture is fetched when it is done anyway.

NVDEC takes milliseconds for a picture and works at several at once. To ask for a picture with its
packet is to wait for it, and each such wait costs more processor time, in the driver and at its
locks, than all the rest of decoding. FFmpeg's H.264 decoder can be told that pictures are reordered
by one: it then keeps the newest back, and gives it out with the next packet, or when it reads the
end of a sequence. H.265 has no such option, and the end of a sequence means more there: it is told
so in the stream itself, and each picture comes with the packet after its own.
"""

from __future__ import annotations

import re
from typing import cast

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.hevc_delay import HevcDelay
from actors.ingest.rtsp.nal import is_annex_b

_END_OF_SEQUENCE = bytes.fromhex("000000010a")  # H.264, a NAL unit of type 10 and no more
# A slice of one: a NAL unit of type 5, the lower five bits of its first byte.
_IDR = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]")


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
        self._has_order = False
        self._must_collect = not is_annex_b(context.extradata or b"")
        self._last_s = float("-inf")
        if self._keeps_back:
            context.options = {**context.options, "has_b_frames": "1"}

    def collect(self) -> list[Decoded]:
        """The picture of the last packet that was begun, if it was kept back."""
        pictures = self._given(self._end) if self._is_begun else []
        self._is_begun = False
        return pictures

    def _decode(self, packet: Packet[VideoStream]) -> list[Decoded]:
        if self._delay is not None:
            packet = self._delay.apply(packet)
            self.is_deferred = self._delay.is_on
        if not self._keeps_back:
            return super()._decode(packet)
        last = self.collect() if self._must_collect else []
        if self._has_order and not self._is_begun and packet.is_keyframe:
            self._begin_anew(packet)
        # Pictures are told in the time base of what frees them; a stream's packets have but one.
        if not self._is_timed and packet.time_base is not None:
            self._end.time_base, self._is_timed = packet.time_base, True
        pictures = self._given(packet)
        self._is_begun = self._keeps_back and self.has_begun and packet.size > 0
        self._has_order |= bool(pictures)
        return last + pictures

    def _given(self, packet: Packet[VideoStream]) -> list[Decoded]:
        """What a packet makes come; should it be nothing for no reason, all begins anew."""
        num_errors = self.num_errors
        pictures = super()._decode(packet)
        for picture in pictures:
            # It is reordered after all, or shows fields, which come in pairs: FFmpeg, left alone,
            # gives them in order.
            if picture.pts_s < self._last_s or picture.frame.interlaced_frame:
                self._keeps_back = False
            self._last_s = picture.pts_s
        is_refused = self.num_errors > num_errors
        if self._is_begun and self._has_order and not pictures and not is_refused:
            self._must_collect = True
            self._cut_off()
        return pictures

    def _begin_anew(self, packet: Packet[VideoStream]) -> None:
        """Let the places of pictures begin anew, where they do so with an IDR.

        FFmpeg drops a picture whose place is before that of the last one that came with another
        packet, unless one was kept back when the IDR came; an end of sequence leaves none. Places
        may begin anew without an IDR: then one is missing, and from then on each is collected.
        """
        if _IDR.search(memoryview(packet)):
            self._context.flush_buffers()
            self._has_order = False

    def _cut_off(self) -> None:
        super()._cut_off()
        self._is_begun = self._has_order = False
