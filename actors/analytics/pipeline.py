"""One stream's analytics: frames in order, through tracker and rules, to events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from actors.analytics.events import Event
from actors.analytics.life_cycle import EventContext, EventLifeCycle
from actors.analytics.motion_clock import MotionClock
from actors.analytics.rules import Border, Moment, Occurrence, Rule, Scene, make_rule
from actors.analytics.tracking import Tracker
from actors.messages import FrameResult
from actors.specs import StreamSpec
from engines.detections import Detections


@dataclass(slots=True)
class _Session:
    """What lives as long as one source session."""

    life_cycle: EventLifeCycle
    last: FrameResult
    t_s: float = 0.0  # motion time of the last frame
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
        """Track one frame and apply the rules; see ``process_all``."""
        return StreamPipeline.process_all([(self, result)])[0]

    @staticmethod
    def process_all(
        frames: Sequence[tuple[StreamPipeline, FrameResult]],
    ) -> list[list[Event] | None]:
        """Track one frame of each of several streams and apply the rules of each.

        A new source session, or a new size of the picture, ends what is open and starts afresh.

        Returns:
            Of each stream the events, in order; None where the frame was late and is not analysed.
        """
        events = [pipeline._admit(result) for pipeline, result in frames]
        admitted = [
            (pipeline, session, ended)
            for (pipeline, _), ended in zip(frames, events, strict=True)
            if ended is not None and (session := pipeline._session) is not None
        ]
        if admitted:
            sessions = [session for _, session, _ in admitted]
            found = Tracker.update_all([(s.tracker, s.last.detections, s.t_s) for s in sessions])
            scenes = [
                pipeline._scene(session, tracked)
                for (pipeline, session, _), tracked in zip(admitted, found, strict=True)
            ]
            Scene.measure(scenes, [p._borders(s.last.source_size) for p, s, _ in admitted])
            for (pipeline, session, ended), scene in zip(admitted, scenes, strict=True):
                ended += pipeline._apply_rules(session, scene)
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

    def _admit(self, result: FrameResult) -> list[Event] | None:
        """Make a frame the last one of its session.

        It is late if it is not newer than the last of its session, or of another one and arrived
        before. Arrival tells which session is older; their numbers come from a clock that can be
        set back.

        Returns:
            Ends of what was open in another session; None where the frame is late.
        """
        session, ended = self._session, []
        if session is not None:
            last = session.last
            is_same = result.session == last.session
            if result.index <= last.index if is_same else result.arrival <= last.arrival:
                self.num_late += 1
                return None
            if not is_same or result.source_size != last.source_size:
                ended, session = self._end_session("session_ended"), None
        if session is None:
            # The first frame's time is part of the name: a clock set back could repeat a number.
            name = f"{result.session}@{round(result.ts * 1000)}"
            self._session = session = _Session(EventLifeCycle(name), result)
        session.last = result
        session.t_s = session.clock.advance(result.pts_s, result.arrival)
        return ended

    def _end_session(self, reason: str) -> list[Event]:
        events = self._close(self._rules, reason)
        self._session = None
        self.tracked = Detections.empty()
        return events

    def _close(self, rules: Sequence[Rule], reason: str) -> list[Event]:
        occurrences = [o for rule in rules for o in rule.close(reason)]
        return self._record(self._session, occurrences) if self._session else []

    def _scene(self, session: _Session, tracked: Detections) -> Scene:
        self.tracked, last, tracker = tracked, session.last, session.tracker
        at = Moment(session.t_s, last.ts, last.pts_s)
        size = last.source_size
        return Scene(tracked, self._labels, size, at, tracker.births, tracker.ended)

    def _borders(self, size: tuple[int, int]) -> list[Border]:
        return [rule.border(size) for rule in self._rules]

    def _apply_rules(self, session: _Session, scene: Scene) -> list[Event]:
        occurrences = [o for rule in self._rules for o in rule.update(scene)]
        events = self._record(session, occurrences)
        session.life_cycle.forget(scene.ended)
        return events

    def _record(self, session: _Session, occurrences: Sequence[Occurrence]) -> list[Event]:
        if not occurrences:
            return []
        context = EventContext(self.spec.id, self._slot, session.last.model, self.spec.labels)
        return [session.life_cycle.record(o, context) for o in occurrences]
