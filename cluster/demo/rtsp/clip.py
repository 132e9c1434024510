"""A video in memory, cut into RTP payloads once, however many cameras and clients play it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from cluster.demo.rtsp.errors import (
    InvalidCameraError,
    NoVideoStreamError,
    UnreadableVideoError,
    UnsupportedCodecError,
    VideoTooLargeError,
)
from cluster.demo.rtsp.nal import CODECS, Codec, ParameterSets, split_annexb
from cluster.demo.rtsp.packetizer import payloads
from cluster.demo.rtsp.rtp import HEADER_BYTES
from cluster.demo.rtsp.timestamps import TICKS_PER_S, Stamp, presentation_ticks, to_ticks

DEFAULT_FPS = 25
MAX_PACKET_BYTES = 1400
MAX_CLIP_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture.

    Attributes:
        pts: Presentation time in RTP ticks from the clip's first picture.
        due: Sending time in RTP ticks; equal to ``pts`` in a clip without B-frames, and never
            before it in any, as with a live encoder that has to see a picture before it sends it.
        keyframe: Whether decoding can begin here; such a unit carries its parameter sets.
        payloads: RTP payloads.
    """

    pts: int
    due: int
    keyframe: bool
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A video ready to be sent: its access units in decode order, times in RTP ticks.

    Attributes:
        codec: H.264 or H.265.
        width: Of the first picture, pixels.
        height: Of the first picture, pixels.
        units: Access units; the first is a keyframe with ``pts`` 0.
        dues: The sending time of each unit, for searching.
        duration: Ticks from a picture to the same picture one loop later.
        parameter_sets: Those of the first keyframe, VPS before SPS before PPS.
    """

    codec: Codec
    width: int
    height: int
    units: tuple[AccessUnit, ...]
    dues: tuple[int, ...]
    duration: int
    parameter_sets: tuple[bytes, ...]

    @property
    def duration_s(self) -> float:
        """Length of one loop in seconds."""
        return self.duration / TICKS_PER_S

    @property
    def fps(self) -> float:
        """Mean pictures a second."""
        return len(self.units) / self.duration_s

    @property
    def max_keyframe_interval_s(self) -> float:
        """The longest wait for a keyframe, over the loop's end too."""
        keys = [unit.due for unit in self.units if unit.keyframe]
        ends = [*keys[1:], keys[0] + self.duration]
        return max(end - key for key, end in zip(keys, ends, strict=True)) / TICKS_PER_S

    @classmethod
    def open(cls, path: str | Path, *, max_packet_bytes: int = MAX_PACKET_BYTES) -> Clip:
        """Read the H.264 or H.265 pictures of any container that FFmpeg reads.

        Args:
            path: The video; of several video streams FFmpeg's best is taken.
            max_packet_bytes: Longest RTP packet, header included.

        Raises:
            UnreadableVideoError: The file is missing or is no video.
            NoVideoStreamError: It holds no pictures.
            UnsupportedCodecError: The codec is another one; ``playable_clip`` transcodes it.
            VideoTooLargeError: Its packets exceed ``MAX_CLIP_BYTES``.
        """
        if max_packet_bytes < 64:
            message = f"max_packet_bytes is {max_packet_bytes}; give 64 or more, 1400 is usual"
            raise InvalidCameraError(message)
        try:
            with av.open(str(path)) as container:
                return _read(path, container, max_packet_bytes)
        except (av.error.FFmpegError, OSError) as error:
            message = f"{path}: {error.strerror}; give a video file that FFmpeg can read"
            raise UnreadableVideoError(message) from error


def best_video_stream(path: str | Path, container: InputContainer) -> VideoStream:
    """Return the stream that FFmpeg holds for the best.

    Raises:
        NoVideoStreamError: There is none.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        kinds = ", ".join(sorted({each.type for each in container.streams})) or "none"
        message = f"{path}: no video stream (streams: {kinds}); give a file with pictures"
        raise NoVideoStreamError(message)
    return stream


@dataclass(frozen=True, slots=True)
class _Coded:
    nals: list[bytes]
    stamp: Stamp
    keyframe: bool


def _read(path: str | Path, container: InputContainer, max_packet_bytes: int) -> Clip:
    stream = best_video_stream(path, container)
    codec = CODECS.get(stream.codec_context.name)
    if codec is None:
        message = (
            f"{path}: codec {stream.codec_context.name} is neither H.264 nor H.265;"
            " open it with playable_clip, which transcodes it once"
        )
        raise UnsupportedCodecError(message)
    reorders = stream.codec_context.has_b_frames
    size = stream.width, stream.height
    pictures = _from_first_keyframe(path, _coded_pictures(path, container, stream, codec))
    timeless = any(picture.stamp.pts is None for picture in pictures)
    frame_ticks = round(TICKS_PER_S / frame_rate(stream, timeless=timeless))
    ranks = _display_ranks(pictures, codec) if timeless and reorders else None
    pts = presentation_ticks([picture.stamp for picture in pictures], ranks, frame_ticks)
    return _assemble(codec, size, pictures, pts, frame_ticks, max_packet_bytes)


def frame_rate(stream: VideoStream, *, timeless: bool = False) -> Fraction:
    """Return the pictures a second of a stream, or 25 where it says none.

    In a ``timeless`` stream the average is FFmpeg's default, and the guess is from the codec.
    """
    rates = stream.average_rate, stream.guessed_rate
    rate = next(filter(None, reversed(rates) if timeless else rates), DEFAULT_FPS)
    return Fraction(rate)


def _coded_pictures(
    path: str | Path, container: InputContainer, stream: VideoStream, codec: Codec
) -> Iterator[_Coded]:
    to_annexb = BitStreamFilterContext(codec.annexb_filter, stream)
    time_base = Fraction(stream.time_base or Fraction(1, TICKS_PER_S))
    num_bytes = 0
    for packet in container.demux(stream):
        if packet.size == 0:  # the end of the stream
            continue
        num_bytes += packet.size
        if num_bytes > MAX_CLIP_BYTES:
            message = f"{path}: more than {MAX_CLIP_BYTES >> 20} MiB of video; cut a shorter clip"
            raise VideoTooLargeError(message)
        yield from (_coded(each, time_base, codec) for each in to_annexb.filter(packet))


def _coded(packet: Packet[VideoStream], time_base: Fraction, codec: Codec) -> _Coded:
    nals = [nal for nal in split_annexb(bytes(packet)) if codec.carries(nal)]
    stamp = Stamp(
        pts=to_ticks(packet.pts, time_base),
        dts=to_ticks(packet.dts, time_base),
        duration=to_ticks(packet.duration, time_base) or 0,
    )
    return _Coded(nals, stamp, packet.is_keyframe)


def _from_first_keyframe(path: str | Path, pictures: Iterator[_Coded]) -> list[_Coded]:
    """Leave out what cannot be decoded: pictures before the first keyframe, in either order."""
    kept: list[_Coded] = []
    num_keyframes = 0
    for picture in pictures:
        num_keyframes += picture.keyframe
        leads = num_keyframes == 1 and bool(kept) and _precedes(picture.stamp, kept[0].stamp)
        if num_keyframes and picture.nals and not leads:
            kept.append(picture)
    if not kept:
        message = f"{path}: no keyframe in the video stream; record it again from a keyframe on"
        raise NoVideoStreamError(message)
    return kept


def _precedes(stamp: Stamp, key: Stamp) -> bool:
    """Tell whether a picture decoded after ``key`` is shown before it: its reference is missing."""
    shown_before = stamp.pts is not None and key.pts is not None and stamp.pts < key.pts
    jumped_back = stamp.dts is not None and key.dts is not None and stamp.dts < key.dts
    return shown_before and not jumped_back


def _display_ranks(pictures: Sequence[_Coded], codec: Codec) -> list[int] | None:
    """Find the display order of pictures without times by decoding them once."""
    name = "hevc" if codec.name == "h265" else codec.name
    decoder = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
    shown: list[int | None] = []
    for index, picture in enumerate(pictures):
        packet = Packet(b"".join(b"\x00\x00\x00\x01" + nal for nal in picture.nals))
        packet.pts = index
        shown += [frame.pts for frame in decoder.decode(packet)]
    shown += [frame.pts for frame in decoder.decode(None)]
    rank_of = {index: rank for rank, index in enumerate(shown)}
    if rank_of.keys() != set(range(len(pictures))):
        return None
    return [rank_of[index] for index in range(len(pictures))]


def _assemble(
    codec: Codec,
    size: tuple[int, int],
    pictures: Sequence[_Coded],
    pts: Sequence[int],
    frame_ticks: int,
    max_packet_bytes: int,
) -> Clip:
    in_order = sorted(pts)
    delay = max(shown - sent for shown, sent in zip(pts, in_order, strict=True))
    dues = tuple(sent + delay for sent in in_order)
    sets = ParameterSets(codec)
    sets.update(pictures[0].nals)
    first_sets = tuple(sets.ordered())
    units = tuple(
        AccessUnit(shown, due, picture.keyframe, _payloads(picture, sets, codec, max_packet_bytes))
        for picture, shown, due in zip(pictures, pts, dues, strict=True)
    )
    last = max(range(len(pts)), key=pts.__getitem__)
    duration = pts[last] + (pictures[last].stamp.duration or frame_ticks)
    return Clip(codec, size[0], size[1], units, dues, duration, first_sets)


def _payloads(
    picture: _Coded, sets: ParameterSets, codec: Codec, max_packet_bytes: int
) -> tuple[bytes, ...]:
    sets.update(picture.nals)
    nals = picture.nals
    if picture.keyframe:
        nals = sets.ordered() + [nal for nal in nals if not codec.is_parameter_set(nal)]
    return payloads(nals, codec, max_packet_bytes - HEADER_BYTES)
