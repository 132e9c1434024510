"""Decodes one camera with libnvcuvid, and through FFmpeg where that is not certain to be right."""

from __future__ import annotations

import ctypes
import logging
import threading
import weakref
from typing import cast

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvStream

from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.nvcuvid.bitstream import framing
from actors.ingest.nvcuvid.stream import UnfamiliarVideoError, VideoStream
from actors.ingest.nvcuvid.surface import Surface
from actors.ingest.nvcuvid.waiting import Waiting
from actors.ingest.nvdec import MAX_ERRORS, NvdecDecoder
from engines.cuda.ranges import DECODE
from engines.errors import DeviceError

WAITING = Waiting()
"""How all decoders of this process wait."""

log = logging.getLogger(__name__)

_told: set[str] = set()
_telling = threading.Lock()

_MAX_REMEMBERED = 64  # pictures in a decoder are at most 16


class NvcuvidDecoder(CpuDecoder):
    """NVDEC for one stream, by NVIDIA's own parser; what it does not know FFmpeg decodes.

    Args:
        context: Of the source, unopened.
        interval_s: Nominal time between pictures, for those without a time of their own.

    Raises:
        DeviceError: if the GPU cannot be used; also from ``decode``, when it refuses all packets.
        ValueError: if the source's parameter sets make no sense.
    """

    def __init__(self, context: VideoCodecContext, interval_s: float) -> None:
        super().__init__(context, interval_s)
        self.name = "nvdec"
        self._interval_s = interval_s
        self._framing = framing(context.name, context.extradata)
        self._video = VideoStream(
            context.name, is_in_order=not context.has_b_frames, waiting=WAITING
        )
        self._close = weakref.finalize(self, self._video.close)
        self._needs_head = True
        self._number, self._tick_s = 0, 0.0
        self._packets: dict[int, tuple[float | None, bool, bool]] = {}
        self._num_refused = 0
        self._ffmpeg: NvdecDecoder | None = None

    @property
    def is_through_ffmpeg(self) -> bool:
        """Whether FFmpeg decodes, on the GPU or where it can."""
        return self._ffmpeg is not None

    def close(self) -> None:
        """Give the GPU's decoder back; otherwise it goes with this object."""
        self._close()

    def restart(self) -> None:
        """Expect the first packet of a file again, after its empty one; times go on."""
        if self._ffmpeg is not None:
            self._ffmpeg.restart()
        else:
            super().restart()

    def _flush(self) -> None:
        if self._ffmpeg is not None:
            self._ffmpeg.flush()
            return
        self._video.restart()
        self._packets.clear()
        self._needs_head = True

    def _decode(self, packet: Packet[AvStream]) -> list[Decoded]:
        if self._ffmpeg is None:
            try:
                return self._decode_here(packet)
            except UnfamiliarVideoError as error:
                self._hand_over(str(error))
        return self._decode_there(packet)

    @DECODE
    def _decode_here(self, packet: Packet[AvStream]) -> list[Decoded]:
        if not packet.size:
            return [self._decoded_surface(surface) for surface in self._video.drain()]
        num_begun, num_refused = self._video.num_begun, self._video.num_refused
        surfaces = self._fed(packet)
        is_refused = self._video.num_begun == num_begun or self._video.num_refused > num_refused
        self._note(is_refused)
        found = [self._decoded_surface(each) for each in surfaces if self._is_wanted(each)]
        while len(self._packets) > _MAX_REMEMBERED:
            del self._packets[next(iter(self._packets))]
        return found

    def _fed(self, packet: Packet[AvStream]) -> list[Surface]:
        self._number += 1
        self._packets[self._number] = (self._time_s(packet), packet.is_corrupt, packet.is_discard)
        if not self._needs_head and not self._framing.length_bytes:
            return self._video.feed(packet.buffer_ptr, packet.buffer_size, self._number)
        try:
            data = self._framing.plain(bytes(packet))
        except ValueError:
            return []
        if self._needs_head:
            data = self._framing.head + data
        self._needs_head = False
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        return self._video.feed(address, len(data), self._number)

    def _time_s(self, packet: Packet[AvStream]) -> float | None:
        pts = packet.dts if packet.pts is None else packet.pts
        if not self._tick_s and packet.time_base:
            self._tick_s = float(packet.time_base)
        return None if pts is None or not self._tick_s else pts * self._tick_s

    def _is_wanted(self, surface: Surface) -> bool:
        known = self._packets.get(surface.number)
        if known is None or not known[2]:
            return True
        del self._packets[surface.number]
        return False

    def _decoded_surface(self, surface: Surface) -> Decoded:
        time_s, is_corrupt, _ = self._packets.pop(surface.number, (None, False, False))
        # A Surface has what is asked of a frame.
        return Decoded(cast(VideoFrame, surface), self._timeline.place(time_s), is_corrupt)

    def _note(self, is_refused: bool) -> None:
        self.num_errors += is_refused
        self._num_refused = self._num_refused + 1 if is_refused else 0
        if self._num_refused >= MAX_ERRORS:
            raise DeviceError(f"NVDEC has refused {self._num_refused} packets on end")

    def _hand_over(self, reason: str) -> None:
        tell(reason)
        self._close()
        self._ffmpeg = NvdecDecoder(self._context, self._interval_s)

    def _decode_there(self, packet: Packet[AvStream]) -> list[Decoded]:
        ffmpeg = cast(NvdecDecoder, self._ffmpeg)
        num_errors = ffmpeg.num_errors
        pictures = ffmpeg.decode(packet)
        self.num_errors += ffmpeg.num_errors - num_errors
        self.name, self.fallback = ffmpeg.name, ffmpeg.fallback
        return pictures


def tell(reason: str) -> None:
    """Say that FFmpeg decodes streams on the GPU instead; once a process and reason."""
    with _telling:
        is_new = reason not in _told
        _told.add(reason)
    if is_new:
        log.warning("decoding on the GPU through FFmpeg, at a higher cost: a stream %s", reason)
