"""Opens cameras, web streams and files with FFmpeg and reads the packets of their video."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal, Protocol, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from actors.ingest.properties import SourceProperties
from actors.ingest.rtsp import UnfamiliarError, is_unfamiliar, open_camera, remember
from actors.ingest.source_errors import (
    failure,
    file_path,
    is_file,
    is_rtsp,
    is_unsupported_transport,
    source_error,
    timed_out,
)

Transport = Literal["auto", "tcp", "udp"]

# Enough for the parameter sets of H.264 and H.265; what is read meanwhile is kept and played.
_LIVE_OPTIONS = {"probesize": "100000", "analyzeduration": "100000"}
_MIN_OPEN_S = 0.1
# What a URL may lead to, so that a playlist or a redirect cannot reach local files.
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,udp,tcp,tls,srtp,http,https"
_HTTP_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto,data"
_FILE_PROTOCOLS = "file,crypto,data"


class Source(Protocol):
    """The video stream of an open source, whoever reads it.

    Attributes:
        url: Where it comes from.
        properties: What it says of itself.
        is_paced: Whether it is to be held to the speed at which it was recorded.
    """

    url: str
    properties: SourceProperties
    is_paced: bool

    @property
    def codec_context(self) -> VideoCodecContext:
        """The decoder, set up for the stream but not yet opened."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets as they arrive; the last one of a file is empty and flushes the decoder.

        Raises:
            SourceError: if reading fails, and ``disconnected`` where a live source ends.
        """

    def rewind(self) -> None:
        """Go back to the beginning of a file.

        Raises:
            SourceError: if it cannot be played twice.
        """

    def close(self) -> None:
        """Hang up; may be called twice."""


class FfmpegSource:
    """A source that FFmpeg reads.

    Args:
        url: Where it came from.
        container: Open, with at least one video stream.
        stream: The one that is read.
    """

    def __init__(self, url: str, container: InputContainer, stream: VideoStream) -> None:
        self.url = url
        self.properties = _properties(url, container, stream)
        self.is_paced = not self.properties.is_live or container.format.name == "hls"
        self._container = container
        self._stream = stream

    @property
    def codec_context(self) -> VideoCodecContext:
        """The decoder, set up for the stream but not yet opened."""
        return self._stream.codec_context

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets as they arrive; see Source."""
        try:
            yield from self._container.demux(self._stream)
        except FFmpegError as error:
            raise source_error(error, self.url) from None
        if self.properties.is_live:
            raise failure(self.url, "disconnected", "ended the stream")

    def rewind(self) -> None:
        """Go back to the beginning of a file; see Source."""
        try:
            self._container.seek(self._container.start_time or 0)
        except FFmpegError as error:
            raise source_error(error, self.url) from None

    def close(self) -> None:
        """Hang up; may be called twice."""
        self._container.close()


def open_source(
    url: str,
    *,
    transport: Transport = "auto",
    open_timeout_s: float = 3.5,
    read_timeout_s: float = 3.0,
) -> Source:
    """Open the best video stream of a source.

    Cameras that send H.264 or H.265 inside their connection are read by ``actors.ingest.rtsp``,
    which costs less than FFmpeg; FFmpeg reads all else, and those that do what that client does not
    know.

    Args:
        url: ``rtsp://``, ``rtsps://``, ``http://``, ``https://`` or ``file://``.
        transport: Of RTP; ``auto`` is TCP, and UDP where the server does not offer TCP.
        open_timeout_s: For opening.
        read_timeout_s: For each packet.

    Raises:
        SourceError: with the reason and the remedy; permanent for files.
    """
    began = time.monotonic()
    if _is_plain_camera(url, transport):
        try:
            return open_camera(url, open_timeout_s=open_timeout_s, read_timeout_s=read_timeout_s)
        except UnfamiliarError as error:
            remember(url, error)
    left_s = max(open_timeout_s - (time.monotonic() - began), _MIN_OPEN_S)
    return open_with_ffmpeg(url, transport, (left_s, read_timeout_s))


def open_with_ffmpeg(url: str, transport: Transport, timeout: tuple[float, float]) -> FfmpegSource:
    """Open any source, as FFmpeg does it.

    FFmpeg keeps the time-out for reading only roughly: when it has passed, the last packet that the
    parser held back still comes, and the error only after as long again.

    Args:
        url: As ``open_source`` takes it.
        transport: Likewise.
        timeout: For opening and for each packet, seconds.

    Raises:
        SourceError: as ``open_source`` does.
    """
    began = time.monotonic()
    try:
        container = _open(url, transport, timeout)
    except FFmpegError as error:
        if not is_file(url) and time.monotonic() - began >= timeout[0]:
            raise timed_out(url) from None
        raise source_error(error, url) from None
    stream = _video_stream(container)
    if stream is None:
        container.close()
        raise failure(url, "no_video", "has no video: give a source with pictures in it")
    return FfmpegSource(url, container, stream)


def probe(url: str, *, transport: Transport = "auto", timeout_s: float = 3.5) -> SourceProperties:
    """Open a source only to ask what it is.

    Raises:
        SourceError: as ``open_source`` does.
    """
    source = open_source(
        url, transport=transport, open_timeout_s=timeout_s, read_timeout_s=timeout_s
    )
    source.close()
    return source.properties


def _is_plain_camera(url: str, transport: Transport) -> bool:
    """Whether the client of our own, which costs less than FFmpeg's, should try."""
    return url.startswith("rtsp://") and transport != "udp" and not is_unfamiliar(url)


def _open(url: str, transport: Transport, timeout: tuple[float, float]) -> InputContainer:
    if not is_rtsp(url):
        return _open_plain(url, timeout)
    try:
        return _open_rtsp(url, "udp" if transport == "udp" else "tcp", timeout)
    except FFmpegError as error:
        if transport != "auto" or not is_unsupported_transport(error):
            raise
    return _open_rtsp(url, "udp", timeout)


def _open_rtsp(url: str, transport: str, timeout: tuple[float, float]) -> InputContainer:
    options = {
        **_LIVE_OPTIONS,
        "rtsp_transport": transport,
        "allowed_media_types": "video",
        "protocol_whitelist": _RTSP_PROTOCOLS,
    }
    return av.open(url, options=options, timeout=timeout)


def _open_plain(url: str, timeout: tuple[float, float]) -> InputContainer:
    if is_file(url):
        return av.open(file_path(url), options={"protocol_whitelist": _FILE_PROTOCOLS})
    # Where a server sends its clients is looked at before it is opened; see redirects.py.
    options = {"protocol_whitelist": _HTTP_PROTOCOLS, "max_redirects": "0"}
    return av.open(url, options=options, timeout=timeout)


def _video_stream(container: InputContainer) -> VideoStream | None:
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or best.disposition & Disposition.attached_pic:
        return None  # the cover of a music file is a picture, not a video
    return best


def _properties(url: str, container: InputContainer, stream: VideoStream) -> SourceProperties:
    rate = stream.average_rate or stream.guessed_rate
    duration_s = container.duration / av.time_base if container.duration else None
    is_live = not is_file(url) and (duration_s is None or is_rtsp(url))
    context = cast(Any, stream.codec_context)
    return SourceProperties(
        codec=context.name,
        width=context.width,
        height=context.height,
        fps=float(rate) if rate else None,
        is_live=is_live,
        duration_s=None if is_live else duration_s,
    )
