"""One stream's analytics: frames in order, through tracker, rules and cascade, to events."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from actors.analytics.events import Event
from actors.analytics.inspector import Inspector
from actors.analytics.life_cycle import EventContext, EventLifeCycle
from actors.analytics.memory import Memory, remembered
from actors.analytics.rules import Moment, Occurrence, Rule, Scene, Whereabouts, make_rule
from actors.analytics.session import Session
from actors.analytics.tracking import Tracker, config_of, make_tracker
from actors.crop_counts import CropCounts
from actors.crop_messages import CropRequest, SecondaryModel
from actors.errors import StateError
from actors.messages import FrameResult
from actors.rule_specs import AnyRule
from actors.specs import StreamSpec
from engines.detections import Detections

logger = logging.getLogger(__name__)


class StreamPipeline:
    """Tracker, rules, cascade and event life cycle of one stream.

    Args:
        spec: The stream job.
        labels: Class names of the model, in class order.
        slot: Name of the slot, for events.
        token: Fencing token of the slot's lease, for events.
        secondaries: Models that look at crops of what is tracked.

    Attributes:
        spec: The stream job as it is now.
        token: The fencing token as it is now.
        tracked: Detections of the last frame that belong to tracks.
        requests: What the secondary models should look at in the next frame.
        num_late: Frames that were refused because they came out of order or twice.
        crops: What became of crops for secondary models.
    """

    def __init__(
        self,
        spec: StreamSpec,
        labels: Sequence[str] = (),
        slot: str = "",
        token: int = 0,
        secondaries: Sequence[SecondaryModel] = (),
    ) -> None:
        self.spec = spec
        self.token = token
        self.tracked = Detections.empty()
        self.requests: list[CropRequest] = []
        self.num_late = 0
        self.crops = CropCounts()
        self._labels = tuple(labels)
        self._secondaries = tuple(secondaries)
        self._slot = slot
        self._whereabouts = Whereabouts()
        self._rules = [self._rule(rule) for rule in spec.rules]
        self._session: Session | None = None
        self._memory: Memory | None = None  # from another slot, until the first frame here

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
            found = Tracker.update_all(
                [(s.tracker, s.last.detections, s.clock.t_s) for s in sessions],
                [s.looks() for s in sessions],
            )
            scenes = [
                pipeline._scene(session, tracked)
                for (pipeline, session, _), tracked in zip(admitted, found, strict=True)
            ]
            Scene.narrow(scenes)
            for (pipeline, session, ended), scene in zip(admitted, scenes, strict=True):
                ended += pipeline._apply_rules(session, scene)
        return events

    def replace_spec(self, spec: StreamSpec) -> list[Event]:
        """Take a changed job: tracks and the state of unchanged rules stay.

        Returns:
            Ends of what rules that went away had open.
        """
        wanted = {rule.name: rule for rule in spec.rules}
        kept = {
            rule.spec.name: rule for rule in self._rules if rule.spec == wanted.get(rule.spec.name)
        }
        gone = [rule for rule in self._rules if rule.spec.name not in kept]
        events = self._close(gone, "rule_removed")
        self._rules = [kept.get(rule.name) or self._rule(rule) for rule in spec.rules]
        self.spec, session = spec, self._session
        if session is not None:
            session.tracker.config = config_of(spec.tracker)
            session.inspector = session.inspector or self._inspector()
        return events

    def set_labels(
        self, labels: Sequence[str], secondaries: Sequence[SecondaryModel] = ()
    ) -> list[Event]:
        """Take the class names and the secondary models of another pipeline.

        If the names differ, tracks start afresh; if the secondary models do, what these know of
        the tracks does.

        Returns:
            Ends of what was open.
        """
        is_same = tuple(labels) == self._labels
        if is_same and tuple(secondaries) == self._secondaries:
            return []
        events = [] if is_same else self._end_session("labels_changed")
        self._labels, self._secondaries = tuple(labels), tuple(secondaries)
        if self._session is not None:
            self._session.inspector = self._inspector()
        return events

    def close(self) -> list[Event]:
        """Ends of all that is open; the pipeline starts afresh if it is used again."""
        return self._go_on(None) + self._end_session("stream_closed")

    def state(self) -> bytes:
        """All that another process needs to go on with the stream; empty before the first frame."""
        if self._memory is not None:
            return self._memory.data
        return remembered(self._session, self._rules, self._labels) if self._session else b""

    def restore(self, state: bytes) -> None:
        """Go on from what ``state`` gave in another process; call it before the first frame.

        What cannot be read is dropped, with a line in the log. What does not fit the first frame
        ends with it: another size of the picture, other labels, or a gap above ``MAX_GAP_S``.
        """
        try:
            self._memory = Memory(state) if state else None
        except StateError as error:
            self._start_afresh(error)

    def _start_afresh(self, error: StateError) -> None:
        logger.warning("stream %s starts afresh after its move: %s", self.spec.id, error)

    def _go_on(self, first: FrameResult | None) -> list[Event]:
        """Take up what came from another slot, at the first frame here or, with None, to end it.

        Returns:
            Ends of what does not go on.
        """
        memory, self._memory = self._memory, None
        if memory is None:
            return []
        fits = first is None or memory.fits(first, self._labels)
        source = first if fits else None
        try:
            recalled = memory.recall(self.spec.id, source, self._rules, self._inspector())
        except StateError as error:
            # Some were told something.
            self._whereabouts.clear()
            self._rules = [self._rule(rule) for rule in self.spec.rules]
            self._start_afresh(error)
            return []
        self._session, self._rules = recalled
        ended = [] if fits else self._end_session("session_ended")
        return ended + self.replace_spec(self.spec)

    def _admit(self, result: FrameResult) -> list[Event] | None:
        """Make a frame the last one of its session.

        It is late if it is not newer than the last of its session, or of another one and arrived
        before. Arrival tells which session is older; their numbers come from a clock that can be
        set back.

        Returns:
            Ends of what was open in another session; None where the frame is late.
        """
        ended = self._go_on(result)
        session = self._session
        if session is not None:
            last = session.last
            is_same = result.session == last.session
            if result.index <= last.index if is_same else result.arrival <= last.arrival:
                self.num_late += 1
                return None
            if not is_same or result.source_size != last.source_size:
                ended += self._end_session("session_ended")
                session = None
        if session is None:
            # The first frame's time is part of the name: a clock set back could repeat a number.
            name = f"{result.session}@{round(result.ts * 1000)}"
            tracker = make_tracker(self.spec.tracker, result.source_size)
            self._session = session = Session(EventLifeCycle(name), result, tracker)
            session.inspector = self._inspector()
        session.last = result
        session.clock.advance(result.pts_s, result.arrival)
        return ended

    def _end_session(self, reason: str) -> list[Event]:
        events = self._close(self._rules, reason)
        self._whereabouts.clear()
        self._session = None
        self.tracked, self.requests = Detections.empty(), []
        return events

    def _rule(self, spec: AnyRule) -> Rule:
        rule = make_rule(spec)
        rule.share(self._whereabouts)
        return rule

    def _inspector(self) -> Inspector | None:
        if not self._secondaries and not self.spec.best_crop:
            return None
        return Inspector(self._secondaries, self._labels, self.crops)

    def _close(self, rules: Sequence[Rule], reason: str) -> list[Event]:
        occurrences = [o for rule in rules for o in rule.close(reason)]
        if self._session is None:
            return []
        return self._record(self._session, self._illustrated(self._session, occurrences))

    def _illustrated(self, session: Session, told: Sequence[Occurrence]) -> list[Occurrence]:
        """What rules say, with best crops if they are wanted."""
        if session.inspector is None or not self.spec.best_crop:
            return list(told)
        return [session.inspector.illustrated(each) for each in told]

    def _scene(self, session: Session, tracked: Detections) -> Scene:
        self.tracked, last, tracker = tracked, session.last, session.tracker
        scene = Scene(
            tracked,
            self._labels,
            last.source_size,
            Moment(session.clock.t_s, last.ts, last.pts_s),
            tracker.births,
            tracker.ended,
            session.clearance,
        )
        if session.inspector is not None:
            scene.known = session.inspector.known
        return scene

    def _apply_rules(self, session: Session, scene: Scene) -> list[Event]:
        inspector = session.inspector
        # Inspectors hear first, since rules may ask what is settled.
        heard = [] if inspector is None else inspector.hear(session.last, scene)
        said = [o for rule in self._rules for o in rule.update(scene)]
        if inspector is not None:
            said = [*heard, *self._illustrated(session, said)]
            wants_best = self.spec.best_crop
            self.requests = inspector.ask(
                session.last, scene, session.tracker, wants_best=wants_best
            )
        events = self._record(session, said) if said else []
        if scene.ended:
            session.life_cycle.forget(scene.ended)
            session.clearance.forget(scene.ended)
            self._whereabouts.forget(*scene.ended)
        return events

    def _record(self, session: Session, occurrences: Sequence[Occurrence]) -> list[Event]:
        if not occurrences:
            return []
        model, labels = session.last.model, self.spec.labels
        context = EventContext(self.spec.id, self._slot, model, labels, self.token)
        return [session.life_cycle.record(o, context) for o in occurrences]
