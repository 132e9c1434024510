"""One stream's analytics: frames in order, through tracker and rules, to events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from actors.analytics.events import Event
from actors.analytics.life_cycle import EventContext, EventLifeCycle
from actors.analytics.motion_clock import MotionClock
from actors.analytics.rules import Moment, Occurrence, Rule, Scene, make_rule
from actors.analytics.tracking import Tracker
from actors.messages import FrameResult
from actors.specs import StreamSpec
from engines.detections import Detections


@dataclass(slots=True)
class _Session:
    """What lives as long as one source session."""

    life_cycle: EventLifeCycle
    last: FrameResult
    tracker: Tracker = field(default_factory=Tracker)
    clock: MotionClock = field(default_factory=MotionClock)


class StreamPipeline:
    """Tracker, rules and event life cycle of one stream.

    Args:
        spec: The stream job.
        labels: Class names of the model, in class order.
        slot: Name of the slot, for events.

    Attributes:
        spec: The stream job as it is now.
        tracked: Detections of the last frame that belong to tracks.
        num_late: Frames that were refused because they came out of order or twice.
    """

    def __init__(self, spec: StreamSpec, labels: Sequence[str] = (), slot: str = "") -> None:
        self.spec = spec
        self.tracked = Detections.empty()
        self.num_late = 0
        self._labels = tuple(labels)
        self._slot = slot
        self._rules: list[Rule] = [make_rule(rule) for rule in spec.rules]
        self._session: _Session | None = None

    def process(self, result: FrameResult) -> list[Event] | None:
        """Track one frame and apply the rules.

        A new source session, or a new size of the picture, ends what is open and starts afresh.

        Returns:
            The events, in order; None where the frame was late and is not analysed.
        """
        if self._is_late(result):
            self.num_late += 1
            return None
        ended = self._end_session("session_ended") if self._is_new_session(result) else []
        session = self._session or self._begin_session(result)
        session.last = result
        scene = self._scene(session, result)
        occurrences = [o for rule in self._rules for o in rule.update(scene)]
        events = ended + self._record(session, occurrences)
        session.life_cycle.forget(scene.ended)
        return events

    def replace_spec(self, spec: StreamSpec) -> list[Event]:
        """Take a changed job: tracks and the state of unchanged rules stay.

        Returns:
            Ends of what rules that went away had open.
        """
        kept = {rule.spec.name: rule for rule in self._rules if rule.spec in spec.rules}
        gone = [rule for rule in self._rules if rule.spec.name not in kept]
        events = self._close(gone, "rule_removed")
        self._rules = [kept.get(rule.name) or make_rule(rule) for rule in spec.rules]
        self.spec = spec
        return events

    def set_labels(self, labels: Sequence[str]) -> list[Event]:
        """Take the class names of another model; if they differ, tracks start afresh.

        Returns:
            Ends of what was open.
        """
        if tuple(labels) == self._labels:
            return []
        events = self._end_session("labels_changed")
        self._labels = tuple(labels)
        return events

    def close(self) -> list[Event]:
        """Ends of all that is open; the pipeline starts afresh if it is used again."""
        return self._end_session("stream_closed")

    def _is_late(self, result: FrameResult) -> bool:
        """A frame of the session that is not newer, or of another one that arrived before.

        Arrival tells which session is older; their numbers come from a clock that can be set back.
        """
        if self._session is None:
            return False
        last = self._session.last
        if result.session == last.session:
            return result.index <= last.index
        return result.arrival <= last.arrival

    def _is_new_session(self, result: FrameResult) -> bool:
        if self._session is None:
            return False
        last = self._session.last
        return (result.session, result.source_size) != (last.session, last.source_size)

    def _begin_session(self, result: FrameResult) -> _Session:
        """The first frame's time is part of the name: a clock set back could repeat a number."""
        name = f"{result.session}@{round(result.ts * 1000)}"
        self._session = _Session(EventLifeCycle(name), result)
        return self._session

    def _end_session(self, reason: str) -> list[Event]:
        events = self._close(self._rules, reason)
        self._session = None
        self.tracked = Detections.empty()
        return events

    def _close(self, rules: Sequence[Rule], reason: str) -> list[Event]:
        occurrences = [o for rule in rules for o in rule.close(reason)]
        return self._record(self._session, occurrences) if self._session else []

    def _scene(self, session: _Session, result: FrameResult) -> Scene:
        t_s = session.clock.advance(result.pts_s, result.arrival)
        self.tracked = session.tracker.update(result.detections, t_s)
        return Scene(
            self.tracked,
            self._labels,
            result.source_size,
            Moment(t_s, result.ts, result.pts_s),
            session.tracker.births,
            session.tracker.ended,
        )

    def _record(self, session: _Session, occurrences: Sequence[Occurrence]) -> list[Event]:
        if not occurrences:
            return []
        context = EventContext(self.spec.id, self._slot, session.last.model, self.spec.labels)
        return [session.life_cycle.record(o, context) for o in occurrences]
