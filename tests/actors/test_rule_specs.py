"""Rules that cannot be are refused by name, with what is wrong and what to do."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from actors.analytics.rules import RULES, make_rule
from actors.ground_plane import facing, homography, to_ground
from actors.rule_specs import RULE_MODELS, RuleSpec, ZoneRule
from actors.schedule import Schedule
from actors.specs import StreamSpec
from cluster.validation import faults_of
from tests.actors.rule_scenes import at, scene, sighting

SQUARE = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
ZONE = {"kind": "zone", "name": "yard", "points": SQUARE}
PLANE = [
    {"image": p, "ground_m": g}
    for p, g in zip(SQUARE, ([0, 30], [10, 30], [8, 0], [2, 0]), strict=True)
]
SPEED = {**ZONE, "kind": "speed", "plane": PLANE, "over_kmh": 50}
WAY = {**ZONE, "kind": "wrong_way", "direction": [[0.2, 0.5], [0.8, 0.5]]}
CROWD = {**ZONE, "kind": "overcrowding", "max_objects": 3}
HOURS = [{"days": ["mon"], "start": "08:00", "end": "12:00"}]


def fault(*rules: dict[str, Any]) -> tuple[str, str]:
    """Field and words of the one fault."""
    with pytest.raises(ValidationError) as caught:
        StreamSpec.model_validate({"id": "gate", "url": "rtsp://10.0.0.1/main", "rules": rules})
    (only,) = faults_of(caught.value, StreamSpec)
    assert only.message
    assert only.remedy
    return only.field, f"{only.message}: {only.remedy}"


def with_plane(*images: list[float], ground: Any = ([0, 30], [10, 30], [8, 0], [2, 0])) -> Any:
    pairs = zip(images, ground, strict=True)
    return {**SPEED, "plane": [{"image": p, "ground_m": g} for p, g in pairs]}


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (
            [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]],
            "crosses itself, side 1-2 meets side 3-4",
        ),
        ([[0, 0], [1, 0], [1, 1], [0.5, 0.0], [0, 1]], "crosses itself"),
        ([[0, 0], [1, 0], [0.5, 0], [0.5, 1]], "crosses itself, side 1-2 meets side 2-3"),
        ([[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]], "has no area"),
        ([[0.1, 0.1], [0.1, 0.1], [0.9, 0.9]], "corners 1 and 2 are the same"),
        ([*SQUARE, SQUARE[0]], "corners 1 and 5 are the same: give each corner once"),
        ([[0, 0], [1.2, 0], [1, 1]], "point 2 at (1.2, 0) lies outside the picture"),
    ],
)
@pytest.mark.parametrize("rule", [ZONE, SPEED, WAY, CROWD, {**ZONE, "kind": "object"}])
def test_what_is_no_zone_is_refused(rule, points, words):
    field, said = fault({**rule, "points": points})
    assert field == "rules.0.points"
    assert words in said


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        ({**ZONE, "coordinates": "pixels"}, "picture_size", "is missing"),
        ({**ZONE, "picture_size": [640, 360]}, "picture_size", "say coordinates: pixels"),
        (
            {
                **ZONE,
                "coordinates": "pixels",
                "picture_size": [640, 360],
                "points": [[0, 0], [641, 0], [9, 9]],
            },
            "points",
            "give at most 640 for x and 360 for y",
        ),
        ({**WAY, "direction": [[0.5, 0.5], [0.5, 0.5]]}, "direction", "give two different points"),
        ({**WAY, "direction": [[0.5, 0.5], [1.5, 0.5]]}, "direction", "lies outside"),
        ({**ZONE, "min_size": [0.2, 0.2], "max_size": [0.1, 0.9]}, "max_size", "below min_size"),
        ({**CROWD, "end_at": 4}, "end_at", "give at most 3"),
        ({**CROWD, "max_objects": -1}, "max_objects", "at least 0"),
        ({**SPEED, "over_kmh": None}, "over_kmh", "give over_kmh, under_kmh or both"),
        ({**SPEED, "under_kmh": 60}, "under_kmh", "is not below over_kmh"),
        ({**SPEED, "plane": PLANE[:3]}, "plane", "at least 4"),
        ({**ZONE, "kind": "loitering", "min_s": 0}, "min_s", "more than 0"),
        ({**ZONE, "schedule": {"time_zone": "UTC", "hours": []}}, "schedule.hours", "at least 1"),
        (
            {**ZONE, "schedule": {"time_zone": "Europe/Zurch", "hours": HOURS}},
            "schedule.time_zone",
            "there is no such time zone: did you mean Europe/Zurich?",
        ),
        (
            {**ZONE, "schedule": {"time_zone": "../passwd", "hours": HOURS}},
            "schedule.time_zone",
            "there is no such time zone",
        ),
        (
            {**ZONE, "schedule": {"hours": [{"start": "09:00", "end": "09:00"}]}},
            "schedule.hours.0.end",
            "is the same as the start",
        ),
        ({**ZONE, "schedule": {"hours": [{"start": "25:00"}]}}, "schedule.hours.0.start", "match"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_field(rule, field, words):
    where, said = fault(rule)
    assert where == f"rules.0.{field}"
    assert words in said


@pytest.mark.parametrize(
    "rule",
    [
        with_plane([0.1, 0.5], [0.3, 0.5], [0.6, 0.5], [0.9, 0.5]),
        with_plane(*SQUARE, ground=([0, 0], [1, 1], [2, 2], [3, 3])),
        with_plane([0.1, 0.1], [0.3, 0.3], [0.6, 0.6], [0.9, 0.2]),
        with_plane(*SQUARE, ground=([0, 0],) * 4),
    ],
)
def test_places_on_one_line_define_no_plane(rule):
    field, said = fault(rule)
    assert field == "rules.0.plane"
    assert "define no plane" in said


def test_places_that_were_mixed_up_are_refused():
    field, said = fault(with_plane(*SQUARE, ground=([0, 30], [8, 0], [10, 30], [2, 0])))
    assert field == "rules.0.plane"
    assert "mixed up" in said


def test_there_is_a_rule_for_every_schema_and_its_fields_are_described():
    assert {model.model_fields["kind"].default for model in RULE_MODELS} == set(RULES)
    for model in RULE_MODELS:
        fields = model.model_json_schema()["properties"]
        assert [
            n for n in fields if n not in ("kind", "direction") and not fields[n].get("description")
        ] == []


@pytest.mark.parametrize("rule", [ZONE, SPEED, WAY, CROWD])
def test_a_rule_reads_what_it_wrote(rule):
    adapter = TypeAdapter[Any](RuleSpec)
    read = adapter.validate_python(rule)
    assert adapter.validate_json(adapter.dump_json(read)) == read


@given(st.lists(st.tuples(st.floats(0, 0.8), st.floats(0.1, 0.5)), min_size=4, max_size=20))
def test_a_star_shaped_zone_is_taken_in_either_direction_of_its_corners(polar):
    points = []
    for n, (late, radius) in enumerate(polar):
        angle = 2 * np.pi * (n + late) / len(polar)
        points.append((0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)))
    for corners in (points, points[::-1]):
        assert ZoneRule(name="z", points=tuple(corners)).points == tuple(corners)


@given(st.integers(0, 2**32 - 1))
def test_a_plane_is_found_from_four_places_or_more(seed):
    rng = np.random.default_rng(seed)
    away, across = rng.uniform(0.01, 0.05), rng.uniform(0.05, 0.1)

    def image(x_m: float, y_m: float) -> tuple[float, float]:
        return 0.5 + across * x_m / (1 + away * y_m), 0.9 - 15 * away * y_m / (1 + away * y_m) / 20

    ground = [(-3.0, 0.0), (3.0, 0.0), (3.0, 40.0), (-3.0, 40.0), *rng.uniform(-3, 3, (4, 2))]
    places = [image(*each) for each in ground]
    matrix = facing(homography(places, ground), places)
    assert matrix is not None
    x_m, y_m = rng.uniform(-3, 3), rng.uniform(0, 60)
    assert to_ground(matrix, image(x_m, y_m)) == pytest.approx((x_m, y_m), abs=1e-6)
    assert to_ground(matrix, (0.5, 0.1)) is None


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("hours", "when", "is_on"),
    [
        ({"days": ["mon"], "start": "08:00", "end": "12:00"}, "2024-07-01T05:59:59", False),
        ({"days": ["mon"], "start": "08:00", "end": "12:00"}, "2024-07-01T06:00", True),
        ({"days": ["mon"], "start": "08:00", "end": "12:00"}, "2024-07-01T10:00", False),
        ({"days": ["mon"], "start": "08:00", "end": "12:00"}, "2024-07-02T06:30", False),
        ({"days": ["mon"], "start": "08:00", "end": "12:00"}, "2024-01-01T06:30", False),  # winter
        ({"days": ["mon"], "start": "08:00", "end": "12:00"}, "2024-01-01T07:30", True),
        ({"days": ["sun"], "start": "22:00", "end": "06:00"}, "2024-07-01T03:59", True),
        ({"days": ["sun"], "start": "22:00", "end": "06:00"}, "2024-06-30T03:59", False),
        ({"days": ["sun"], "start": "22:00", "end": "06:00"}, "2024-06-30T21:00", True),
        ({}, "2024-02-29T12:00", True),
    ],
)
def test_a_schedule_follows_the_days_and_hours_of_its_time_zone(hours, when, is_on):
    schedule = Schedule.model_validate({"time_zone": "Europe/Zurich", "hours": [hours]})
    assert schedule.is_on(utc(when)) is is_on


def test_outside_its_hours_a_rule_sees_nothing_and_what_is_open_ends():
    # the scenes' clock says 13:46:40 UTC at 0 s
    hours = [{"start": "13:47", "end": "13:48"}]
    rule = make_rule(ZoneRule.model_validate({**ZONE, "schedule": {"hours": hours}}))
    found = []
    for t_s in np.arange(0, 120, 2.0).tolist():
        found += rule.update(scene(sighting(500, 250, t_s), t_s=t_s))
    assert [(o.phase.value, o.data["reason"], o.at) for o in found] == [
        ("begin", "appeared", at(20.0)),
        ("end", "off_schedule", at(78.0)),
    ]
