"""What streams would bring if nothing held them back, from the numbers of the frames that come."""

from __future__ import annotations

from actors.inference.rungs import floor_cap_fps
from actors.messages import DegradeStep, StreamQos, StreamStep, Ticket

_SPAN_S = 2.0
_SILENT_S = 10.0
_WORTH_TELLING = 0.1


class StreamDemand:
    """Pictures a second that one stream decodes.

    A ticket carries the number of its picture, so two tickets tell how many were decoded between
    them, also of those that were sampled, superseded or held back on their way.
    """

    __slots__ = ("_arrival", "_fps", "_index", "_last", "_session")

    def __init__(self) -> None:
        self._fps: float | None = None
        self._session = -1
        self._index = 0
        self._arrival = self._last = 0.0

    def learn(self, ticket: Ticket) -> None:
        """A frame has come."""
        self._last = ticket.arrival
        elapsed_s = ticket.arrival - self._arrival
        if ticket.session == self._session and 0 <= elapsed_s < _SPAN_S:
            return
        if ticket.session == self._session and elapsed_s > 0:
            self._fps = (ticket.index - self._index) / elapsed_s
        self._session, self._index, self._arrival = ticket.session, ticket.index, ticket.arrival

    def pause(self) -> None:
        """Numbers tell nothing from here to the next ticket; what is known is remembered."""
        self._session = -1

    def fps(self, now: float, cap_fps: float) -> float | None:
        """The rate; None before it is known, 0 where the stream has fallen silent.

        Args:
            now: Seconds, the clock of the tickets' arrival.
            cap_fps: The rate to which it is held now, which decides how long it may be silent.
        """
        is_watched = self._session >= 0
        if is_watched and now - self._last > max(_SILENT_S, 3.0 / cap_fps):
            return 0.0
        return self._fps


class LadderStream:
    """What the ladder knows of a stream.

    Attributes:
        owner: Its ingest actor.
        stream: Its id.
        qos_class: Its class.
        told: The step in force; None before the first.
        cap_fps: No cap is lower: its floor and a fifth more.
    """

    __slots__ = (
        "_all",
        "_key_frames",
        "_max_fps",
        "_min_fps",
        "_watched",
        "cap_fps",
        "owner",
        "qos_class",
        "stream",
        "told",
    )

    def __init__(self, owner: str, opened: StreamQos) -> None:
        self.owner = owner
        self.stream = opened.stream
        self.told: StreamStep | None = None
        self._all = StreamDemand()
        self._key_frames = StreamDemand()
        self._watched: StreamDemand | None = None
        self.apply(opened)

    def apply(self, opened: StreamQos) -> None:
        """Take over a changed quality of service."""
        self.qos_class = opened.qos.class_name
        self._min_fps = opened.qos.resolved().min_fps
        self._max_fps = float("inf") if opened.max_fps is None else opened.max_fps
        self.cap_fps = floor_cap_fps(opened.qos)

    def tell(self, step: DegradeStep, level_fps: float = 0.0) -> StreamStep | None:
        """What is taken from it; None where that, or nearly that, is in force already.

        Args:
            step: Of the ladder.
            level_fps: A cap need not be lower than this, even if the floor is.
        """
        is_free = step is DegradeStep.NONE or level_fps == float("inf")
        cap_fps = None if is_free else max(self.cap_fps, level_fps)
        before = self.told if self.told is not None and self.told.step is step else None
        if before is not None and not self._is_news(before.max_fps, cap_fps):
            return None
        self.told = told = StreamStep(self.stream, step, cap_fps)
        if before is not None:
            return told
        # What is not decoded is not numbered.
        self._all.pause()
        self._key_frames.pause()
        paused = None if step is DegradeStep.PAUSED else self._all
        self._watched = self._key_frames if step is DegradeStep.KEY_FRAMES else paused
        return told

    def learn(self, ticket: Ticket) -> None:
        """A frame of it has come."""
        if self._watched is not None:
            self._watched.learn(ticket)

    def offered_fps(self, step: DegradeStep, now: float) -> float:
        """Frames a second that it would bring at a step; its cap where that is not known."""
        if step is DegradeStep.PAUSED:
            return 0.0
        demand = self._key_frames if step is DegradeStep.KEY_FRAMES else self._all
        known_fps = demand.fps(now, self.cap_fps)
        full_fps = min(self.cap_fps if known_fps is None else known_fps, self._max_fps)
        return full_fps if step is DegradeStep.NONE else min(full_fps, self.cap_fps)

    def is_at_floor(self) -> bool:
        """Whether no lower cap is left to hold it to."""
        return self.told is not None and self.told.max_fps == self.cap_fps

    def _is_news(self, before_fps: float | None, cap_fps: float | None) -> bool:
        """Whether another cap is worth telling; the lowest always is, since it is a promise."""
        if before_fps is None or cap_fps is None or cap_fps == self.cap_fps:
            return before_fps != cap_fps
        return abs(cap_fps - before_fps) > _WORTH_TELLING * before_fps

    def floor_fps(self, step: DegradeStep, now: float) -> float:
        """Of these, what has been promised to it."""
        return min(self.offered_fps(step, now), self._min_fps)
