"""Decodes the packets of one stream on the CPU, one thread and no delay of its own."""

from __future__ import annotations

from dataclasses import dataclass

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.ingest.timeline import Timeline

_MAX_SKIPPED = 300


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture out of the decoder.

    Attributes:
        frame: The picture, in the coding's own pixel format.
        pts_s: Presentation time in the source's clock, seconds.
        is_corrupt: True where the decoder marked it as damaged.
    """

    frame: VideoFrame
    pts_s: float
    is_corrupt: bool


class CpuDecoder:
    """FFmpeg's software decoder.

    One slice thread a stream is the cheapest for many streams: frame threads take 10 % more CPU
    and delay pictures. Nothing is decoded before the first key frame, unless none comes for long.

    Args:
        context: Set up for the stream, not yet opened.
        interval_s: Nominal time between pictures, for those without a time of their own.
    """

    def __init__(self, context: VideoCodecContext, interval_s: float) -> None:
        context.thread_type = "SLICE"
        context.thread_count = 1
        self.num_errors = 0
        self._context = context
        self._timeline = Timeline(interval_s)
        self._num_skipped = 0
        self._has_begun = False

    def decode(self, packet: Packet[VideoStream]) -> list[Decoded]:
        """The pictures that a packet completes, in order of presentation.

        A packet that the decoder refuses counts in ``num_errors`` and gives none. The empty packet
        at the end of a file gives all that are left.
        """
        if not self._has_begun and not self._begins_with(packet):
            return []
        try:
            frames = self._context.decode(packet)
        except FFmpegError:
            self.num_errors += 1
            return []
        return [self._decoded(frame) for frame in frames]

    def restart(self) -> None:
        """Expect the first packet of a file again, after its empty one; times go on."""
        self._context.flush_buffers()
        self._timeline.repeat()

    def _begins_with(self, packet: Packet[VideoStream]) -> bool:
        # Streams with intra refresh have no key frames; their decoder heals by itself.
        self._num_skipped += 1
        self._has_begun = packet.is_keyframe or self._num_skipped > _MAX_SKIPPED
        return self._has_begun

    def _decoded(self, frame: VideoFrame) -> Decoded:
        return Decoded(frame, self._timeline.place(frame.time), frame.is_corrupt)
