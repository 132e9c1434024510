"""Clips, and clients of RTSP cameras: PyAV, and a bare socket where bytes matter."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from cluster.demo.rtsp import Clip
from cluster.demo.rtsp.pattern import write_pattern

OPTIONS = {"timeout": "3000000", "probesize": "100000", "analyzeduration": "100000"}
TINY = {"width": 128, "height": 96, "fps": 100, "seconds": 0.25, "gop_size": 5}
"""25 pictures, a hundred a second, so that a loop is soon over; a keyframe every 50 ms."""
FRAME_TICKS = 900


def write_tiny(path: Path, **changes: Any) -> Path:
    """A video of 25 pictures; what is not as in ``TINY``, as ``write_pattern`` takes it."""
    write_pattern(path, **{**TINY, "bit_rate": 200_000, **changes})
    return path


def tiny_clip(folder: Path, name: str = "tiny.mp4", **changes: Any) -> Clip:
    return Clip.open(write_tiny(folder / name, **changes))


def open_stream(url: str, transport: str = "tcp", **options: str) -> Any:
    return av.open(url, options={**OPTIONS, "rtsp_transport": transport, **options})


def picture_hash(frame: av.VideoFrame) -> str:
    return hashlib.sha256(frame.to_ndarray(format="gray").tobytes()).hexdigest()


def file_hashes(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [picture_hash(frame) for frame in container.decode(video=0)]


def stream_frames(url: str, count: int, transport: str = "tcp") -> list[tuple[int | None, str]]:
    """Presentation time (None where FFmpeg gives none) and hash of the next pictures."""
    frames = []
    with open_stream(url, transport) as container:
        for frame in container.decode(video=0):
            frames.append((frame.pts, picture_hash(frame)))
            if len(frames) == count:
                return frames
    raise AssertionError(f"the stream ended after {len(frames)} pictures")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class RtspSocket:
    """A client that says exactly what it is told to."""

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        host, _, port = url.split("/")[2].rpartition("@")[2].partition(":")
        self.url = url
        self._socket = socket.create_connection((host, int(port)), timeout_s)
        self._stream = self._socket.makefile("rb")
        self._cseq = 0

    def __enter__(self) -> RtspSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def ask(self, method: str, url: str | None = None, body: bytes = b"", **headers: str) -> Reply:
        self._cseq += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self._cseq}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join((*lines, "", "")).encode() + body)
        reply = self.reply()
        assert reply.headers["cseq"] == str(self._cseq)
        return reply

    def reply(self) -> Reply:
        """The next response; interleaved packets before it are read over."""
        first = self._stream.read(1)
        while first == b"$":
            self._packet_after_dollar()
            first = self._stream.read(1)
        if not first:
            raise ConnectionResetError("closed")
        status = int((first + self._stream.readline()).split()[1])
        headers = {}
        while (line := self._stream.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Reply(status, headers, self._stream.read(int(headers.get("content-length", 0))))

    def play(self, transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1") -> tuple[str, Reply]:
        """Set up and play; the session and the answer to PLAY."""
        setup = self.ask("SETUP", f"{self.url}/trackID=0", Transport=transport)
        assert setup.status == 200
        session = setup.headers["session"].partition(";")[0]
        return session, self.ask("PLAY", Session=session, Range="npt=0.000-")

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Channel and bytes of each interleaved packet."""
        while self._stream.read(1) == b"$":
            yield self._packet_after_dollar()

    def is_closed(self) -> bool:
        """Wait for the server to end the connection."""
        try:
            return self._stream.read() is not None
        except ConnectionResetError:
            return True

    def _packet_after_dollar(self) -> tuple[int, bytes]:
        channel, length = struct.unpack(">BH", self._stream.read(3))
        return channel, self._stream.read(length)


@dataclass(frozen=True, slots=True)
class RtpPacket:
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def rtp_packet(data: bytes) -> RtpPacket:
    first, second, sequence, timestamp, ssrc = struct.unpack(">BBHII", data[:12])
    assert (first, second & 0x7F) == (0x80, 96)
    return RtpPacket(bool(second & 0x80), sequence, timestamp, ssrc, data[12:])
