"""Events: fields that read back as they were, ids that name what happened, a strict life cycle."""

from __future__ import annotations

import json

import pytest

from actors.analytics.events import Event, EventType, Phase, event_id
from actors.analytics.life_cycle import EventContext, EventLifeCycle
from actors.analytics.rules import Moment, Occurrence, Sighting
from tests.actors.builders import event

CONTEXT = EventContext("gate", "slot-1", "toy", {"site": "north"})
FIELDS = [
    *("schema", "id", "type", "phase", "stream", "ts", "pts", "rule", "track", "class"),
    *("confidence", "box", "model", "slot", "labels", "data"),
]


def occurrence(phase: Phase, t_s: float = 1.0, track: int = 4, rule: str = "yard") -> Occurrence:
    type_ = {Phase.BEGIN: EventType.ZONE_ENTER, Phase.END: EventType.ZONE_EXIT}
    moment = Moment(t_s, 1_700_000_000 + t_s, t_s)
    seen = Sighting(track, "car", 0.87654321, (1.26, 2, 3, 4), moment)
    return Occurrence(type_.get(phase, EventType.LINE_CROSS), phase, rule, seen, moment)


def test_fields_are_those_of_the_published_schema_and_flat_strings():
    fields = event().to_fields()
    assert list(fields) == FIELDS
    assert {type(value) for value in fields.values()} == {str}
    assert fields["schema"] == "1"
    assert fields["box"] == "[1.5,2.0,30.0,40.25]"
    assert json.loads(fields["labels"]) == {"site": "Zürich"}


@pytest.mark.parametrize(
    "written",
    [
        event(),
        event(rule="007", class_name="12", stream="1"),
        event(track=None, confidence=None, box=None, labels={}, data={}, rule="", class_name=""),
    ],
)
def test_an_event_reads_back_as_it_was_written(written):
    assert Event.from_fields(written.to_fields()) == written
    assert Event.from_dict(json.loads(written.to_json())) == written


def test_the_token_is_in_the_line_of_a_spool_and_nowhere_else():
    written = event(token=12)
    assert Event.from_dict(json.loads(written.to_line())) == written
    assert "token" not in written.to_dict()
    assert "token" not in written.to_fields()
    assert "token" not in json.loads(written.to_json())


def test_another_schema_is_refused():
    with pytest.raises(ValueError, match="event schema 2: this version reads 1"):
        Event.from_fields({**event().to_fields(), "schema": "2"})


def test_an_id_is_the_same_for_the_same_happening_and_else_another():
    same = ("gate", "1@5", "yard", 4, Phase.BEGIN, 1)
    others = [("g", *same[1:]), ("gate", "2@5", *same[2:]), (*same[:3], 5, *same[4:])]
    others += [(*same[:4], Phase.END, 1), (*same[:5], 2), (*same[:2], "y", *same[3:])]
    ids = {event_id(*what) for what in [same, *others]}
    assert event_id(*same) in ids
    assert len(ids) == 7
    assert {len(i) for i in ids} == {32}


def test_what_ends_names_its_beginning_and_how_long_it_was():
    life = EventLifeCycle("1@0")
    begin = life.record(occurrence(Phase.BEGIN, 1.0), CONTEXT)
    update = life.record(occurrence(Phase.UPDATE, 2.0), CONTEXT)
    end = life.record(occurrence(Phase.END, 3.5), CONTEXT)
    assert dict(begin.data) == {}
    assert dict(update.data) == {"begin_id": begin.id, "duration_s": 1.0}
    assert dict(end.data) == {"begin_id": begin.id, "duration_s": 2.5}
    assert life.num_open == 0


def test_repetitions_have_ids_of_their_own_and_replaying_gives_the_same_ones():
    phases = [Phase.BEGIN, Phase.UPDATE, Phase.UPDATE, Phase.END] * 2 + [Phase.INSTANT] * 2
    runs = []
    for _ in range(2):
        life = EventLifeCycle("1@0")
        runs.append([life.record(occurrence(phase), CONTEXT) for phase in phases])
    assert runs[0] == runs[1]
    assert len({e.id for e in runs[0]}) == len(phases)


def test_values_are_rounded_and_the_context_is_copied():
    made = EventLifeCycle("1@0").record(occurrence(Phase.INSTANT, 1.23456), CONTEXT)
    assert (made.ts, made.pts, made.confidence) == (1_700_000_001_235, 1.23456, 0.8765)
    assert made.box == (1.3, 2, 3, 4)
    assert (made.stream, made.slot, made.model, made.labels) == (
        "gate",
        "slot-1",
        "toy",
        {"site": "north"},
    )


def test_what_has_not_begun_cannot_go_on_and_nothing_begins_twice():
    life = EventLifeCycle("1@0")
    for phase in (Phase.UPDATE, Phase.END):
        with pytest.raises(ValueError, match=r"rule 'yard': .* for track 4, which has not begun"):
            life.record(occurrence(phase), CONTEXT)
    life.record(occurrence(Phase.BEGIN), CONTEXT)
    life.record(occurrence(Phase.BEGIN, track=5), CONTEXT)
    with pytest.raises(ValueError, match="begins twice for track 4"):
        life.record(occurrence(Phase.BEGIN), CONTEXT)
