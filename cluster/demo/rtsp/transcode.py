"""Videos of any codec, made playable: H.264 with a keyframe every second, encoded once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cluster.demo.rtsp.clip import MAX_PACKET_BYTES, Clip, best_video_stream, frame_rate
from cluster.demo.rtsp.errors import TranscodeError, UnsupportedCodecError
from cluster.demo.rtsp.timestamps import TICKS_PER_S

Progress = Callable[[float], None]
"""Is called with the fraction that is done, 0 to 1."""
MAX_KEYFRAME_INTERVAL_S = 2.5
"""A client waits for a keyframe; beyond this it would take the camera for dead."""
_CACHE_VERSION = "1"
_TIME_BASE = Fraction(1, TICKS_PER_S)


def playable_clip(
    path: str | Path,
    cache_dir: str | Path,
    progress: Progress | None = None,
    *,
    max_packet_bytes: int = MAX_PACKET_BYTES,
) -> Clip:
    """Open a video, transcoded first where its codec or its keyframe interval wants it.

    Args:
        path: Any video that FFmpeg decodes.
        cache_dir: Where the transcoded video is kept, by the file's path, size and time.
        progress: Called while transcoding.
        max_packet_bytes: Longest RTP packet, header included.

    Raises:
        VideoError: The file cannot be read, holds no pictures, or cannot be decoded.
    """
    try:
        clip = Clip.open(path, max_packet_bytes=max_packet_bytes)
        if clip.max_keyframe_interval_s <= MAX_KEYFRAME_INTERVAL_S:
            return clip
    except UnsupportedCodecError:
        pass  # that is what transcoding is for
    cached = Path(cache_dir) / f"{_fingerprint(Path(path))}.mp4"
    if not cached.exists():
        transcode(path, cached, progress)
    return Clip.open(cached, max_packet_bytes=max_packet_bytes)


def transcode(path: str | Path, out_path: str | Path, progress: Progress | None = None) -> None:
    """Encode the pictures of a video as H.264: closed GOPs of a second, no B-frames.

    The result appears at ``out_path`` when it is complete, never in part.

    Raises:
        NoVideoStreamError: There are no pictures in it.
        TranscodeError: It cannot be decoded, or the result not be written.
    """
    target = Path(out_path)
    partial = target.with_name(f".{target.stem}.{os.getpid()}.part.mp4")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path)) as source:
            _encode(path, source, partial, progress or (lambda _: None))
        partial.replace(target)
    except (av.error.FFmpegError, OSError) as error:
        message = f"{path}: {error.strerror}; give a video that FFmpeg decodes, and a writable"
        raise TranscodeError(f"{message} folder for {target}") from error
    finally:
        partial.unlink(missing_ok=True)


def _fingerprint(path: Path) -> str:
    status = path.stat()
    text = f"{_CACHE_VERSION}:{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _encode(path: str | Path, source: InputContainer, partial: Path, progress: Progress) -> None:
    stream = best_video_stream(path, source)
    stream.thread_type = "AUTO"
    num_frames = 0
    with av.open(str(partial), "w", format="mp4") as sink:
        encoder = _encoder(sink.add_stream("libx264", rate=frame_rate(stream)), stream)
        for frame in _frames(source, stream):
            sink.mux(encoder.encode(frame))
            num_frames += 1
            progress(_done(frame, stream))
        sink.mux(encoder.encode(None))
    if not num_frames:
        raise TranscodeError(f"{path}: no picture could be decoded; give an intact video")
    progress(1.0)


def _encoder(encoder: VideoStream, stream: VideoStream) -> VideoStream:
    rate = frame_rate(stream)
    encoder.width, encoder.height = stream.width // 2 * 2, stream.height // 2 * 2
    encoder.pix_fmt = "yuv420p"
    encoder.codec_context.time_base = _TIME_BASE
    encoder.codec_context.gop_size = max(1, round(rate))
    encoder.codec_context.max_b_frames = 0
    encoder.options = {"preset": "veryfast", "crf": "23", "sc_threshold": "0", "forced-idr": "1"}
    return encoder


def _frames(source: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the pictures at one size, in increasing time."""
    size = stream.width // 2 * 2, stream.height // 2 * 2
    step = round(TICKS_PER_S / frame_rate(stream))
    previous = -step
    for frame in source.decode(stream):
        pts = previous + step
        if frame.pts is not None and frame.time_base:
            pts = max(round(frame.pts * frame.time_base * TICKS_PER_S), previous + 1)
        picture = frame.reformat(*size, format="yuv420p")
        picture.pts, picture.time_base = pts, _TIME_BASE
        picture.pict_type = 0  # the encoder's choice, not the source's
        previous = pts
        yield picture


def _done(frame: VideoFrame, stream: VideoStream) -> float:
    if not stream.duration or not stream.time_base or frame.pts is None:
        return 0.0
    length_s = float(stream.duration * stream.time_base)
    return min(1.0, max(0.0, frame.pts / TICKS_PER_S / length_s))
