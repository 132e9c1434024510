"""The life cycle of events: what begins is updated and ended under one count, and nothing else is.

One object lives as long as one source session; it gives every event the id of what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actors.analytics.events import Box, Event, Phase, event_id
from actors.analytics.rules.scene import Occurrence
from actors.analytics.rules.state import StateReader, StateWriter

_Subject = tuple[str, int | None]  # rule and track, if it is of one
_Begun = tuple[int, int]  # how many had begun then, and the time of the event


@dataclass(frozen=True, slots=True)
class EventContext:
    """What all events of a stream have in common."""

    stream: str
    slot: str
    model: str
    labels: Mapping[str, str]
    token: int = 0


class EventLifeCycle:
    """Turns the occurrences of one source session into events, in order.

    Args:
        session: Names the session; must not come again for the stream.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._counts: dict[tuple[str, Phase], dict[int | None, int]] = {}
        self._open: dict[_Subject, _Begun] = {}

    @property
    def num_open(self) -> int:
        """Events that have begun and not ended."""
        return len(self._open)

    def record(self, occurrence: Occurrence, context: EventContext) -> Event:
        """The event of an occurrence.

        ``update`` and ``end`` get ``begin_id`` and ``duration_s`` of what they belong to.

        Raises:
            ValueError: if something begins twice, or goes on without having begun.
        """
        subject = (occurrence.rule, _track(occurrence))
        begun = self._open.get(subject)
        _check(occurrence, begun)
        event = self._event(occurrence, context, begun)
        if event.phase is Phase.BEGIN:
            count = self._counts[occurrence.rule, Phase.BEGIN][subject[1]]
            self._open[subject] = count, event.ts
        elif event.phase is Phase.END:
            del self._open[subject]
        return event

    def forget(self, tracks: tuple[int, ...]) -> None:
        """Drop the counts of tracks that have ended."""
        for counts in self._counts.values() if tracks else ():
            for track in tracks:
                counts.pop(track, None)

    def save(self, to: StateWriter) -> None:
        """Write down counts and what is open, so that another process goes on with the ids."""
        rules = list(dict.fromkeys(rule for rule, _ in (*self._counts, *self._open)))
        number = {rule: n for n, rule in enumerate(rules)}
        to.value([self._session, rules, [phase for _, phase in self._counts]])
        to.ints([number[rule] for rule, _ in self._counts])
        for counts in self._counts.values():
            to.tracks(counts)
            to.ints(counts.values())
        to.ints([number[rule] for rule, _ in self._open])
        to.tracks([track for _, track in self._open])
        to.ints([num for num, _ in self._open.values()])
        to.floats([ts for _, ts in self._open.values()])

    @classmethod
    def restored(cls, saved: StateReader) -> EventLifeCycle:
        """Go on from what ``save`` wrote."""
        session, rules, phases = saved.value()
        life = cls(session)
        for number, phase in zip(saved.ints(), phases, strict=True):
            counts = dict(zip(saved.tracks(), saved.ints(), strict=True))
            life._counts[rules[number], Phase(phase)] = counts
        subjects = zip(map(rules.__getitem__, saved.ints()), saved.tracks(), strict=True)
        begun = zip(saved.ints(), map(int, saved.floats()), strict=True)
        life._open = dict(zip(subjects, begun, strict=True))
        return life

    def _event(self, occurrence: Occurrence, context: EventContext, begun: _Begun | None) -> Event:
        sighting, at = occurrence.sighting, occurrence.at
        ts = round(at.ts * 1000)
        data = dict(occurrence.data)
        if begun is not None and occurrence.phase is not Phase.INSTANT:
            count, since = begun
            begin_id = self._id(occurrence, context.stream, Phase.BEGIN, count)
            data |= {"begin_id": begin_id, "duration_s": round((ts - since) / 1000, 3)}
        return Event(
            id=self._next_id(occurrence, context.stream),
            type=occurrence.type,
            phase=occurrence.phase,
            stream=context.stream,
            ts=ts,
            pts=round(at.pts_s, 6),
            rule=occurrence.rule,
            track=_track(occurrence),
            class_name=sighting.class_name if sighting else "",
            confidence=round(sighting.confidence, 4) if sighting else None,
            box=_rounded(sighting.box) if sighting else None,
            model=context.model,
            slot=context.slot,
            labels=context.labels,
            data=data,
            token=context.token,
        )

    def _next_id(self, occurrence: Occurrence, stream: str) -> str:
        rule, track, phase = occurrence.rule, _track(occurrence), occurrence.phase
        counts = self._counts.setdefault((rule, phase), {})
        counts[track] = count = counts.get(track, 0) + 1
        return self._id(occurrence, stream, phase, count)

    def _id(self, occurrence: Occurrence, stream: str, phase: Phase, count: int) -> str:
        track = _track(occurrence)
        return event_id(stream, self._session, occurrence.rule, track, phase, count)


def _track(occurrence: Occurrence) -> int | None:
    return None if occurrence.sighting is None else occurrence.sighting.track


def _rounded(box: Box) -> Box:
    left, top, right, bottom = (round(v, 1) for v in box)
    return left, top, right, bottom


def _check(occurrence: Occurrence, begun: _Begun | None) -> None:
    of = "" if occurrence.sighting is None else f" for track {occurrence.sighting.track}"
    goes_on = occurrence.phase in (Phase.UPDATE, Phase.END)
    if goes_on and begun is None:
        raise ValueError(
            f"rule '{occurrence.rule}': {occurrence.phase.value} of {occurrence.type.value}{of}, "
            "which has not begun"
        )
    if occurrence.phase is Phase.BEGIN and begun is not None:
        raise ValueError(f"rule '{occurrence.rule}': {occurrence.type.value} begins twice{of}")
