"""What a stream's analytics remember while the stream moves to another slot.

There the camera is opened anew: session, numbers of frames, the source's clock and the monotonic
one all begin elsewhere. Only UTC goes on, so it says how long the stream was not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from actors.analytics.inspector import Inspector
from actors.analytics.life_cycle import EventLifeCycle
from actors.analytics.motion_clock import MotionClock
from actors.analytics.rules import Rule, make_rule
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.session import Session
from actors.analytics.state_bytes import StateBytes, reading, to_bytes
from actors.analytics.tracking import Tracker
from actors.messages import FrameResult
from actors.rule_specs import AnyRule, RuleSpec
from engines.detections import Detections

MAX_GAP_S = 30.0
"""A stream that was not seen for longer starts afresh: what moved meanwhile cannot be told."""

_SPEC: TypeAdapter[AnyRule] = TypeAdapter(RuleSpec)


def remembered(session: Session, rules: Sequence[Rule], labels: Sequence[str]) -> bytes:
    """All that another process needs to go on; no credentials are in it."""
    last, to = session.last, StateWriter()
    read = session.inspector.state() if session.inspector is not None else None
    to.value([session.clock.t_s, [rule.spec.model_dump_json() for rule in rules], read])
    session.life_cycle.save(to)
    _save_tracker(session.tracker, to)
    for rule in rules:
        rule.save(to)
    head = [last.ts, last.pts_s, last.source_size, last.model, labels]
    return to_bytes(head, to.columns)


class Memory:
    """What ``remembered`` gave, in the process that goes on.

    Raises:
        StateError: if it is damaged, or of another version.
    """

    def __init__(self, data: bytes) -> None:
        self._bytes = StateBytes(data)
        with reading():
            ts, pts_s, (width, height), model, labels = self._bytes.head
            self._ts, self._pts_s = float(ts), float(pts_s)
            self._size, self._model = (int(width), int(height)), str(model)
            self._labels = tuple(map(str, labels))

    @property
    def data(self) -> bytes:
        """As it came."""
        return self._bytes.data

    def fits(self, first: FrameResult, labels: Sequence[str]) -> bool:
        """Whether the stream can go on with this frame, found by a model with these labels."""
        is_near = abs(first.ts - self._ts) <= MAX_GAP_S
        return is_near and first.source_size == self._size and tuple(labels) == self._labels

    def recall(
        self,
        stream: str,
        first: FrameResult | None,
        rules: Sequence[Rule],
        inspector: Inspector | None = None,
    ) -> tuple[Session, list[Rule]]:
        """The session and the rules as they were.

        Args:
            stream: Id.
            first: Its first frame here: all that was is told in the clocks of this frame's source.
                None if it does not go on.
            rules: Fresh ones that it has here; it may have had others.
            inspector: Of the secondary models that there are here, new.

        Raises:
            StateError: if they cannot be read.
        """
        last = self._last(stream, first)
        saved = self._bytes.reader(last.pts_s - self._pts_s)
        with reading():
            t_s, texts, read = saved.value()
            life, tracker = EventLifeCycle.restored(saved), Tracker(size=self._size)
            tracker.restore(_tracker_state(saved))
            clock = MotionClock.of(float(t_s), last.pts_s, last.arrival)
            if inspector is not None:
                inspector.restore(read)
            session = Session(life, last, tracker, clock=clock, inspector=inspector)
            return session, _rules(texts, rules, saved)

    def _last(self, stream: str, first: FrameResult | None) -> FrameResult:
        """The last frame, as the source of the first one here would have told of it."""
        size, model, found = self._size, self._model, Detections.empty()
        if first is None:
            return FrameResult(stream, 0, 0, self._pts_s, self._ts, 0.0, size, model, found, 0.0)
        gap_s = first.ts - self._ts
        return replace(
            first,
            index=first.index - 1,
            pts_s=first.pts_s - gap_s,
            ts=self._ts,
            arrival=first.arrival - gap_s,
            source_size=size,
            model=model,
            detections=found,
        )


def _save_tracker(tracker: Tracker, to: StateWriter) -> None:
    state = tracker.state()
    to.value([state["num_identities"], state["t_s"]])
    to.array(state["table"])
    to.noise(state["looks"])


def _tracker_state(saved: StateReader) -> dict[str, Any]:
    num_identities, t_s = saved.value()
    values = {"num_identities": num_identities, "t_s": t_s}
    return {**values, "table": saved.array(), "looks": saved.noise()}


def _rules(texts: Sequence[str], fresh: Sequence[Rule], saved: StateReader) -> list[Rule]:
    by_text = {rule.spec.model_dump_json(): rule for rule in fresh}
    rules = []
    for text in texts:
        rule = by_text.pop(str(text), None) or make_rule(_SPEC.validate_json(str(text)))
        rule.restore(saved)
        rules.append(rule)
    return rules
