"""The degrade ladder: what long overload takes from streams, from the lowest class up and back.

Pure: time is an argument. ``critical`` is never degraded. First classes are capped, down to their
floors, which costs nobody what was promised to him; the last class that is capped keeps what the
others leave, so that the engine stays busy. Key frames only, and the pause, break floors: they are
for an engine that cannot serve the floors alone, and for decoders that do not keep up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.inference.demand import LadderStream
from actors.inference.filling import water_level
from actors.inference.overload import LadderConfig, Load, LoadTrend
from actors.inference.rungs import RUNGS
from actors.messages import DegradeStep, StreamQos, StreamStep, Ticket
from actors.specs import QosClass

_LESS, _MORE = 0.9, 1.01


@dataclass(frozen=True, slots=True)
class LadderStatus:
    """The ladder as of now.

    Attributes:
        rung: How many rungs it has climbed; 0 takes nothing from anybody.
        name: Of the rung: class and step, as in ``low capped``; ``none`` at the foot.
        since: UTC of the last change of the rung, seconds since 1970.
        steps: Steps by stream; streams of which nothing is taken are left out.
        num_climbs: Rungs climbed since the engine started.
    """

    rung: int = 0
    name: str = "none"
    since: float = 0.0
    steps: dict[str, DegradeStep] = field(default_factory=dict)
    num_climbs: int = 0


class DegradeLadder:
    """Climbs one rung when overload has lasted, and steps back when the load would allow it.

    A step back needs room for what the streams would bring then. Where that proves wrong (nobody
    knows what decoding will cost), the next one to the same rung waits twice as long.
    """

    def __init__(self, config: LadderConfig | None = None) -> None:
        self._config = config or LadderConfig()
        self._streams: dict[str, LadderStream] = {}
        self._news: dict[str, dict[str, StreamStep]] = {}
        self._num_climbs = 0
        self.reset(0.0)

    def reset(self, now: float) -> None:
        """Take nothing from anybody, and begin anew: another engine serves."""
        self._rung = 0
        self._changed_at = now
        self._overloaded_since: float | None = None
        self._calm_since: float | None = None
        self._stepped_back_at: float | None = None
        self._holds_s: dict[int, float] = {}
        self._updated_at: float | None = None
        self._trend = LoadTrend(self._config)
        self._fill = self._config.fill
        for stream in self._streams.values():
            self._tell(stream)

    def open(self, owner: str, opened: StreamQos) -> None:
        """A stream enters, or its quality of service changes."""
        known = self._streams.get(opened.stream)
        if known is None or known.owner != owner:
            known = self._streams[opened.stream] = LadderStream(owner, opened)
        known.apply(opened)
        self._tell(known)

    def close(self, stream: str) -> None:
        """A stream leaves."""
        known = self._streams.pop(stream, None)
        if known is not None:
            self._news.get(known.owner, {}).pop(stream, None)

    def class_of(self, stream: str) -> QosClass | None:
        """Class of a stream; None where it is not open."""
        known = self._streams.get(stream)
        return None if known is None else known.qos_class

    def learn(self, ticket: Ticket) -> None:
        """A frame has come: what its stream would bring follows from its number."""
        stream = self._streams.get(ticket.stream)
        if stream is not None:
            stream.learn(ticket)

    def take_steps(self, owner: str) -> tuple[StreamStep, ...]:
        """What has changed for the streams of an owner since the last call."""
        return tuple(self._news.pop(owner, {}).values())

    def is_due(self, now: float) -> bool:
        """Whether it is time for ``update``."""
        return self._updated_at is None or now - self._updated_at >= self._config.interval_s

    def update(self, load: Load, now: float) -> bool:
        """Decide; True where the rung has changed."""
        before, self._updated_at = self._rung, now
        self._trend.observe(load, now)
        self._adjust_fill()
        self._settle_back_off(now)
        if self._is_overloaded(now):
            self._calm_since = None
            self._overloaded_since = _first(self._overloaded_since, now)
            if now - self._overloaded_since >= self._config.climb_after_s:
                self._climb(now)
        elif self._has_room(now):
            self._overloaded_since = None
            self._calm_since = _first(self._calm_since, now)
            if now - self._calm_since >= self._hold_s(self._below()):
                self._step_back(now)
        else:
            self._overloaded_since = self._calm_since = None
        if self._rung == before and self._trend.is_settled:
            self._tell_all(now)
        return self._rung != before

    @property
    def rung(self) -> int:
        """How many rungs it stands above the ground, where nothing is taken."""
        return self._rung

    def status(self, now: float, utc: float) -> LadderStatus:
        """What people see.

        Args:
            now: Seconds, the clock of ``update``.
            utc: The same moment, seconds since 1970.
        """
        told = {name: stream.told.step for name, stream in self._streams.items() if stream.told}
        return LadderStatus(
            rung=self._rung,
            name=" ".join(word.value for word in RUNGS[self._rung - 1]) if self._rung else "none",
            since=utc - (now - self._changed_at),
            steps={name: step for name, step in told.items() if step is not DegradeStep.NONE},
            num_climbs=self._num_climbs,
        )

    def _is_overloaded(self, now: float) -> bool:
        """Whether the next rung is called for."""
        above = self._above()
        if above is None:
            return False
        if self._trend.is_behind or not self._trend.is_full:
            return self._trend.is_behind
        giving = self._gives_way()
        if not all(s.is_at_floor() for s in self._streams.values() if s.qos_class is giving):
            return False
        breaks_floors = RUNGS[above - 1][1] is not DegradeStep.CAPPED
        return not breaks_floors or self._floors_fps(self._rung, now) > self._trend.served_fps

    def _adjust_fill(self) -> None:
        """Leave more room while urgent frames are late; take it back slowly."""
        factor = _LESS if self._trend.is_late else _MORE
        fill = max(self._config.least_fill, self._fill * factor)
        self._fill = min(self._config.fill, fill)

    def _has_room(self, now: float) -> bool:
        """Whether what the rung below would bring fits."""
        if self._rung == 0 or self._trend.is_late or not self._trend.decoders_keep_up:
            return False
        below = self._below()
        breaks_floors = RUNGS[self._rung - 1][1] is not DegradeStep.CAPPED
        needed_fps = (self._floors_fps if breaks_floors else self._offered_fps)(below, now)
        return needed_fps <= self._config.room * self._trend.capacity_fps

    def _offered_fps(self, rung: int, now: float) -> float:
        return sum(stream.offered_fps(rung, now) for stream in self._streams.values())

    def _floors_fps(self, rung: int, now: float) -> float:
        return sum(stream.floor_fps(rung, now) for stream in self._streams.values())

    def _above(self) -> int | None:
        """The next rung that takes something from a stream that is here."""
        present = {stream.qos_class for stream in self._streams.values()}
        rungs = range(self._rung + 1, len(RUNGS) + 1)
        return next((rung for rung in rungs if RUNGS[rung - 1][0] in present), None)

    def _below(self) -> int:
        """The rung from which the next one up takes something from a stream that is here."""
        present = {stream.qos_class for stream in self._streams.values()}
        rungs = range(self._rung - 1, -1, -1)
        return next((rung for rung in rungs if RUNGS[rung][0] in present), 0)

    def _climb(self, now: float) -> None:
        if self._stepped_back_at is not None:
            doubled_s = 2 * self._hold_s(self._rung)
            self._holds_s[self._rung] = min(doubled_s, self._config.max_hold_s)
        self._stepped_back_at = None
        self._num_climbs += 1
        self._move(self._above() or self._rung, now)

    def _step_back(self, now: float) -> None:
        self._stepped_back_at = now
        self._move(self._below(), now)

    def _hold_s(self, rung: int) -> float:
        """How long there must be room before a step back to a rung."""
        return self._holds_s.get(rung, self._config.hold_s)

    def _settle_back_off(self, now: float) -> None:
        """A step back that has held for long proves its rung."""
        since = self._stepped_back_at
        if since is not None and now - since >= self._config.relapse_s:
            self._stepped_back_at = None
            self._holds_s.pop(self._rung, None)

    def _move(self, rung: int, now: float) -> None:
        self._rung, self._changed_at = rung, now
        self._overloaded_since = self._calm_since = None
        self._trend.restart(now)
        self._tell_all(now)

    def _gives_way(self) -> QosClass | None:
        """The class that was capped last; None where nothing is, or floors are given up already."""
        name, step = RUNGS[self._rung - 1] if self._rung else (None, DegradeStep.NONE)
        return name if step is DegradeStep.CAPPED else None

    def _tell_all(self, now: float) -> None:
        """Tell each stream what is taken from it, where that has changed."""
        giving = self._gives_way()
        level_fps = 0.0 if giving is None else self._level_fps(giving, now)
        for stream in self._streams.values():
            self._tell(stream, level_fps if stream.qos_class is giving else 0.0)

    def _level_fps(self, giving: QosClass, now: float) -> float:
        """The cap under which a class brings what the others leave of the engine."""
        others = (s for s in self._streams.values() if s.qos_class is not giving)
        others_fps = sum(stream.offered_fps(self._rung, now) for stream in others)
        demands = (s for s in self._streams.values() if s.qos_class is giving)
        demands_fps = [stream.offered_fps(0, now) for stream in demands]
        return water_level(demands_fps, self._fill * self._trend.capacity_fps - others_fps)

    def _tell(self, stream: LadderStream, level_fps: float = 0.0) -> None:
        step = stream.tell(self._rung, level_fps)
        if step is not None:
            self._news.setdefault(stream.owner, {})[step.stream] = step


def _first(since: float | None, now: float) -> float:
    return now if since is None else since
