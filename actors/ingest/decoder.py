"""Decodes the packets of one stream on the CPU, one thread and no delay of its own."""

from __future__ import annotations

from typing import NamedTuple, cast

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.ingest.timeline import Timeline
from actors.messages import HELD_BACK, DegradeStep

_MAX_SKIPPED = 300


class Decoded(NamedTuple):
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
    The same holds each time that decoding has been cut down, so that no picture is shown that
    misses those before it.

    Args:
        context: Set up for the stream, not yet opened.
        interval_s: Nominal time between pictures, for those without a time of their own.

    Attributes:
        name: What decodes: ``cpu`` or ``nvdec``.
        fallback: Why it is the CPU where it should be the GPU; empty where all is as wanted.
        num_errors: Packets that it has refused.
        is_deferred: Whether pictures may be collected some time after their packets have begun.
        has_begun: Whether each packet is decoded: none before it is left out.
    """

    def __init__(self, context: VideoCodecContext, interval_s: float) -> None:
        context.thread_type = "SLICE"
        context.thread_count = 1
        self.name = "cpu"
        self.fallback = ""
        self.num_errors = 0
        self.is_deferred = False
        self.has_begun = False
        self._context = context
        self._timeline = Timeline(interval_s)
        self._num_skipped = 0
        self._has_key_frames = False

    def decode(
        self, packet: Packet[VideoStream], step: DegradeStep = DegradeStep.NONE
    ) -> list[Decoded]:
        """The pictures that a packet completes, in order of presentation.

        A packet that the decoder refuses counts in ``num_errors`` and gives none. The empty packet
        at the end of a file gives all that are left.

        Args:
            packet: Each of the stream, also those that the step leaves out.
            step: What to decode from now on.
        """
        return self.begin(packet, step) + self.collect()

    def begin(
        self, packet: Packet[VideoStream], step: DegradeStep = DegradeStep.NONE
    ) -> list[Decoded]:
        """The same without waiting for the packet's own picture, where it is deferred."""
        if packet.is_keyframe:
            self._has_key_frames = True
        if step in HELD_BACK:
            self._cut_off()
            is_shown = step is DegradeStep.KEY_FRAMES and packet.is_keyframe
            return self._decode_alone(packet) if is_shown else []
        if self.has_begun or self._begins_with(packet):
            return self._decode(packet)
        return []

    def collect(self) -> list[Decoded]:
        """The picture of the packet that was begun last, where it has not come yet."""
        return []

    def leaves_out(self, packet: Packet[VideoStream]) -> bool:
        """Whether the packet will not be decoded, since those that it builds on were not."""
        return not self.has_begun and self._has_key_frames and not packet.is_keyframe

    def catch_up(self) -> None:
        """Leave out what comes before the next key frame; streams without key frames go on."""
        if self._has_key_frames:
            self._cut_off()

    def restart(self) -> None:
        """Expect the first packet of a file again, after its empty one; times go on."""
        self._context.flush_buffers()
        self._timeline.repeat()

    def _begins_with(self, packet: Packet[VideoStream]) -> bool:
        # Streams with intra refresh have no key frames; their decoder heals by itself.
        self._num_skipped += 1
        is_patient = self._has_key_frames or self._num_skipped <= _MAX_SKIPPED
        self.has_begun = packet.is_keyframe or not is_patient
        return self.has_begun

    def _cut_off(self) -> None:
        """Forget the pictures that others would build on, and wait for a key frame again."""
        if self.has_begun:
            self._context.flush_buffers()
        self.has_begun = False
        self._num_skipped = 0

    def _decode_alone(self, packet: Packet[VideoStream]) -> list[Decoded]:
        # A decoder that reorders gives a picture out only after the next ones. Those do not come,
        # so it is drained; skip_frame would leave each key frame in it until two others follow.
        end = cast("Packet[VideoStream]", Packet())
        end.time_base = packet.time_base
        pictures = self._decode(packet) + self._decode(end)
        self._context.flush_buffers()
        return pictures

    def _decode(self, packet: Packet[VideoStream]) -> list[Decoded]:
        try:
            frames = self._context.decode(packet)
        except FFmpegError:
            self.num_errors += 1
            return []
        if not frames:
            return []
        self._note_frame(frames[-1])
        place = self._timeline.place
        return [Decoded(frame, place(frame.time), frame.is_corrupt) for frame in frames]

    def _note_frame(self, frame: VideoFrame) -> None:
        """See what a new picture tells of the decoder."""
