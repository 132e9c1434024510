"""Loitering, parking, wrong way, crowds, speed and objects: said once, at their moment."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.events import EventType, Phase
from actors.analytics.rules import Occurrence, make_rule
from actors.rule_specs import (
    CrowdRule,
    LineRule,
    LoiteringRule,
    ObjectRule,
    ParkingRule,
    SpeedRule,
    WrongWayRule,
    ZoneRule,
)
from tests.actors.rule_scenes import follow, scene, sighting

# x 400..600, y 200..300
CORNERS = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))
WIDE = ((0.0, 0.1), (1.0, 0.1), (1.0, 0.9), (0.0, 0.9))
LOITERING = LoiteringRule(name="stay", points=CORNERS, min_s=2.0, update_s=1.0)
PARKING = ParkingRule(name="bay", points=WIDE, min_s=3.0, update_s=None)
# Lawful is to the right.
WRONG_WAY = WrongWayRule(name="lane", points=CORNERS, direction=((0.4, 0.5), (0.6, 0.5)))
CROWD = CrowdRule(name="crowd", points=CORNERS, max_objects=2, min_s=1.0)
# 10 px are a metre.
PLANE = tuple(
    {"image": (x, y), "ground_m": (100 * x, 50 * y)} for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))
)
SPEED = SpeedRule.model_validate(
    {"name": "fast", "points": WIDE, "plane": PLANE, "over_kmh": 50, "window_s": 0.5}
)


def told(occurrences: list[Occurrence]) -> list[tuple[str, float]]:
    return [(o.phase.value, round(o.at.t_s, 2)) for o in occurrences]


def path(*legs: tuple[float, float, float], step_s: float = 0.1) -> list[tuple[float, float]]:
    """Feet at y = 250 on the way over x at speeds in pixels a second: (x from, x to, seconds)."""
    feet = []
    for begin, end, long_s in legs:
        num = round(long_s / step_s)
        feet += [(begin + (end - begin) * n / num, 250.0) for n in range(num)]
    return feet


def test_who_stays_for_long_is_loitering_from_when_it_came_until_it_leaves():
    feet = path((350, 450, 1), (450, 450, 3.3), (450, 350, 1))
    found = follow(make_rule(LOITERING), feet)
    assert {o.type for o in found} == {EventType.LOITERING}
    assert told(found) == [("begin", 0.5), ("update", 3.5), ("update", 4.5), ("end", 4.8)]
    assert found[-1].data == {"dwell_s": pytest.approx(4.3), "reason": "left"}


def test_who_passes_through_is_not_loitering():
    assert follow(make_rule(LOITERING), path((300, 700, 3))) == []


def test_a_stay_ends_when_its_track_was_last_seen():
    rule = make_rule(LOITERING)
    follow(rule, path((450, 450, 3)))
    (end,) = rule.update(scene(t_s=9.0, ended=(1,)))
    assert (end.phase, end.data["reason"]) == (Phase.END, "track_lost")
    assert end.at.t_s == pytest.approx(2.9)


def test_closing_a_rule_ends_what_it_had_begun_once():
    for spec in (LOITERING, ObjectRule(name="object"), PARKING):
        rule = make_rule(spec)
        assert told(follow(rule, path((500, 500, 6))))[0][0] == "begin"
        assert [o.data["reason"] for o in rule.close("rule_removed")] == ["rule_removed"]
        assert rule.close("rule_removed") == []


def test_an_object_appears_and_is_gone():
    rule = make_rule(ObjectRule(name="object", classes=("truck",)))
    trucks = [sighting(10 * n, 490, n / 10, name="truck") for n in range(20)]
    cars = [sighting(900, 100, n / 10, track=2) for n in range(20)]
    seen = [scene(t, c, t_s=t.at.t_s) for t, c in zip(trucks, cars, strict=True)]
    found = [o for each in seen for o in rule.update(each)]
    found += rule.update(scene(t_s=3.0, ended=(1, 2)))
    assert told(found) == [("begin", 0.0), ("end", 1.9)]
    assert [(o.type, o.sighting and o.sighting.track) for o in found] == [(EventType.OBJECT, 1)] * 2


def test_an_object_counts_once_it_is_there_for_long_enough():
    rule = make_rule(ObjectRule(name="object", points=CORNERS, min_s=1.0))
    assert follow(rule, path((500, 500, 0.9))) == []
    found = follow(
        make_rule(ObjectRule(name="object", points=CORNERS, min_s=1.0)), [(500, 250)] * 20
    )
    assert told(found) == [("begin", 0.0)]


def test_an_object_that_was_taken_for_another_at_first_appeared_when_it_was_first_seen():
    rule = make_rule(ObjectRule(name="cars", classes=("car",), min_s=0.5))
    first = sighting(500, 250, 0.0, name="person")
    born = replace(sighting(500, 250, 0.2, name="person"), first=first)
    assert rule.update(scene(born, t_s=0.2)) == []
    frames = [0.4 + 0.2 * n for n in range(4)]
    found = [rule.update(scene(sighting(500, 250, t_s), t_s=t_s)) for t_s in frames]
    assert [told(each) for each in found] == [[], [("begin", 0.0)], [], []]


def test_who_stands_in_a_zone_parks_from_when_it_came_to_rest_until_it_moves():
    stop = [(100 + 20 * t - 2.5 * t * t, 250.0) for t in np.arange(0, 4, 0.1)]  # at rest at 4 s
    leave = [(140 + 10 * t * t, 250.0) for t in np.arange(0, 2, 0.1)]  # from 10 s on
    found = follow(make_rule(PARKING), [*stop, *[(140.0, 250.0)] * 60, *leave])
    begin, end = found
    assert (begin.type, begin.phase, end.phase) == (
        EventType.ILLEGAL_PARKING,
        Phase.BEGIN,
        Phase.END,
    )
    assert begin.at.t_s == pytest.approx(4.0, abs=0.5)
    assert end.at.t_s == pytest.approx(10.0, abs=0.2)
    assert end.data["reason"] == "moved"
    assert end.data["standing_s"] == pytest.approx(end.at.t_s - begin.at.t_s, abs=1e-3)


def test_who_is_driving_off_when_the_rule_is_closed_parked_until_then():
    rule = make_rule(PARKING)
    leave = [(140 + 30 * t * t, 250.0) for t in np.arange(0, 1.0, 0.1)]  # from 6 s on
    follow(rule, [*[(140.0, 250.0)] * 60, *leave])
    (end,) = rule.close("session_ended")
    assert end.data["reason"] == "session_ended"
    assert end.at.t_s == pytest.approx(6.0, abs=0.2)


def test_parking_is_updated_while_it_lasts():
    rule = make_rule(PARKING.model_copy(update={"update_s": 2.0}))
    phases = [phase for phase, _ in told(follow(rule, [(140.0, 250.0)] * 100))]
    assert phases == ["begin", "update", "update", "update"]


def test_slow_traffic_and_short_stops_are_no_parking():
    assert follow(make_rule(PARKING), path((100, 400, 30))) == []
    assert follow(make_rule(PARKING), path((100, 400, 3), (400, 400, 2.5), (400, 800, 3))) == []


def boxes_of(rule: Any, boxes: list[tuple[float, float, float, float]]) -> list[Occurrence]:
    found = []
    for n, box in enumerate(boxes):
        seen = sighting(0, 0, n / 10)
        found += rule.update(scene(type(seen)(1, "car", 0.9, box, seen.at), t_s=n / 10))
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_parking_is_said_once_however_the_box_jitters(seed):
    noise = np.random.default_rng(seed).normal(0, 1.0, (100, 4))
    boxes = [(300 + a, 200 + b, 360 + c, 240 + d) for a, b, c, d in noise.tolist()]
    found = boxes_of(make_rule(PARKING), boxes)
    assert [o.phase for o in found] == [Phase.BEGIN]
    assert found[0].at.t_s <= PARKING.min_s / 2 + 0.1


def test_a_parked_car_that_is_half_hidden_for_a_while_is_still_parked():
    whole, top, left = (300, 200, 360, 240), (300, 200, 360, 218), (300, 200, 325, 240)
    boxes = [whole] * 50 + [top] * 20 + [whole] * 3 + [left] * 20 + [whole] * 5
    assert told(boxes_of(make_rule(PARKING), boxes)) == [("begin", 0.0)]


def test_a_box_that_jumps_for_a_moment_does_not_end_parking():
    whole, elsewhere = (300, 200, 360, 240), (315, 205, 375, 245)
    assert told(boxes_of(make_rule(PARKING), [whole] * 50 + [elsewhere] * 3 + [whole] * 9)) == [
        ("begin", 0.0)
    ]


def test_a_box_that_is_out_of_the_zone_for_a_moment_does_not_tell_when_a_car_came_to_rest():
    left_s = np.maximum(4.0 - np.arange(0, 10, 0.1), 0.0)  # it brakes and is at rest at 4 s
    boxes = [(380 + 15 * t * t, 210, 440 + 15 * t * t, 250) for t in left_s.tolist()]
    boxes[32:36] = [(box[0] - 50, *box[1:]) for box in boxes[32:36]]  # another car passes
    (begin,) = boxes_of(make_rule(PARKING.model_copy(update={"points": CORNERS})), boxes)
    assert begin.at.t_s == pytest.approx(4.0, abs=0.1)


def test_a_car_that_parks_again_elsewhere_is_reported_again():
    feet = path((300, 300, 6), (300, 600, 2), (600, 600, 6))
    phases = [phase for phase, _ in told(follow(make_rule(PARKING), feet))]
    assert phases == ["begin", "end", "begin"]


def test_who_drives_against_the_way_is_reported_from_its_entry_until_it_leaves():
    begin, end = follow(make_rule(WRONG_WAY), path((700, 300, 4)))
    assert (begin.type, end.type) == (EventType.WRONG_WAY, EventType.WRONG_WAY)
    assert told([begin, end]) == [("begin", 1.0), ("end", 3.0)]
    assert end.data["reason"] == "left"
    assert end.data["sizes"] == pytest.approx(200 / math.sqrt(800), abs=0.5)


def test_lawful_crossing_and_standing_traffic_is_not_against_the_way():
    rule = make_rule(WRONG_WAY)
    assert follow(rule, path((300, 700, 4))) == []
    across = [(500 - n / 2, 150.0 + 5 * n) for n in range(40)]
    assert follow(make_rule(WRONG_WAY), across) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=5, max_size=60))
def test_a_box_that_jitters_does_not_drive_against_the_way(jitter):
    feet = [(500 + x, 250.0) for x in jitter]
    assert follow(make_rule(WRONG_WAY), feet) == []


def test_a_distance_and_a_time_must_pass_against_the_way():
    feet = path((450, 590, 2), (590, 580, 1), (580, 700, 2))
    assert follow(make_rule(WRONG_WAY), feet) == []
    slow = WRONG_WAY.model_copy(update={"min_s": 3.0})
    assert follow(make_rule(slow), path((700, 300, 4))) == []


def test_who_turns_to_drive_against_the_way_and_back_is_reported_from_turn_to_turn():
    feet = path((350, 560, 2.1), (560, 440, 1.2), (440, 560, 1.2))
    begin, end = follow(make_rule(WRONG_WAY), feet)
    assert told([begin, end]) == [("begin", 2.1), ("end", 3.3)]
    assert end.data["reason"] == "turned"


def crowd(rule: Any, counts: list[int], step_s: float = 0.1) -> list[Occurrence]:
    """So many objects in the zone in each frame; those that leave step out of it."""
    found, last = [], 0
    for n, num in enumerate(counts):
        seen = [
            sighting(420 + 40 * i, 250 if i < num else 450, n * step_s, track=i + 1)
            for i in range(max(num, last))
        ]
        found += rule.update(scene(*seen, t_s=n * step_s))
        last = max(num, last)
    return found


def test_too_many_for_long_are_a_crowd_until_fewer_are_left():
    found = crowd(make_rule(CROWD), [1] * 10 + [3] * 15 + [4] * 5 + [2] * 10 + [1] * 15)
    begin, end = found
    assert begin.type is EventType.OVERCROWDING
    assert (begin.phase, end.phase) == (Phase.BEGIN, Phase.END)
    assert [o.sighting for o in found] == [None, None]
    assert begin.at.t_s == pytest.approx(1.0)
    assert end.at.t_s == pytest.approx(4.0, abs=0.11)
    assert (begin.data["count"], end.data["most"], end.data["reason"]) == (3, 4, "cleared")


def test_a_crowd_of_a_moment_is_none():
    assert crowd(make_rule(CROWD), [2] * 10 + [3] * 8 + [2] * 5 + [3] * 8 + [0] * 9) == []


def test_a_count_that_flickers_about_the_limit_is_one_crowd():
    counts = [3] * 15 + [2, 3] * 20
    assert [phase for phase, _ in told(crowd(make_rule(CROWD), counts))] == ["begin"]


def test_a_crowd_of_which_one_leaves_as_others_come_is_one_crowd():
    counts = [3] * 20 + [1] * 4 + [3] * 20 + [1] * 15
    assert told(crowd(make_rule(CROWD), counts)) == [
        ("begin", 0.0),
        ("end", pytest.approx(4.35, abs=0.05)),
    ]


def test_a_crowd_that_was_cleared_just_before_it_is_closed_ended_there():
    rule = make_rule(CROWD)
    crowd(rule, [3] * 20 + [1] * 4)
    (end,) = rule.close("session_ended")
    assert (end.data["reason"], end.data["count"]) == ("cleared", 1)
    assert end.at.t_s == pytest.approx(2.0, abs=0.11)


def test_closing_a_crowd_ends_it_when_it_was_last_seen():
    rule = make_rule(CROWD)
    crowd(rule, [3] * 20)
    (end,) = rule.close("session_ended")
    assert (end.data["reason"], end.data["count"]) == ("session_ended", 3)
    assert end.at.t_s == pytest.approx(1.9)
    assert rule.close("session_ended") == []


def test_who_is_over_the_limit_is_reported_with_its_speed():
    twenty = path((100, 900, 4))  # 200 px a second: 20 m/s, 72 km/h
    begin, end = follow(make_rule(SPEED), [*twenty, (900.0, 250.0), (900.0, 470.0)])
    assert (begin.type, begin.phase, end.phase) == (EventType.SPEED, Phase.BEGIN, Phase.END)
    assert begin.data == {"speed_kmh": pytest.approx(72, abs=0.2), "limit_kmh": 50}
    assert end.data["extreme_kmh"] == pytest.approx(72, abs=0.2)
    assert begin.at.t_s == pytest.approx(0.0, abs=0.11)


def test_who_keeps_to_the_limit_is_not_reported():
    assert follow(make_rule(SPEED), path((100, 600, 4))) == []  # 45 km/h


def test_an_excess_begins_and_ends_where_the_speed_changes():
    found = follow(make_rule(SPEED), path((100, 200, 1), (200, 500, 1.5), (500, 600, 1)))
    assert [phase for phase, _ in told(found)] == ["begin", "end"]
    assert [o.at.t_s for o in found] == pytest.approx([1.0, 2.5], abs=0.26)


def test_an_excess_that_is_measured_late_since_frames_are_missing_begins_at_the_entry():
    rule = make_rule(SPEED.model_copy(update={"points": CORNERS, "window_s": 0.5}))
    frames = [0.0, 0.1, 0.2, *(0.8 + 0.1 * n for n in range(10))]
    feet = [(390 + 200 * t_s, 250.0) for t_s in frames]
    found = [rule.update(scene(sighting(*f, t), t_s=t)) for f, t in zip(feet, frames, strict=True)]
    begin = next(o for each in found for o in each)
    assert begin.at.t_s == pytest.approx(0.05, abs=0.01)


def test_who_is_too_slow_is_reported_too():
    rule = SPEED.model_copy(update={"over_kmh": None, "under_kmh": 30.0})
    begin, end = follow(make_rule(rule), path((100, 200, 2), (200, 500, 2)))
    assert (begin.phase, end.data["reason"]) == (Phase.BEGIN, "back")
    assert begin.data["speed_kmh"] == pytest.approx(18, abs=0.2)


def test_who_is_through_a_zone_before_the_window_is_full_is_measured_all_the_same():
    rule = SPEED.model_copy(update={"points": CORNERS, "window_s": 5.0})
    begin, end = follow(make_rule(rule), path((200, 800, 2)))
    assert begin.data["speed_kmh"] == pytest.approx(108, abs=0.5)
    assert told([begin, end]) == [("begin", 0.67), ("end", 1.33)]


def test_one_wrong_box_makes_nobody_fast():
    feet = path((100, 600, 4))
    feet[20] = (feet[20][0] + 60, 250.0)
    assert follow(make_rule(SPEED.model_copy(update={"window_s": 1.0})), feet) == []


def test_speed_is_measured_through_perspective():
    def image(x_m: float, y_m: float) -> tuple[float, float]:
        return 0.5 + 0.05 * x_m / (1 + 0.05 * y_m), 0.9 - 0.6 * (0.05 * y_m) / (1 + 0.05 * y_m)

    plane = [
        {"image": image(x, y), "ground_m": (x, y)} for x, y in ((-4, 0), (4, 0), (4, 40), (-4, 40))
    ]
    corners = [image(x, y) for x, y in ((-4, 2), (4, 2), (4, 40), (-4, 40))]
    rule = SpeedRule.model_validate(
        {"name": "v", "points": corners, "plane": plane, "over_kmh": 53, "window_s": 1.0}
    )
    fifteen = [image(1.0, 15 * n / 10) for n in range(30)]  # 54 km/h
    found = follow(make_rule(rule), [(1000 * x, 500 * y) for x, y in fifteen])
    assert found[0].data["speed_kmh"] == pytest.approx(54, abs=0.3)
    fourteen = [image(1.0, 14 * n / 10) for n in range(30)]
    assert follow(make_rule(rule), [(1000 * x, 500 * y) for x, y in fourteen]) == []


ALL_KINDS = [
    LineRule(name="line", points=((0.5, 0.1), (0.5, 0.9))),
    ZoneRule(name="zone", points=CORNERS),
    *(LOITERING, PARKING, WRONG_WAY, CROWD, SPEED),
    ObjectRule(name="object"),
]


@pytest.mark.parametrize("spec", ALL_KINDS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize(
    "condition",
    [
        {"classes": ("truck",)},
        {"min_confidence": 0.95},
        {"min_size": (0.05, 0.01)},
        {"max_size": (0.03, 0.9)},
    ],
)
def test_objects_that_do_not_meet_the_conditions_say_nothing(spec, condition):
    rule = make_rule(spec.model_copy(update=condition))
    feet = path((950, 300, 3), (300, 300, 6), (300, 900, 2))
    assert follow(rule, feet) == []


@pytest.mark.parametrize("spec", ALL_KINDS, ids=lambda spec: spec.kind)
def test_pixels_mean_the_same_as_fractions_whatever_the_size_of_the_picture(spec):
    def scaled(points: Any) -> Any:
        return [(2000 * x, 1000 * y) for x, y in points]

    values = spec.model_dump()
    for field in {"points", "direction"} & set(values):
        if isinstance(values[field], tuple):
            values[field] = scaled(values[field])
    if "plane" in values:
        values["plane"] = [{**p, "image": scaled([p["image"]])[0]} for p in values["plane"]]
    values |= {"coordinates": "pixels", "picture_size": (2000, 1000)}
    feet = path((950, 300, 3), (300, 300, 6), (300, 900, 2))
    in_pixels = follow(make_rule(type(spec).model_validate(values)), feet)
    assert [o.data for o in in_pixels] == [o.data for o in follow(make_rule(spec), feet)]
