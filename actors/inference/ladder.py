"""The degrade ladder: what long overload takes from streams, from the lowest class up and back.

Pure: time is an argument. ``critical`` is never degraded. First classes are capped, down to their
floors, which costs nobody what was promised to him; the last class that is capped keeps what the
others leave, so that the engine stays busy. Key frames only, and the pause, break floors: they are
for an engine that cannot serve the floors alone, and for decoders that do not keep up. They take
from as many streams of a class as needed, in turns (``holding.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.inference.demand import LadderStream
from actors.inference.filling import class_levels
from actors.inference.holding import Groups, Place, Turns
from actors.inference.overload import LadderConfig, Load, LoadTrend
from actors.inference.rungs import RUNGS
from actors.messages import HELD_BACK, DegradeStep, StreamQos, StreamStep, Ticket
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
        num_held: Streams that are held back: a rung may take from a part of its class only.
    """

    rung: int = 0
    name: str = "none"
    since: float = 0.0
    steps: dict[str, DegradeStep] = field(default_factory=dict)
    num_climbs: int = 0
    num_held: int = 0


class DegradeLadder:
    """Climbs when overload has lasted, and steps back when the load would allow it.

    A step back needs room for what the streams would bring then. Where that proves wrong (nobody
    knows what decoding will cost), the next one to the same place waits twice as long.

    Args:
        config: When it moves.
        shares_cores: Whether the engine takes processor time that decoders need: then a class is
            capped to its floors before any stream is held back.
    """

    def __init__(self, config: LadderConfig | None = None, *, shares_cores: bool = True) -> None:
        self._config = config or LadderConfig()
        self._shares_cores = shares_cores
        self._streams: dict[str, LadderStream] = {}
        self._grouped: Groups | None = None
        self._news: dict[str, dict[str, StreamStep]] = {}
        self._num_climbs = 0
        self.reset(0.0)

    def reset(self, now: float) -> None:
        """Take nothing from anybody, and begin anew: another engine serves."""
        self._place = Place()
        self._turns = Turns()
        self._turned_at = self._changed_at = now
        self._overloaded_since: float | None = None
        self._calm_since: float | None = None
        self._tried_at: dict[int, float] = {}
        self._holds_s: dict[int, float] = {}
        self._updated_at: float | None = None
        self._trend = LoadTrend(self._config)
        self._fill = self._config.fill
        self._tell_all(now)

    def open(self, owner: str, opened: StreamQos) -> None:
        """A stream enters, or its quality of service changes."""
        known = self._streams.get(opened.stream)
        if known is None or known.owner != owner:
            known = self._streams[opened.stream] = LadderStream(owner, opened)
            before = None
        else:
            before = known.qos_class
            known.apply(opened)
        if known.qos_class is not before:
            self._grouped = None
            self._steps[known.stream] = self._place.step_of_all((owner, known.qos_class))
        self._tell(known)

    def close(self, stream: str) -> None:
        """A stream leaves."""
        known = self._streams.pop(stream, None)
        if known is not None:
            self._grouped = None
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
        """Decide; True where it takes more or less than before."""
        before, self._updated_at = self._place, now
        self._trend.observe(load, now)
        self._adjust_fill()
        self._settle_back_off(now)
        self._take_turns(now)
        above = self._called_for(now)
        if above is not None:
            self._calm_since = None
            self._overloaded_since = _first(self._overloaded_since, now)
            if now - self._overloaded_since >= self._config.climb_after_s:
                self._climb(above, now)
        elif self._place.rung and self._has_room(below := self._place.below(self._groups), now):
            self._overloaded_since = None
            self._calm_since = _first(self._calm_since, now)
            if now - self._calm_since >= self._hold_s(below):
                self._step_back(below, now)
        else:
            self._overloaded_since = self._calm_since = None
        if self._place is before and self._trend.is_settled:
            self._tell_all(now)
        return self._place is not before

    @property
    def rung(self) -> int:
        """How many rungs it stands above the ground, where nothing is taken."""
        return self._place.rung

    def status(self, now: float, utc: float) -> LadderStatus:
        """What people see.

        Args:
            now: Seconds, the clock of ``update``.
            utc: The same moment, seconds since 1970.
        """
        told = {name: stream.told.step for name, stream in self._streams.items() if stream.told}
        rung = self._place.rung
        return LadderStatus(
            rung=rung,
            name=" ".join(word.value for word in RUNGS[rung - 1]) if rung else "none",
            since=utc - (now - self._changed_at),
            steps={name: step for name, step in told.items() if step is not DegradeStep.NONE},
            num_climbs=self._num_climbs,
            num_held=sum(step in HELD_BACK for step in told.values()),
        )

    @property
    def _groups(self) -> Groups:
        """The streams that are here, by ingest actor and class."""
        if self._grouped is None:
            groups: dict[tuple[str, QosClass], list[str]] = {}
            for name, stream in sorted(self._streams.items()):
                groups.setdefault((stream.owner, stream.qos_class), []).append(name)
            self._grouped = groups
        return self._grouped

    def _called_for(self, now: float) -> Place | None:
        """What overload calls for; None where there is none, or nobody has anything to give."""
        behind = self._trend.behind
        above = self._place.above(behind, self._groups) if behind else None
        if above is not None or not self._trend.is_full:
            return above
        giving = self._gives_way()
        if not all(s.is_at_floor() for s in self._streams.values() if s.qos_class is giving):
            return None
        above = self._place.above({owner for owner, _ in self._groups}, self._groups)
        breaks_floors = above is not None and bool(above.stages)
        fits = breaks_floors and self._floors_fps(self._steps, now) <= self._trend.served_fps
        return None if fits else above

    def _adjust_fill(self) -> None:
        """Leave more room while urgent frames are late; take it back slowly."""
        factor = _LESS if self._trend.is_late else _MORE
        fill = max(self._config.least_fill, self._fill * factor)
        self._fill = min(self._config.fill, fill)

    def _has_room(self, below: Place, now: float) -> bool:
        """Whether what a place further down would bring fits."""
        if self._trend.is_late or not self._trend.decoders_keep_up:
            return False
        steps = self._turns.steps(below, self._groups)
        needed_fps = (self._floors_fps if self._place.stages else self._offered_fps)(steps, now)
        return needed_fps <= self._config.room * self._trend.capacity_fps

    def _offered_fps(self, steps: Mapping[str, DegradeStep], now: float) -> float:
        return sum(stream.offered_fps(steps[name], now) for name, stream in self._streams.items())

    def _floors_fps(self, steps: Mapping[str, DegradeStep], now: float) -> float:
        return sum(stream.floor_fps(steps[name], now) for name, stream in self._streams.items())

    def _climb(self, above: Place, now: float) -> None:
        tried_at = self._tried_at.pop(self._place.depth, float("-inf"))
        if now - tried_at < self._config.relapse_s:
            doubled_s = 2 * self._hold_s(self._place)
            self._holds_s[self._place.depth] = min(doubled_s, self._config.max_hold_s)
        self._num_climbs += above.rung > self._place.rung
        self._move(above, now)

    def _step_back(self, below: Place, now: float) -> None:
        self._tried_at[below.depth] = now
        self._move(below, now)

    def _hold_s(self, place: Place) -> float:
        """How long there must be room before a step back to a place."""
        return self._holds_s.get(place.depth, self._config.hold_s)

    def _settle_back_off(self, now: float) -> None:
        """A step back that has held for long proves its place."""
        depth = self._place.depth
        if now - self._tried_at.get(depth, now) >= self._config.relapse_s:
            del self._tried_at[depth]
            self._holds_s.pop(depth, None)

    def _take_turns(self, now: float) -> None:
        if now - self._turned_at >= self._config.turn_s:
            self._turned_at = now
            self._turns.move_on(self._place, self._groups)

    def _move(self, place: Place, now: float) -> None:
        if place.rung != self._place.rung:
            self._changed_at = now
        self._place = place
        self._overloaded_since = self._calm_since = None
        self._trend.restart(now)
        self._tell_all(now)

    def _gives_way(self) -> QosClass | None:
        """The class that was capped last; None where nothing is, or floors are given up already."""
        place = self._place
        return RUNGS[place.num_capped - 1][0] if place.num_capped and not place.stages else None

    def _tell_all(self, now: float) -> None:
        """Tell each stream what is taken from it, where that has changed."""
        self._steps = self._turns.steps(self._place, self._groups)
        levels_fps: dict[QosClass, float] = {}
        if self._place.num_capped and not (self._shares_cores and self._place.stages):
            total_fps = self._fill * self._trend.capacity_fps
            levels_fps = class_levels(self._streams.values(), self._steps, total_fps, now)
        for stream in self._streams.values():
            self._tell(stream, levels_fps.get(stream.qos_class, 0.0))

    def _tell(self, stream: LadderStream, level_fps: float = 0.0) -> None:
        step = self._steps[stream.stream]
        told = stream.tell(step, level_fps if step is DegradeStep.CAPPED else 0.0)
        if told is not None:
            self._news.setdefault(stream.owner, {})[told.stream] = told


def _first(since: float | None, now: float) -> float:
    return now if since is None else since
