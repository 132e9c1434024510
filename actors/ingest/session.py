"""One session with a source: opens it, reads and decodes it in a thread, until it ends or fails.

A blocked call of FFmpeg cannot be interrupted. A session that hangs is abandoned instead: its lane
is closed, so that whatever it still brings counts nowhere, and its thread ends when FFmpeg lets go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from actors.errors import SourceError
from actors.ingest.decoding import open_decoder
from actors.ingest.delivery import Arrival, Delivery, FramePolicy
from actors.ingest.facilities import Facilities
from actors.ingest.lane import Lane
from actors.ingest.pacing import Pacer
from actors.ingest.playback import Playback
from actors.ingest.properties import SourceProperties
from actors.ingest.redirects import open_allowed
from actors.ingest.rtsp.source import RtspSource
from actors.ingest.source import Source, Transport
from actors.ingest.source_errors import failure, source_error, timed_out
from actors.ingest.source_wait import SourceWait
from engines.cuda.context import device_works
from engines.errors import DeviceError

DEVICE_LOST = "device"
"""Reason of a session that ended because this process can use its GPU no more."""

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

    Its thread reads and decodes, or waits while the actor's rounds do. It publishes ``properties``,
    ``delivery``, ``error`` and ``is_over``; others may read them at any time and set ``policy``.

    Args:
        spec: What to play.
        policy: Rate, deadline and step in force.
        lane: Its way into the outbox.
        facilities: Of the actor.
    """

    def __init__(
        self,
        spec: SessionSpec,
        policy: FramePolicy,
        lane: Lane,
        facilities: Facilities,
    ) -> None:
        self.policy = policy
        self.delivery = Delivery(spec.number, lane, facilities.outbox, spec.not_before)
        self.started_at = time.monotonic()
        self.error: SourceError | None = None
        self.is_over = False
        self._spec = spec
        self._lane = lane
        self._facilities = facilities
        self._config = facilities.config
        self._playback: Playback | None = None
        self._opened_at: float | None = None
        self._wait = SourceWait()
        self._picture_wait = SourceWait()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{lane.stream}", daemon=True)

    # Called by other threads

    def start(self) -> None:
        """Open the source and play it, in the session's own thread."""
        self._thread.start()

    def abandon(self) -> None:
        """Take nothing more from the session and let its thread end when it can."""
        self._facilities.outbox.close_lane(self._lane)
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread."""
        self._thread.join(timeout_s)

    def lived_s(self, now: float) -> float:
        """How long packets have come, seconds; 0 where the source has not opened."""
        if self._opened_at is None:
            return 0.0
        return max((self._wait.since or now) - self._opened_at, 0.0)

    @property
    def has_begun(self) -> bool:
        """Whether the source plays: pictures have come, or packets while it is held back."""
        return self.delivery.num_frames > 0 or self._held_at is not None

    @property
    def properties(self) -> SourceProperties | None:
        """Of the source; None where it has not opened."""
        return self._playback.properties if self._playback is not None else None

    def decode_lag_s(self, now: float) -> float:
        """How far the thread is behind for want of processor time, seconds; see DecodeLag."""
        return self._playback.lag_s(now) if self._playback is not None else 0.0

    def overdue(self, now: float, stood_still_s: float) -> SourceError | None:
        """Why the session should be abandoned now; None while it does well; see SourceWait."""
        opened_at, config = self._opened_at, self._config
        blocked_s = self._wait.lasted_s(now, stood_still_s)
        if opened_at is None:
            if blocked_s > self._spec.open_timeout_s:
                return timed_out(self._spec.url)
        elif blocked_s > config.read_timeout_s:
            return self._failure("stalled", f"has sent nothing for {config.read_timeout_s:g} s")
        elif self.delivery.num_frames == 0:
            self._picture_wait.since = self._held_at or opened_at
            if self._picture_wait.lasted_s(now, stood_still_s) > config.picture_timeout_s:
                limit = f"{config.picture_timeout_s:g} s"
                text = f"sent no decodable picture in {limit}: shorten its GOP"
                return self._failure("invalid", text)
        return None

    @property
    def _held_at(self) -> float | None:
        return self._playback.held_at if self._playback is not None else None

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
            self._repeat(source, self._prepare(source))
        finally:
            source.close()

    def _open(self) -> Source:
        self._wait.since = time.monotonic()
        source = open_allowed(
            self._spec.url,
            self._config.allowed,
            transport=self._spec.transport,
            open_timeout_s=_GRACE * self._spec.open_timeout_s,
            read_timeout_s=_GRACE * self._config.read_timeout_s,
        )
        self._wait.since = None
        self._opened_at = time.monotonic()
        return source

    def _prepare(self, source: Source) -> Playback:
        context = source.codec_context
        decoder = open_decoder(self._config.decoder, context, source.properties.interval_s)
        playback = Playback(decoder, self.delivery, self._lane, self._facilities, source.properties)
        self._playback = playback
        return playback

    def _repeat(self, source: Source, playback: Playback) -> None:
        pacer = Pacer(source.properties.interval_s) if source.is_paced else None
        while True:
            progress = playback.progress
            try:
                self._pass(source, playback, pacer)
            finally:
                self.delivery.finish()
            if self._stop.is_set():
                return
            if playback.progress == progress:
                raise failure(self._spec.url, "invalid", "has no picture that can be decoded")
            if not self._spec.loop:
                return
            source.rewind()
            playback.repeat()
            if pacer is not None:
                pacer.repeat()

    def _pass(self, source: Source, playback: Playback, pacer: Pacer | None) -> None:
        began = self._wait.since = time.monotonic()
        for packet in source.packets():
            self._wait.since = None
            if pacer is not None:
                delay_s = pacer.delay_s(playback.time_s(packet), time.monotonic())
                self._stop.wait(delay_s)
            if self._stop.is_set():
                return
            now = time.monotonic()
            playback.note(packet, now, now - began)
            playback.take(packet, Arrival(now, time.time()), self.policy)
            if playback.can_be_deferred and isinstance(source, RtspSource):
                self._join(source, playback)
            began = self._wait.since = time.monotonic()
        self._wait.since = None

    def _join(self, source: RtspSource, playback: Playback) -> None:
        """Take part in the rounds; what they have read and not begun is played here."""
        seat = _Seat(self, source, playback)
        self._facilities.rounds.play(seat)
        for packet, arrival in seat.waiting:
            if self._stop.is_set():
                return
            playback.take(packet, arrival, self.policy)

    def _failure(self, reason: str, text: str) -> SourceError:
        return SourceError(reason, failure(self._spec.url, reason, text).message)


class _Seat:
    """The session in the rounds, while its own thread waits.

    Attributes:
        waiting: Packets that have been read and not begun, and when they came.
    """

    def __init__(self, session: Session, source: RtspSource, playback: Playback) -> None:
        self._session = session
        self._source = source
        self._playback = playback
        self._waited_s: float | None = None
        self.waiting: deque[tuple[Packet[VideoStream], Arrival]] = deque()

    @property
    def num_waiting(self) -> int:
        """See ``Seat.num_waiting``."""
        return len(self.waiting)

    @property
    def has_left(self) -> bool:
        """See ``Seat.has_left``."""
        return self._session._stop.is_set() or not self._playback.can_be_deferred

    def fileno(self) -> int:
        """See ``Seat.fileno``."""
        return self._source.fileno()

    def collect(self) -> None:
        """See ``Seat.collect``."""
        self._playback.collect(self._session.policy)

    def begin(self) -> None:
        """See ``Seat.begin``; what is left out takes no turn."""
        playback, policy, is_left_out = self._playback, self._session.policy, True
        while is_left_out and self.waiting:
            packet, arrival = self.waiting.popleft()
            playback.give_way(packet, policy)
            playback.begin(packet, arrival, policy)
            is_left_out = not playback.has_begun

    def read(self, arrival: Arrival, waited_s: float) -> None:
        """See ``Seat.read``."""
        # Where packets are waiting here, it was not for packets that it waited.
        idle_s = 0.0 if self.waiting or self._waited_s is None else waited_s - self._waited_s
        self._waited_s = waited_s
        for packet in self._source.read_packets():
            self._session._wait.since = time.monotonic()
            self._playback.note_shared(packet, arrival.monotonic, idle_s)
            self.waiting.append((packet, arrival))
            idle_s = 0.0
