"""Which cameras the demo has, and what it asks of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.specs import QosClass, StreamSpec
from cluster.demo.feeds import Feed, job, source_feeds, view_rules, world_feeds
from cluster.demo.world import VIEWS, Scenario, Truth, View

RTSP = "rtsp://127.0.0.1:8554/x"


def clips(num: int) -> list[tuple[Path, Truth]]:
    views = list(VIEWS)
    return [
        (Path(f"/clips/{i}.mp4"), Truth(Scenario(seed=i, view=views[i % len(views)]), (), ()))
        for i in range(num)
    ]


def accepted(feed: Feed, number: int = 0) -> StreamSpec:
    """The feed's job as the API reads it."""
    return StreamSpec.model_validate(job(feed, number, feed.url or RTSP, 10.0))


def test_each_world_is_a_camera_named_after_its_view() -> None:
    feeds = world_feeds(clips(6))
    assert len({feed.name for feed in feeds}) == 6
    for feed, (path, truth) in zip(feeds, clips(6), strict=True):
        assert truth.scenario.view in feed.name
        assert (feed.clip, feed.truth) == (path, truth)


def test_the_classes_of_service_are_shared_out_in_turn() -> None:
    counts = Counter(feed.qos_class for feed in world_feeds(clips(8)))
    assert counts == dict.fromkeys((name.value for name in QosClass), 2)


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_every_line_and_presence_zone_of_a_view_becomes_a_rule(view: View) -> None:
    (feed,) = world_feeds([(Path("/clip.mp4"), Truth(Scenario(seed=1, view=view.name), (), ()))])
    rules = {rule.name: rule for rule in accepted(feed).rules}
    presence = {zone.name for zone in view.zones if zone.kind == "presence"}
    assert set(rules) == {line.name for line in view.lines} | presence
    assert view.lines
    for line in view.lines:
        assert rules[line.name].points == (line.a, line.b)
    assert len(view_rules(view)) == len(rules)


def test_a_film_of_the_users_is_shown_by_as_many_cameras_as_asked() -> None:
    film = Path("/films/my yard (1).mp4")
    feeds = source_feeds(str(film), film, 3)
    assert [feed.name for feed in feeds] == [f"cam{i}-my-yard--1" for i in range(3)]
    assert {(feed.clip, feed.url, feed.truth) for feed in feeds} == {(film, "", None)}
    assert {rule.kind for rule in accepted(feeds[0]).rules} == {"line", "zone"}


def test_a_camera_of_the_users_is_watched_where_it_is() -> None:
    url = "rtsp://viewer:p%40ss@camera.example:554/main"
    (feed,) = source_feeds(url, None, 1)
    assert (feed.name, feed.clip, feed.url) == ("cam0-camera.example", None, url)
    assert "viewer" not in feed.name


@given(st.text(min_size=1, max_size=60).filter(lambda s: "/" not in s and "\0" not in s))
def test_a_film_of_any_name_makes_a_stream_that_is_accepted(stem: str) -> None:
    (feed,) = source_feeds(stem, Path(f"/films/{stem}.mp4"), 1)
    assert accepted(feed).id == feed.name


@pytest.mark.parametrize("url", ["rtsp://[2001:db8::1]/a", "rtsp:///a", "http://käse.example/a"])
def test_a_camera_at_any_address_makes_a_name_that_is_accepted(url: str) -> None:
    (feed,) = source_feeds(url, None, 1)
    assert StreamSpec.model_validate({"id": feed.name, "url": RTSP})


def test_one_of_our_cameras_in_four_sends_over_udp() -> None:
    transports = [accepted(feed, i).transport for i, feed in enumerate(world_feeds(clips(8)))]
    assert transports == ["tcp", "tcp", "tcp", "udp"] * 2


def test_how_somebody_elses_camera_sends_is_left_open() -> None:
    (feed,) = source_feeds("rtsp://camera.example/main", None, 1)
    assert accepted(feed, 3).transport == "auto"


@pytest.mark.parametrize("max_fps", [None, 4.0])
def test_a_job_asks_for_the_feeds_class_and_rate(max_fps: float | None) -> None:
    feed = world_feeds(clips(2))[1]
    spec = StreamSpec.model_validate(job(feed, 1, RTSP, max_fps))
    assert (spec.id, spec.url, spec.max_fps) == (feed.name, RTSP, max_fps)
    assert spec.qos.class_name is QosClass.HIGH
