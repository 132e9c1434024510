"""Rules on attributes: an object counts once a secondary model has settled what it must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from actors.analytics.events import Event, EventType, Phase
from actors.analytics.pipeline import StreamPipeline
from actors.analytics.rules import Clearance, Occurrence, make_rule
from actors.crop_messages import CropAnswer, SecondaryModel
from actors.rule_specs import AnyRule, LineRule, LoiteringRule, ObjectRule, ZoneRule
from engines.detections import Detections
from engines.readings import Attributes
from tests.actors.builders import detections, frame_result, stream_spec
from tests.actors.rule_scenes import CORNERS, SIZE, scene, sighting, words
from tests.actors.secondary_street import LABELS, plate_model, shade_model

LIGHT = Attributes((np.array([[0.1, 0.9]], np.float32),))
DARK = Attributes((np.array([[0.9, 0.1]], np.float32),))
FPS = 10.0
BOXES = np.array([[480, 200, 540, 250], [560, 200, 620, 250]])
ZONE = ZoneRule(name="yard", points=CORNERS, attributes={"label": ("light",)})


def seen(rule: AnyRule, said: list[dict[str, set[str]]], xs: list[float]) -> list[Occurrence]:
    """What a rule says of one car, of which so much is known in each frame."""
    made, found = make_rule(rule), []
    for n, (known, x) in enumerate(zip(said, xs, strict=True)):
        one = scene(sighting(x, 250, n / FPS), t_s=n / FPS)
        one = replace(one, known=lambda _, name, of=known: of.get(name, ()), clearance=Clearance())
        found += made.update(one)
    return found


@pytest.mark.parametrize(
    ("asked", "known", "counts"),
    [
        ({"color": ("red", "white")}, {"color": {"white"}}, True),
        ({"color": ("red", "white")}, {"color": {"blue"}}, False),
        ({"color": ("red",)}, {}, False),
        ({"color": ("red",), "type": ("car",)}, {"color": {"red"}, "type": {"car"}}, True),
        ({"color": ("red",), "type": ("car",)}, {"color": {"red"}, "type": {"van"}}, False),
        ({"color": ("red",), "type": ("car",)}, {"color": {"red"}}, False),
        ({"wears": ("helmet",)}, {"wears": {"vest", "helmet"}}, True),
        ({"wears": ("helmet",)}, {"wears": set()}, False),
    ],
)
def test_an_object_counts_if_one_value_of_each_attribute_is_settled(asked, known, counts):
    rule = ZoneRule(name="yard", points=CORNERS, attributes=asked)
    assert bool(seen(rule, [known] * 5, [500.0] * 5)) is counts


def test_an_object_that_is_inside_when_it_settles_begins_then():
    known = [{}] * 20 + [{"label": {"light"}}] * 10
    (entered,) = seen(ZONE, known, [500.0] * 30)
    assert (entered.at.t_s, entered.data["reason"]) == (pytest.approx(2.0), "appeared")


def test_a_stay_is_measured_from_when_the_object_settled():
    rule = LoiteringRule(name="stay", points=CORNERS, min_s=1.0, attributes={"label": ("light",)})
    known = [{}] * 20 + [{"label": {"light"}}] * 15
    (begin,) = seen(rule, known, [500.0] * 35)
    assert begin.at.t_s == pytest.approx(2.0)
    assert begin.data["dwell_s"] == pytest.approx(1.0)


@pytest.mark.parametrize(("settled_at", "told"), [(2, ["backward"]), (8, [])])
def test_a_crossing_counts_where_the_object_has_settled_before_it(settled_at, told):
    line = LineRule(name="line", points=((0.5, 0.1), (0.5, 0.9)), attributes={"label": ("light",)})
    known = [{}] * settled_at + [{"label": {"light"}}] * (20 - settled_at)
    assert words(seen(line, known, [300.0 + 40 * n for n in range(20)])) == told


def test_an_object_that_turns_out_to_be_another_counts_no_longer_and_ended_then():
    rule = make_rule(ObjectRule(name="any", attributes={"label": ("light",)}, summary=True))
    found = []
    for n in range(30):
        value = "light" if n < 20 else "dark"
        one = scene(sighting(500, 250, n / FPS), t_s=n / FPS)
        found += rule.update(replace(one, known=lambda _, __, value=value: {value}))
    begin, end = [*found, *rule.update(scene(t_s=3.0, ended=(1,)))]
    assert (begin.phase, end.phase) == (Phase.BEGIN, Phase.END)
    assert end.at.t_s == pytest.approx(1.9)
    assert end.data["classes"] == {"car": 20}


@pytest.mark.parametrize("attributes", [{"color": []}, {"": ["red"]}, {"color": [""]}, ["color"]])
def test_attributes_without_a_name_or_a_value_are_refused(attributes):
    with pytest.raises(ValidationError, match="attributes"):
        ObjectRule.model_validate({"name": "any", "attributes": attributes})


def job(**fields: Any) -> Any:
    rules = [ZONE, ObjectRule(name="dark", attributes={"label": ("dark",)})]
    return stream_spec(rules=rules, **fields)


def analyse(
    pipeline: StreamPipeline, numbers: range, reading: Attributes, session: int = 1
) -> list[Event]:
    """A vehicle in the middle of the zone; all that is asked for is read."""
    events: list[Event] = []
    found = detections([(500.0, 250.0)], (60, 40), class_id=0)
    for n in numbers:
        asked = [request.track for request in pipeline.requests]
        crops = tuple(CropAnswer("shade", (track,), (0,), reading) for track in asked)
        events += (
            pipeline.process(
                frame_result(n, found, fps=FPS, source_size=SIZE, crops=crops, session=session)
            )
            or []
        )
    return events


def pipeline_of(models: list[SecondaryModel]) -> StreamPipeline:
    return StreamPipeline(job(), LABELS, secondaries=models)


def test_an_entry_is_told_once_the_vehicle_is_settled_and_dated_to_its_first_sighting(
    tmp_path: Path,
) -> None:
    pipeline = pipeline_of([shade_model(tmp_path, min_votes=3)])
    attribute, entered = analyse(pipeline, range(20), LIGHT)
    assert (attribute.type, entered.type) == (EventType.ATTRIBUTE, EventType.ZONE_ENTER)
    assert entered.track == attribute.track
    assert (entered.ts, entered.data["reason"]) == (1_700_000_000_000, "appeared")
    ends = pipeline.close()
    assert [(e.type, e.data["begin_id"]) for e in ends] == [(EventType.ZONE_EXIT, entered.id)]


def test_what_is_settled_and_what_began_with_it_move_with_the_stream(tmp_path: Path) -> None:
    models = [shade_model(tmp_path, min_votes=3)]
    one = pipeline_of(models)
    _, entered = analyse(one, range(20), LIGHT)
    other = pipeline_of(models)
    other.restore(one.state())
    assert analyse(other, range(20, 40), LIGHT) == []
    (end,) = other.close()
    assert end.data["begin_id"] == entered.id


def test_without_the_secondary_nothing_is_settled_and_nothing_counts(tmp_path: Path) -> None:
    assert analyse(pipeline_of([]), range(20), LIGHT) == []
    pipeline = pipeline_of([shade_model(tmp_path, min_votes=3)])
    analyse(pipeline, range(20), DARK)
    assert pipeline.set_labels(LABELS, [plate_model(tmp_path)]) == []
    assert [e.type for e in pipeline.close()] == [EventType.OBJECT]


def test_tracks_are_told_apart(tmp_path: Path) -> None:
    pipeline = pipeline_of([shade_model(tmp_path, min_votes=1)])
    found = Detections.of(BOXES, np.full(2, 0.9), np.zeros(2))
    both = Attributes((np.array([[0.1, 0.9], [0.9, 0.1]], np.float32),))
    events: list[Event] = []
    for n in range(9):
        asked = sorted(request.track for request in pipeline.requests)
        crops = (CropAnswer("shade", (1, 2), (0, 1), both),) if asked == [1, 2] else ()
        result = frame_result(n, found, fps=FPS, source_size=SIZE, crops=crops)
        events += pipeline.process(result) or []
    told = {(e.type, e.track) for e in events if e.type is not EventType.ATTRIBUTE}
    assert told == {(EventType.ZONE_ENTER, 1), (EventType.OBJECT, 2)}
