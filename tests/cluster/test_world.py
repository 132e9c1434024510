"""The synthetic world: its pictures, its boxes and its events agree, for every view."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from cluster.demo.world import CLASSES, VIEWS, FrameTruth, Scenario, Truth, TruthEvent, World
from cluster.demo.world.geometry import inside
from cluster.demo.world.happenings import line_sides
from cluster.demo.world.painter import MIN_AREA_PX, MIN_HEIGHT_PX, MIN_VISIBLE

FPS = 5
EVERY = 5  # frames that are painted: one of so many
SCRIPTED = {"line_cross", "zone_enter", "zone_exit", "wrong_way", "illegal_parking"}
CROWD = 0


@dataclass(frozen=True)
class Played:
    """A world, its truth, the same where nothing hides anything, and one of its frames."""

    world: World
    truth: Truth
    open_truth: Truth
    rgb: np.ndarray
    frame: FrameTruth


@pytest.fixture(scope="module", params=sorted(VIEWS))
def played(request):
    scenario = Scenario(seed=11, view=request.param, fps=FPS, duration_s=30)
    world = World(scenario)
    (picked,) = [pair for pair in world.pictures(EVERY) if pair[1].index == 40]
    return Played(world, world.truth(), world.open_truth(), *picked)


def boxes_of(played: Played, identity: int) -> dict[int, np.ndarray]:
    """The box of an object in each frame, painted or not."""
    return {
        frame.index: frame.xyxy[frame.identity == identity][0].astype(float)
        for frame in played.open_truth.frames
        if identity in frame.identity
    }


def anchor(box: np.ndarray) -> np.ndarray:
    return np.array([[(box[0] + box[2]) / 2, box[3]]])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    def play(seed: int) -> list[tuple[bytes, FrameTruth]]:
        small = Scenario(seed=seed, view="street", width=320, height=180, fps=5, duration_s=1)
        return [(rgb.tobytes(), frame) for rgb, frame in World(small)]

    assert play(3) == play(3)
    assert play(3)[0][0] != play(4)[0][0]


def test_a_world_can_be_played_twice():
    world = World(Scenario(seed=1, view="bridge", width=320, height=180, fps=5, duration_s=1))
    assert [f for _, f in world] == [f for _, f in world] == list(world.truth().frames)


def test_each_frame_has_the_asked_size_time_and_consistent_arrays(played):
    assert played.rgb.shape == (360, 640, 3)
    assert played.rgb.dtype == np.uint8
    for i, frame in zip(range(0, 30 * FPS, EVERY), played.truth.frames, strict=True):
        assert (frame.index, frame.t_s) == (i, i / FPS)
        assert frame.xyxy.shape == (len(frame), 4)
        assert len(frame.visible) == len(frame.ignore) == len(frame.class_id) == len(frame)
        assert len(set(frame.identity.tolist())) == len(frame)


def test_boxes_lie_in_the_picture_and_small_or_hidden_objects_are_ignored(played):
    for frame in played.truth.frames:
        x1, y1, x2, y2 = frame.xyxy.T
        assert ((x1 >= 0) & (y1 >= 0) & (x2 <= 640) & (y2 <= 360) & (x2 > x1) & (y2 > y1)).all()
        counted = ~frame.ignore
        height, width = (y2 - y1)[counted], (x2 - x1)[counted]
        assert (height >= MIN_HEIGHT_PX - 0.01).all()
        assert (height * width >= MIN_AREA_PX - 1).all()
        assert (frame.visible[counted] >= MIN_VISIBLE - 0.01).all()
        assert frame.ignore[frame.visible < MIN_VISIBLE - 0.01].all()


def test_objects_change_the_pixels_of_their_boxes_and_little_elsewhere(played):
    empty = Scenario(seed=11, view=played.world.scenario.view, fps=FPS, duration_s=0.2)
    background = np.median([played_without_traffic(empty)], axis=0)
    changed = np.abs(played.rgb.astype(int) - background).max(axis=2) > 24
    elsewhere = np.ones(changed.shape, bool)
    for box, hidden in zip(played.frame.xyxy, played.frame.ignore, strict=True):
        x1, y1, x2, y2 = (int(v) for v in box)
        elsewhere[max(y1 - 3, 0) : y2 + 14, max(x1 - 25, 0) : x2 + 25] = False
        if not hidden:
            assert changed[y1:y2, x1:x2].mean() > 0.2
    assert changed[elsewhere].mean() < 0.002


def played_without_traffic(scenario: Scenario) -> np.ndarray:
    from cluster.demo.world.painter import Painter

    world = World(scenario)
    painter = Painter(scenario, world.view, world._stage, [], scenario.seed)
    return next(painter.frames())[0]


def test_the_first_event_comes_early_and_crossings_are_many(played):
    events = played.truth.scored_events()
    assert events[0].t_s <= 2.5
    assert len(played.truth.scored_events("line_cross")) >= 8


def test_every_view_has_every_scripted_kind_of_event(played):
    assert {event.type for event in played.truth.scored_events()} >= SCRIPTED


def test_events_are_in_order_and_name_rules_and_objects_that_exist(played):
    view = played.world.view
    lines, zones = {line.name for line in view.lines}, {zone.name for zone in view.zones}
    rules = {"line_cross": lines, "object": {"lorries"}}
    objects = {CROWD} | {i for f in played.truth.frames for i in f.identity.tolist()}
    times = [event.t_s for event in played.truth.events]
    assert times == sorted(times)
    for event in played.truth.events:
        assert event.rule in rules.get(event.type, zones)
        assert event.identity in objects
        assert (event.identity == CROWD) == (event.type == "overcrowding")


def test_what_ends_has_begun_and_the_open_truth_has_the_same_frames(played):
    for truth in (played.truth, played.open_truth):
        begun = {(e.type, e.rule, e.identity) for e in truth.events if e.phase == "begin"}
        ends = [e for e in truth.events if e.phase == "end" and e.type != "zone_exit"]
        assert {e.type for e in ends} & {"speed", "loitering", "object"}
        assert {(e.type, e.rule, e.identity) for e in ends} <= begun
    pairs = list(zip(played.open_truth.frames[::EVERY], played.truth.frames, strict=True))
    assert all(sorted(a.identity.tolist()) == sorted(b.identity.tolist()) for a, b in pairs)
    visible = [
        sum(float(frame.visible.sum()) for frame in frames) for frames in zip(*pairs, strict=True)
    ]
    assert visible[0] > visible[1]


def test_crossings_agree_with_the_boxes_on_both_sides_of_the_line(played):
    size = np.array([640.0, 360.0])
    lines = {line.name: line for line in played.world.view.lines}
    for event in played.truth.scored_events("line_cross"):
        boxes = boxes_of(played, event.identity)
        before, after = int(event.t_s * FPS), int(event.t_s * FPS) + 1
        sides = [
            float(line_sides(lines[event.rule], anchor(boxes[i]) / size, size)[0])
            for i in (before, after)
        ]
        assert (sides[0] < 0 <= sides[1]) == (event.direction == "forward")
        assert (sides[0] >= 0 > sides[1]) == (event.direction == "backward")


def test_zone_entries_agree_with_the_boxes(played):
    zones = {zone.name: zone for zone in played.world.view.zones}
    for event in played.truth.scored_events("zone_enter"):
        boxes = boxes_of(played, event.identity)
        at = round(event.t_s * FPS)
        points = np.concatenate([anchor(boxes[i]) for i in (at - 1, at)]) / [640, 360]
        assert inside(zones[event.rule].polygon, points[:, 0], points[:, 1]).tolist() == [
            False,
            True,
        ]


def test_the_parked_car_stands_for_at_least_ten_seconds(played):
    begin = next(e for e in played.truth.scored_events("illegal_parking") if e.phase == "begin")
    boxes = boxes_of(played, begin.identity)
    start = round(begin.t_s * FPS)
    standing = np.array([boxes[i] for i in range(start, start + 10 * FPS)])
    assert np.ptp(standing, axis=0).max() < 1.5
    assert CLASSES[begin.class_id] == "car"


def test_only_the_wrong_way_car_goes_against_a_lane(played):
    wrong = {event.identity for event in played.truth.events if event.type == "wrong_way"}
    lane = next(zone for zone in played.world.view.zones if zone.kind == "lane")
    against = set()
    for identity in {i for frame in played.truth.frames for i in frame.identity.tolist()}:
        against |= {identity} if goes_against(boxes_of(played, identity), lane) else set()
    assert against == wrong


def goes_against(boxes: dict[int, np.ndarray], lane) -> bool:
    """Tell whether an object moves more than 2 % of the picture against a lane's direction."""
    points = np.concatenate([anchor(box) for _, box in sorted(boxes.items())]) / [640, 360]
    points = points[inside(lane.polygon, points[:, 0], points[:, 1])]
    if len(points) < 2:
        return False
    way = (points[-1] - points[0]) @ np.array(lane.direction)
    return way / np.linalg.norm(lane.direction) < -0.02


def test_nobody_else_stands_in_the_no_parking_zone(played):
    parked = {e.identity for e in played.truth.events if e.type == "illegal_parking"}
    zone = next(zone for zone in played.world.view.zones if zone.kind == "no_parking")
    for identity in {i for frame in played.truth.frames for i in frame.identity.tolist()} - parked:
        points = np.concatenate([anchor(b) for b in boxes_of(played, identity).values()])
        points = points / [640, 360]
        within = points[inside(zone.polygon, points[:, 0], points[:, 1])]
        stays = len(within) >= 5 * FPS and np.ptp(within, axis=0).max() < 0.01
        assert not stays


def test_truth_survives_a_round_trip_through_json(played):
    assert Truth.from_json(played.truth.to_json()) == played.truth


def test_something_is_hidden_at_times(played):
    shares = np.concatenate([frame.visible for frame in played.truth.frames])
    assert (shares < 0.9).any()
    assert np.median(shares) > 0.9


def test_the_lamps_of_the_night_are_brighter_than_all_around():
    def first(light: str) -> np.ndarray:
        scenario = Scenario(seed=2, view="bridge", time_of_day=light, fps=5, duration_s=1)
        return next(iter(World(scenario)))[0]

    night, day = first("night"), first("day")
    assert night.mean() < 0.5 * day.mean()
    assert (night.min(axis=2) > 200).sum() > 20


def test_an_unknown_view_is_refused_with_the_names_that_exist():
    with pytest.raises(ValueError, match="crossroads"):
        World(Scenario(seed=0, view="moon"))


def test_an_event_that_a_tracker_may_miss_is_not_scored():
    event = TruthEvent("line_cross", "instant", "road", 1, 0, 2.0, "forward", ignore=True)
    truth = Truth(Scenario(seed=0, view="street"), (), (event,))
    assert truth.scored_events() == ()


def test_the_world_needs_only_numpy_and_av():
    code = (
        "import sys, cluster.demo.world\n"
        "heavy = {'ray', 'pydantic', 'redis', 'fastapi', 'onnxruntime'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
