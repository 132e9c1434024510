"""Plays one camera: opens it, and gives its pictures as FFmpeg's demuxer would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from actors.errors import SourceError
from actors.ingest.rtsp.address import parse_address
from actors.ingest.rtsp.depacketizer import AccessUnit, Depacketizer
from actors.ingest.rtsp.examining import examine, is_enough
from actors.ingest.rtsp.h264 import H264Depacketizer
from actors.ingest.rtsp.h265 import H265Depacketizer
from actors.ingest.rtsp.handshake import Agreement, Dialogue, agree
from actors.ingest.rtsp.reader import Reader
from actors.ingest.rtsp.sdp import CLOCK_HZ
from actors.ingest.rtsp.stamps import Stamps
from actors.ingest.rtsp.unfamiliar import UnfamiliarError, remember
from actors.ingest.rtsp.upkeep import Upkeep
from actors.ingest.rtsp.wire import Wire
from actors.ingest.source_errors import failure, timed_out

_TIME_BASE = Fraction(1, CLOCK_HZ)
_DEPACKETIZERS: dict[str, type[Depacketizer]] = {"h264": H264Depacketizer, "hevc": H265Depacketizer}


class RtspSource:
    """The video of a camera that plays.

    Args:
        url: Where it comes from.
        wire: The connection, on which nothing has been said yet.
        read_timeout_s: The longest wait for a picture.

    Raises:
        SourceError: if it does not play; an UnfamiliarError where FFmpeg should try.
    """

    def __init__(self, url: str, wire: Wire, read_timeout_s: float) -> None:
        self.url = url
        self.is_paced = False
        self._wire = wire
        self._read_timeout_s = read_timeout_s
        address = parse_address(url)
        self._dialogue = Dialogue(url, address, wire)
        self._agreement = agree(self._dialogue, address)
        self._play(self._agreement)
        self._units: list[AccessUnit] = []
        self._await_first_units()
        self._context, self.properties = examine(self._agreement.video, self._units)
        self._stamps = Stamps(is_reordered=self._context.has_b_frames)
        wire.play(read_timeout_s)

    @property
    def codec_context(self) -> VideoCodecContext:
        """The decoder, set up for the stream but not yet opened."""
        return self._context

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Pictures as they arrive, without end.

        Raises:
            SourceError: if none comes in time, the camera ends the stream, or sends nonsense; then
                FFmpeg reads it when it is opened again.
        """
        try:
            while True:
                while self._units:
                    yield self._packet(self._units.pop(0))
                self._await_units()
        except UnfamiliarError as error:
            raise self._given_up(error) from None

    def fileno(self) -> int:
        """What can be read when more has come."""
        return self._wire.fileno()

    def read_packets(self) -> list[Packet[VideoStream]]:
        """The pictures that are complete with what has come; waits if nothing has.

        Raises:
            SourceError: as ``packets`` does.
        """
        try:
            self._read()
        except UnfamiliarError as error:
            raise self._given_up(error) from None
        units, self._units = self._units, []
        return [self._packet(unit) for unit in units]

    def rewind(self) -> None:
        """Refuse: what a camera has shown is gone.

        Raises:
            SourceError: always.
        """
        raise failure(self.url, "invalid", "is a camera, which cannot be played again")

    def close(self) -> None:
        """Hang up; ends a call of another thread that waits. May be called twice."""
        agreement = self._agreement
        headers = {"Session": agreement.session}
        self._wire.close(self._dialogue.encode("TEARDOWN", agreement.url, **headers))

    def _play(self, agreement: Agreement) -> None:
        wire, video = self._wire, agreement.video
        begin = {"Session": agreement.session, "Range": "npt=0.000-"}
        wire.send(self._dialogue.encode("PLAY", agreement.url, **begin))
        self._upkeep = Upkeep(self._dialogue, agreement, wire, time.monotonic())
        self._depacketizer = _DEPACKETIZERS[video.codec](agreement.channels[0], video.payload_type)
        hear = self._upkeep.hear
        self._reader = Reader(self.url, wire, self._depacketizer, agreement.channels, hear)

    def _await_first_units(self) -> None:
        try:
            while not is_enough(self._agreement.video, self._units):
                self._units += self._reader.read()
        except SourceError as error:
            if error.reason == "timeout" and self._depacketizer.has_begun and not self._units:
                raise UnfamiliarError("sends packets that make no picture") from None
            raise

    def _await_units(self) -> None:
        began = time.monotonic()
        while True:
            now = self._read()
            if self._units:
                return
            if now - began > self._read_timeout_s:
                raise timed_out(self.url)  # reports and answers still come

    def _read(self) -> float:
        """Take what has come, and send what is due; the time, as of ``time.monotonic()``."""
        self._units += self._reader.read()
        now = time.monotonic()
        if now >= self._upkeep.due_at:
            self._upkeep.tend(now)
        return now

    def _given_up(self, error: UnfamiliarError) -> SourceError:
        """FFmpeg reads the camera when it is opened again."""
        remember(self.url, error)
        return failure(self.url, error.reason, error.message)

    def _packet(self, unit: AccessUnit) -> Packet[VideoStream]:
        packet = cast("Packet[VideoStream]", Packet(unit.data))
        packet.pts, packet.dts = self._stamps.place(unit.timestamp)
        packet.time_base = _TIME_BASE
        if unit.is_keyframe:
            packet.is_keyframe = True
        if unit.is_corrupt:
            packet.is_corrupt = True
        return packet


def open_camera(url: str, *, open_timeout_s: float, read_timeout_s: float) -> RtspSource:
    """Open a camera over TCP.

    Args:
        url: ``rtsp://``.
        open_timeout_s: For all until its first pictures have come.
        read_timeout_s: For each picture afterwards.

    Raises:
        SourceError: with the reason and the remedy; an UnfamiliarError where FFmpeg should try.
    """
    address = parse_address(url)
    wire = Wire(url, (address.host, address.port), time.monotonic() + open_timeout_s)
    try:
        return RtspSource(url, wire, read_timeout_s)
    except BaseException:
        wire.close()
        raise
