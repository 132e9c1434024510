"""One session with a source: opens it, reads and decodes it in a thread, until it ends or fails.

A blocked call of FFmpeg cannot be interrupted. A session that hangs is abandoned instead: its lane
is closed, so that whatever it still brings counts nowhere, and its thread ends when FFmpeg lets go.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace

from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from actors.errors import SourceError
from actors.ingest.config import IngestConfig
from actors.ingest.decoder import CpuDecoder
from actors.ingest.decoding import open_decoder, tell_fallback
from actors.ingest.delivery import Arrival, Delivery, FramePolicy
from actors.ingest.gate import DecodeGate
from actors.ingest.lag import DecodeLag
from actors.ingest.lane import Lane
from actors.ingest.outbox import Outbox
from actors.ingest.pacing import Pacer
from actors.ingest.properties import SourceProperties
from actors.ingest.redirects import open_allowed
from actors.ingest.source import Source, Transport
from actors.ingest.source_errors import failure, source_error, timed_out
from actors.messages import DegradeStep
from engines.cuda.context import device_works
from engines.errors import DeviceError

DEVICE_LOST = "device"
"""Reason of a session that ended because this process can use its GPU no more."""

_DEFAULT_FPS = 25.0
_HELD = (DegradeStep.KEY_FRAMES, DegradeStep.PAUSED)  # pictures need not come
_MAX_LATE_S = 0.25  # of a picture that had to wait for its turn: the rest of its GOP would, too
_GRACE = 1.5  # FFmpeg's own time-outs only release threads; the watchdog is the one that decides

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What a session plays.

    Attributes:
        number: The session's own, in its tickets.
        url: The source.
        transport: Of RTP.
        loop: Play a file again from its start.
        open_timeout_s: For opening.
        not_before: UTC of the last picture of the session before, seconds since 1970.
    """

    number: int
    url: str = field(repr=False)  # holds the camera's password
    transport: Transport
    loop: bool
    open_timeout_s: float
    not_before: float


class Session:
    """A source from its opening to its end.

    The thread publishes ``properties``, ``delivery``, ``error`` and ``is_over``; others may read
    them at any time and set ``policy``.

    Args:
        spec: What to play.
        policy: Rate, deadline and step in force.
        lane: Its way into the outbox.
        outbox: Where pictures go.
        config: Time-outs.
        gate: Where the CPU decodes, what it does so through.
    """

    def __init__(
        self,
        spec: SessionSpec,
        policy: FramePolicy,
        lane: Lane,
        outbox: Outbox,
        config: IngestConfig,
        gate: DecodeGate,
    ) -> None:
        self.policy = policy
        self.delivery = Delivery(spec.number, lane, outbox, spec.not_before)
        self.started_at = time.monotonic()
        self.properties: SourceProperties | None = None
        self.error: SourceError | None = None
        self.is_over = False
        self._spec = spec
        self._lane = lane
        self._outbox = outbox
        self._config = config
        self._gate = gate
        self._opened_at: float | None = None
        self._blocked_since: float | None = None
        self._held_at: float | None = None
        self._lag = DecodeLag()
        self._seen: tuple[int, int, str] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{lane.stream}", daemon=True)

    # Called by other threads

    def start(self) -> None:
        """Open the source and play it, in the session's own thread."""
        self._thread.start()

    def abandon(self) -> None:
        """Take nothing more from the session and let its thread end when it can."""
        self._outbox.close_lane(self._lane)
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread."""
        self._thread.join(timeout_s)

    def lived_s(self, now: float) -> float:
        """How long packets have come, seconds; 0 where the source has not opened."""
        if self._opened_at is None:
            return 0.0
        return max((self._blocked_since or now) - self._opened_at, 0.0)

    @property
    def has_begun(self) -> bool:
        """Whether the source plays: pictures have come, or packets while it is held back."""
        return self.delivery.num_frames > 0 or self._held_at is not None

    def decode_lag_s(self, now: float) -> float:
        """How far the thread is behind for want of processor time, seconds; see DecodeLag."""
        return self._lag.lag_s(now)

    def overdue(self, now: float) -> SourceError | None:
        """Why the session should be abandoned now; None while it does well."""
        blocked_since, opened_at, config = self._blocked_since, self._opened_at, self._config
        blocked_s = now - blocked_since if blocked_since is not None else 0.0
        if opened_at is None:
            if blocked_s > self._spec.open_timeout_s:
                return timed_out(self._spec.url)
        elif blocked_s > config.read_timeout_s:
            return self._failure("stalled", f"has sent nothing for {config.read_timeout_s:g} s")
        elif (
            self.delivery.num_frames == 0
            and now - (self._held_at or opened_at) > config.picture_timeout_s
        ):
            limit = f"{config.picture_timeout_s:g} s"
            return self._failure(
                "invalid", f"sent no decodable picture in {limit}: shorten its GOP"
            )
        return None

    # The session's own thread

    def _run(self) -> None:
        try:
            self._play()
        except SourceError as error:
            self.error = error
        except FFmpegError as error:
            self.error = source_error(error, self._spec.url)
        except DeviceError as error:
            reason = "invalid" if device_works() else DEVICE_LOST
            self.error = self._failure(reason, f"cannot be decoded on the GPU: {error}")
        except Exception as error:  # one bad camera must not take others with it, nor go unseen
            log.exception("stream %s: the session failed", self._lane.stream)
            self.error = self._failure("invalid", f"made ingest fail ({type(error).__name__})")
        self.is_over = True

    def _play(self) -> None:
        source = self._open()
        try:
            self._repeat(source)
        finally:
            source.close()

    def _open(self) -> Source:
        self._blocked_since = time.monotonic()
        source = open_allowed(
            self._spec.url,
            self._config.allowed,
            transport=self._spec.transport,
            open_timeout_s=_GRACE * self._spec.open_timeout_s,
            read_timeout_s=_GRACE * self._config.read_timeout_s,
        )
        self._blocked_since = None
        self.properties = source.properties
        self._opened_at = time.monotonic()
        return source

    def _repeat(self, source: Source) -> None:
        interval_s = 1.0 / (source.properties.fps or _DEFAULT_FPS)
        decoder = open_decoder(self._config.decoder, source.codec_context, interval_s)
        pacer = Pacer(interval_s) if source.is_paced else None
        while True:
            num_frames, held_at = self.delivery.num_frames, self._held_at
            try:
                self._pass(source, decoder, pacer)
            finally:
                self.delivery.finish()
            if self._stop.is_set():
                return
            if (self.delivery.num_frames, self._held_at) == (num_frames, held_at):
                raise failure(self._spec.url, "invalid", "has no picture that can be decoded")
            if not self._spec.loop:
                return
            source.rewind()
            decoder.restart()
            self._lag.repeat()
            if pacer is not None:
                pacer.repeat()

    def _pass(self, source: Source, decoder: CpuDecoder, pacer: Pacer | None) -> None:
        began = self._blocked_since = time.monotonic()
        tick_s: float | None = None
        for packet in source.packets():
            self._blocked_since = None
            if tick_s is None:  # it costs as much as all else here, and stays the same
                tick_s = float(packet.time_base or 0)
            time_s = _packet_time_s(packet, tick_s)
            if pacer is not None:
                self._stop.wait(pacer.delay_s(time_s, time.monotonic()))
            if self._stop.is_set():
                return
            now = time.monotonic()
            busy_s = time.thread_time() if self._lag.is_due(now) else None  # a system call
            self._lag.note(time_s, now, now - began, busy_s)
            self._decode_in_turn(packet, decoder, Arrival(now, time.time()))
            began = self._blocked_since = time.monotonic()
        self._blocked_since = None

    def _decode_in_turn(
        self, packet: Packet[VideoStream], decoder: CpuDecoder, arrival: Arrival
    ) -> None:
        """Decode when it is the camera's turn; go on with the next key frame where it is late."""
        if decoder.name != "cpu" or decoder.leaves_out(packet):
            self._take(packet, decoder, arrival)
            return
        came_at = arrival.monotonic - self._lag.lag_s(arrival.monotonic)
        with self._gate.enter(came_at, self.policy.rank):
            if time.monotonic() - came_at > _MAX_LATE_S:
                decoder.catch_up()
            self._take(packet, decoder, arrival)

    def _take(self, packet: Packet[VideoStream], decoder: CpuDecoder, arrival: Arrival) -> None:
        policy, num_errors = self.policy, decoder.num_errors
        if policy.step in _HELD:
            self._held_at = arrival.monotonic
        if decoder.leaves_out(packet):
            self._outbox.count_skipped(self._lane)
        for decoded in decoder.decode(packet, policy.step):
            seen = (decoded.frame.width, decoded.frame.height, decoder.name)
            if seen != self._seen:
                self._note_size(decoded.frame.width, decoded.frame.height)
                self._note_decoder(decoder)
                self._seen = seen
            self.delivery.deliver(decoded, arrival, policy)
        if decoder.num_errors > num_errors:
            self._outbox.count_decode_errors(self._lane, decoder.num_errors - num_errors)

    def _note_size(self, width: int, height: int) -> None:
        """A camera may change its size without being opened again."""
        known = self.properties
        if known is not None and (known.width, known.height) != (width, height):
            self.properties = replace(known, width=width, height=height)

    def _note_decoder(self, decoder: CpuDecoder) -> None:
        """What decodes is known with the first picture, and may change with a later one."""
        known = self.properties
        if known is not None and known.decoder != decoder.name:
            self.properties = replace(known, decoder=decoder.name, fallback=decoder.fallback)
            if decoder.fallback:
                tell_fallback(decoder.fallback)

    def _failure(self, reason: str, text: str) -> SourceError:
        return SourceError(reason, failure(self._spec.url, reason, text).message)


def _packet_time_s(packet: Packet[VideoStream], tick_s: float) -> float | None:
    """When a packet is to be decoded, seconds in the source's clock; None where it does not say."""
    stamp = packet.dts
    if stamp is None:
        stamp = packet.pts
    return None if stamp is None or not tick_s else stamp * tick_s
