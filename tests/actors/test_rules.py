"""Rules: crossings and visits are reported once, at their moment; jitter says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.analytics.events import EventType, Phase
from actors.analytics.rules import Sighting, make_rule
from actors.analytics.rules.geometry import Line, Polygon
from actors.rule_specs import LineRule, ZoneRule
from tests.actors.rule_scenes import at, follow, scene, sighting, words

# From top to bottom at x = 500: its positive side is the left one.
LINE = LineRule(name="line", points=((0.5, 0.2), (0.5, 0.8)))
# x 400..600, y 200..300
ZONE = ZoneRule(name="zone", points=((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)))


def test_a_drive_across_the_line_is_one_crossing_with_its_direction():
    rightwards = [(x, 250.0) for x in range(420, 600, 30)]
    assert words(follow(make_rule(LINE), rightwards)) == ["backward"]
    assert words(follow(make_rule(LINE), rightwards[::-1])) == ["forward"]


def test_forward_is_from_the_negative_to_the_positive_side_of_the_line():
    line = Line((500.0, 100.0), (500.0, 400.0))
    assert line.distance((480, 250)) == pytest.approx(20)
    assert line.distance((530, 250)) == pytest.approx(-30)


def test_the_moment_of_a_crossing_lies_between_the_frames():
    (crossing,) = follow(make_rule(LINE), [(480, 250), (490, 250), (530, 250), (560, 250)])
    assert crossing.at.t_s == pytest.approx(0.1 + 0.1 * 10 / 40)
    assert crossing.at.ts == pytest.approx(1_000_000.125)
    assert crossing.at.pts_s == pytest.approx(50.125)
    assert (crossing.type, crossing.phase) == (EventType.LINE_CROSS, Phase.INSTANT)


def test_a_fast_object_that_leaps_over_the_line_has_crossed_it():
    assert words(follow(make_rule(LINE), [(300, 250), (700, 250)])) == ["backward"]


def test_going_round_the_end_of_the_line_is_no_crossing():
    round_the_end = [(450, 450), (490, 450), (530, 450), (560, 250)]
    assert follow(make_rule(LINE), round_the_end) == []
    assert words(follow(make_rule(LINE), [*round_the_end, (450, 250)])) == ["forward"]


def test_there_and_back_are_two_crossings():
    path = [(450, 250), (550, 250), (450, 250), (550, 250)]
    assert words(follow(make_rule(LINE), path)) == ["backward", "forward", "backward"]


def test_only_the_asked_direction_is_reported():
    there_and_back = [(450, 250), (550, 250), (450, 250)]
    for direction in ("forward", "backward"):
        rule = make_rule(LineRule(name="line", points=LINE.points, direction=direction))
        assert words(follow(rule, there_and_back)) == [direction]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2.2, 2.2), min_size=1, max_size=40), st.sampled_from([450, 550]))
def test_jitter_on_the_line_is_at_most_the_one_crossing_that_was_made(jitter, goal):
    path = [(450.0, 250.0), *((500 + x, 250.0) for x in jitter), (goal, 250.0)]
    crossings = follow(make_rule(LINE), path, step_s=0.01)
    assert words(crossings) == (["backward"] if goal == 550 else [])


def test_an_object_that_stops_just_behind_the_line_has_crossed_it():
    path = [(450.0, 250.0)] + [(500.5, 250.0)] * 20
    (crossing,) = follow(make_rule(LINE), path)
    assert crossing.at.t_s == pytest.approx(0.1 * 50 / 50.5)


def test_an_object_that_appears_on_the_line_belongs_to_neither_side():
    assert follow(make_rule(LINE), [(500.5, 250), (560, 250)]) == []
    assert follow(make_rule(LINE), [(499.5, 250), (560, 250)]) == []


def test_a_track_that_is_confirmed_behind_the_line_crossed_it_if_it_was_born_before_it():
    rule = make_rule(LINE)
    born = sighting(470, 250, 0.0)
    confirmed = Sighting(1, "car", 0.9, sighting(530, 250, 0.2).box, at(0.2), born)
    (crossing,) = rule.update(scene(confirmed, t_s=0.2))
    assert crossing.at.t_s == pytest.approx(0.1)


def test_only_the_asked_classes_count():
    for spec in (LINE, ZONE):
        rule = make_rule(spec.model_copy(update={"classes": ("truck",)}))
        assert follow(rule, [(450, 100), (450, 250), (550, 250), (700, 250)]) == []


def test_a_scene_tells_of_each_object_who_it_is_and_where_it_stands():
    born = sighting(470, 250, 0.0, track=7, name="truck")
    confirmed = Sighting(7, "truck", 0.9, sighting(530, 250, 0.2).box, at(0.2), born)
    seen = scene(sighting(100, 200, 0.2), confirmed, t_s=0.2)
    assert seen.tracks == [1, 7]
    assert [seen.foot(0), seen.foot(1)] == [(100, 200), (530, 250)]
    told = seen.sighting(1)
    assert (told.track, told.class_name, told.box, told.at) == (7, "truck", confirmed.box, at(0.2))
    assert told.first is not None
    assert (told.first.foot, told.first.at.t_s) == ((470, 250), 0.0)
    assert seen.sighting(0).first is None


def test_a_zone_takes_the_size_of_each_picture():
    rule = make_rule(ZONE)
    assert words(follow(rule, [(350, 250), (500, 250), (700, 250)])) == ["entered", "left"]
    in_small = [scene(sighting(50, 25, t, track=2), t_s=t, size=(100, 50)) for t in (1.0, 2.0)]
    (enter,) = [o for s in in_small for o in rule.update(s)]
    assert (enter.sighting.track, enter.data["reason"]) == (2, "appeared")


def test_each_object_has_its_own_side():
    rule, said = make_rule(LINE), []
    for n, x in enumerate((460, 490, 510, 540)):
        both = sighting(x, 250, n / 10, track=1), sighting(1000 - x, 300, n / 10, track=2)
        said += rule.update(scene(*both, t_s=n / 10))
    assert {o.sighting.track: o.data["direction"] for o in said} == {1: "backward", 2: "forward"}


def test_a_line_follows_the_size_of_the_picture():
    rule = make_rule(LINE)
    times = {x: 0.1 * x for x in (20, 80)}
    small = [scene(sighting(x, 25, t), t_s=t, size=(100, 50)) for x, t in times.items()]
    assert words([o for s in small for o in rule.update(s)]) == ["backward"]


def test_a_visit_to_a_zone_begins_and_ends():
    enter, leave = follow(make_rule(ZONE), [(x, 250.0) for x in range(350, 700, 20)])
    assert (enter.type, enter.phase) == (EventType.ZONE_ENTER, Phase.BEGIN)
    assert (leave.type, leave.phase) == (EventType.ZONE_EXIT, Phase.END)
    assert words([enter, leave]) == ["entered", "left"]
    assert enter.at.t_s == pytest.approx(0.25)
    assert leave.at.t_s == pytest.approx(1.25)


def test_an_object_that_appears_in_a_zone_enters_it_when_it_was_first_seen():
    (enter,) = follow(make_rule(ZONE), [(500, 250), (505, 250)])
    assert (enter.data["reason"], enter.at.t_s) == ("appeared", 0.0)


def test_passing_by_a_zone_says_nothing():
    assert follow(make_rule(ZONE), [(x, 320.0) for x in range(350, 700, 20)]) == []


def test_a_visit_begins_where_the_way_meets_the_border_however_far_away_that_was():
    flat = ZoneRule(name="flat", points=((0.4, 0.48), (0.6, 0.48), (0.6, 0.56), (0.4, 0.56)))
    (enter,) = follow(make_rule(flat), [(250, 250), *((450 + 5 * n, 250.0) for n in range(6))])
    assert enter.at.t_s == pytest.approx(0.075)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2.2, 2.2), min_size=1, max_size=40))
def test_jitter_on_the_border_of_a_zone_is_no_visit(jitter):
    path = [(350.0, 250.0), *((400 + x, 250.0) for x in jitter), (350.0, 250.0)]
    assert follow(make_rule(ZONE), path, step_s=0.01) == []


def test_a_track_that_ends_in_a_zone_leaves_it_when_it_was_last_seen():
    rule = make_rule(ZONE)
    follow(rule, [(350, 250), (500, 250), (520, 250)])
    for n in range(3, 10):
        assert rule.update(scene(t_s=n / 10)) == []
    (leave,) = rule.update(scene(t_s=1.0, ended=(1,)))
    assert (leave.data["reason"], leave.at.t_s) == ("track_lost", pytest.approx(0.2))
    assert leave.sighting.foot == (520, 250)


def test_a_track_that_ends_outside_says_nothing():
    rule = make_rule(ZONE)
    follow(rule, [(350, 250), (500, 250), (700, 250)])
    assert rule.update(scene(t_s=1.0, ended=(1,))) == []


def test_closing_a_zone_ends_the_visits_once():
    rule = make_rule(ZONE)
    follow(rule, [(500, 250), (505, 250)])
    assert words(rule.close("stream_closed")) == ["stream_closed"]
    assert rule.close("stream_closed") == []


def test_a_concave_zone_has_its_notch_outside():
    corners = [(0, 0), (30, 0), (30, 30), (20, 30), (20, 10), (10, 10), (10, 30), (0, 30)]
    notched = Polygon(corners)
    distances = [notched.distance(point) for point in ((5, 20), (15, 20), (25, 29), (33, 34))]
    assert distances == pytest.approx([5, -5, 1, -5])


@settings(max_examples=100, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_the_distance_from_a_square_is_that_of_geometry(x, y):
    square = Polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    outside = np.hypot(max(abs(x) - 1, 0), max(abs(y) - 1, 0))
    expected = -outside if outside > 0 else 1 - max(abs(x), abs(y))
    assert square.distance((x, y)) == pytest.approx(expected, abs=1e-9)
