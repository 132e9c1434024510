"""A camera on the air: one timeline and one RTP source that all of its clients share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cluster.demo.rtsp.camera import Camera, CameraCounters
from cluster.demo.rtsp.clip import Clip
from cluster.demo.rtsp.errors import InvalidFaultError
from cluster.demo.rtsp.faults import ActiveFaults, Fault, ResolutionChange, TimestampJump
from cluster.demo.rtsp.rtp import RtpFrame, rtp_packets
from cluster.demo.rtsp.session import Session
from cluster.demo.rtsp.timeline import Timeline
from cluster.demo.rtsp.timestamps import TICKS_PER_S

MAX_LAG_S = 1.0
"""A picture that is later than this is skipped, up to the next keyframe that is still to come."""

EARLY_S = 0.001
"""What is due this soon may be sent now."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """The wall clock, read once and carried on by the loop's clock, so that it never steps.

    Attributes:
        offset_s: Seconds from the loop's clock to the time since 1970.
    """

    offset_s: float

    def wall(self, now: float) -> float:
        """Return the seconds since 1970 at ``now`` of the loop's clock."""
        return now + self.offset_s

    def loop(self, wall_s: float) -> float:
        """Return the loop's clock at ``wall_s`` seconds since 1970."""
        return wall_s - self.offset_s


class LiveCamera:
    """Plays a camera's clip to its clients.

    Attributes:
        camera: Its description.
        epoch: Wall clock of the clip's first picture, seconds since 1970: at wall clock ``t`` the
            camera shows the clip at ``(t - epoch) % clip.duration_s``. In a clip with B-frames
            each picture leaves the camera ``clip.units[0].due`` ticks after that.
        counters: What it has done.
        faults: What is wrong with it now.
        ssrc: Its RTP source identifier.
    """

    def __init__(self, camera: Camera, epoch: float, clock: WallClock) -> None:
        self.camera = camera
        self.epoch = epoch
        self.counters = CameraCounters()
        self.faults = ActiveFaults()
        self.ssrc = secrets.randbits(32)
        self._clock = clock
        self._start = clock.loop(epoch)
        self._viewers: dict[str, Session] = {}
        self._timeline = Timeline(camera.clip)
        self._cursor = 0
        self._last_due = -1
        self._scheduled = False
        self._shift = _given_or_random(camera.timestamp_offset, 32)
        self._sequence = _given_or_random(camera.first_sequence, 16)

    @property
    def fps(self) -> float:
        """Mean pictures a second of the camera's own clip."""
        return self.camera.clip.fps

    @property
    def duration_s(self) -> float:
        """Length of a loop of the camera's own clip, seconds."""
        return self.camera.clip.duration_s

    @property
    def clip(self) -> Clip:
        """What is played now."""
        return self._timeline.clip

    def clock_reading(self, now: float) -> tuple[float, int]:
        """Return the wall clock and the RTP time of the same moment."""
        return self._clock.wall(now), self._timestamp(self._ticks(now))

    def join(self, session: Session, now: float) -> tuple[int, int, float | None]:
        """Let a session play from the next keyframe on.

        Returns:
            RTP sequence number and RTP time of that keyframe, and when to call ``step`` first;
            None where it is being called already.
        """
        if not self._scheduled:
            self._seek(now)
        session.await_keyframe()
        self._viewers[session.id] = session
        self.counters.num_clients = len(self._viewers)
        key = self._timeline.keyframe(self._cursor)
        skipped = self._timeline.num_packets(self._cursor, key)
        begins = None if self._scheduled else self._due(self._cursor)
        self._scheduled = True
        timestamp = self._timestamp(self._timeline.pts(key))
        return (self._sequence + skipped) & 0xFFFF, timestamp, begins

    def leave(self, session: Session) -> None:
        """Send a session nothing more."""
        self._viewers.pop(session.id, None)
        self.counters.num_clients = len(self._viewers)

    def step(self, now: float) -> float | None:
        """Send the picture that is due.

        Returns:
            When the next one is due; None when nobody watches, until ``join`` says when.
        """
        if not self._viewers:
            self._scheduled = False
            return None
        lag_s = now - self._due(self._cursor)
        if lag_s > MAX_LAG_S + self.faults.max_delay_s():
            self._seek(now)
        elif lag_s >= -EARLY_S:
            if not self.faults.is_silent():
                self._send(self._cursor, now)
            self._last_due = self._timeline.due(self._cursor)
            self._cursor += 1
        return self._due(self._cursor) + self.faults.delay_s()

    def inject(self, fault: Fault, now: float) -> None:
        """Let a fault begin.

        Raises:
            InvalidFaultError: The other clip has another codec.
        """
        if isinstance(fault, ResolutionChange):
            self._play_other(fault, now)
        if isinstance(fault, TimestampJump):
            self._shift += round(fault.seconds * TICKS_PER_S)
        self.faults.set(fault)
        if self.faults.is_silent():
            self._await_keyframe()

    def clear(self, now: float) -> None:
        """Let all faults end; the camera's own clip goes on where it would be by now."""
        changed = self.faults.get(ResolutionChange) is not None
        self.faults.clear()
        if changed:
            self._timeline = Timeline(self.camera.clip)
            self._seek(now)

    def _play_other(self, fault: ResolutionChange, now: float) -> None:
        own, other = self.camera.clip.codec.name, fault.clip.codec.name
        if own != other:
            message = f"resolution_change: clip is {other}, camera is {own}; give an {own} clip"
            raise InvalidFaultError(message)
        start = max(self._ticks(now), self._last_due + 1)
        self._timeline = Timeline(fault.clip, start)
        self._cursor = 0
        self._await_keyframe()

    def _await_keyframe(self) -> None:
        for session in self._viewers.values():
            session.await_keyframe()

    def _seek(self, now: float) -> None:
        ticks = max(self._ticks(now), self._last_due + 1)
        self._cursor = self._timeline.keyframe(self._timeline.first_due(ticks))

    def _send(self, number: int, now: float) -> None:
        unit, pts = self._timeline.unit(number), self._timeline.pts(number)
        timestamp = self._timestamp(pts)
        packets = rtp_packets(
            unit.payloads, sequence=self._sequence, timestamp=timestamp, ssrc=self.ssrc
        )
        self._sequence = (self._sequence + len(packets)) & 0xFFFF
        survivors = self.faults.survivors(packets)
        self.counters.num_packets_lost += len(packets) - len(survivors)
        frame = RtpFrame(survivors, keyframe=unit.keyframe)
        for session in self._viewers.values():
            session.deliver(frame, now)

    def _ticks(self, now: float) -> int:
        return round((now - self._start) * TICKS_PER_S)

    def _due(self, number: int) -> float:
        return self._start + self._timeline.due(number) / TICKS_PER_S

    def _timestamp(self, ticks: int) -> int:
        return (ticks + self._shift) & 0xFFFFFFFF


def _given_or_random(value: int | None, bits: int) -> int:
    return secrets.randbits(bits) if value is None else value & ((1 << bits) - 1)
