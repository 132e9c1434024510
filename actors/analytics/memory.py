"""What a stream's analytics remember while the stream moves to another slot.

There the camera is opened anew: session, numbers of frames, the source's clock and the monotonic
one all begin elsewhere. Only UTC goes on, so it says how long the stream was not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from actors.analytics.inspector import Inspector
from actors.analytics.life_cycle import EventLifeCycle
from actors.analytics.motion_clock import MotionClock
from actors.analytics.rules import Rule, make_rule
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
    last, clock = session.last, session.clock
    head = [last.ts, last.pts_s, last.source_size, last.model, labels]
    known = [[rule.spec.model_dump_json(), rule.state()] for rule in rules]
    read = session.inspector.state() if session.inspector is not None else None
    tree = [clock.t_s, session.life_cycle.state(), session.tracker.state(), known, read]
    return to_bytes(head, tree)


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
        specs: Sequence[AnyRule],
        inspector: Inspector | None = None,
    ) -> tuple[Session, list[Rule]]:
        """The session and the rules as they were.

        Args:
            stream: Id.
            first: Its first frame here: all that was is told in the clocks of this frame's source.
                None if it does not go on.
            specs: Rules that it has here; it may have had others.
            inspector: Of the secondary models that there are here, new.

        Raises:
            StateError: if they cannot be read.
        """
        last = self._last(stream, first)
        tree = self._bytes.tree(last.pts_s - self._pts_s)
        with reading():
            t_s, life_cycle, tracker, known, read = tree
            clock = MotionClock.of(float(t_s), last.pts_s, last.arrival)
            life = EventLifeCycle.of(life_cycle)
            tracked = Tracker(size=self._size)
            session = Session(life, last, tracked, clock=clock, inspector=inspector)
            session.tracker.restore(tracker)
            if inspector is not None:
                inspector.restore(read)
            return session, _rules(known, specs)

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


def _rules(known: Sequence[Sequence[object]], specs: Sequence[AnyRule]) -> list[Rule]:
    by_text = {spec.model_dump_json(): spec for spec in specs}
    rules = []
    for text, state in known:
        rule = make_rule(by_text.get(str(text)) or _SPEC.validate_json(str(text)))
        rule.restore(state)
        rules.append(rule)
    return rules
