"""Server-sent events, read for real."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from cluster.api import events as event_routes
from cluster.embedded import EmbeddedRedis, free_port
from cluster.events import start_id
from tests.cluster.builders import ServedApi, eventually, served_api

STREAMS = (f"cam{number}" for number in itertools.count())


@pytest.fixture
def name() -> str:
    """A stream that no other test writes events of."""
    return next(STREAMS)


def write(api: ServedApi, stream: str, kind: str = "line_cross", **fields: str) -> str:
    with redis.Redis.from_url(api.redis.url, decode_responses=True) as client:
        return str(client.xadd("sightline:events", {"type": kind, "stream": stream, **fields}))


@contextmanager
def following(api: ServedApi, headers: Any = None, **query: Any) -> Iterator[Iterator[str]]:
    """The lines of the event stream, from after its opening."""
    with (
        api.client() as http,
        http.stream("GET", "/v1/events", params=query, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        assert next(lines) == ""
        yield lines


def next_event(lines: Iterator[str]) -> dict[str, Any]:
    """The next event as its fields, comments left out."""
    event: dict[str, Any] = {}
    for line in lines:
        if not line and event:
            return event
        if line and not line.startswith(":"):
            key, _, value = line.partition(": ")
            event[key] = json.loads(value) if key == "data" else value
    raise AssertionError("the stream of events ended")


def test_an_event_comes_as_it_happens_with_typed_values(api: ServedApi, name: str) -> None:
    fields = {
        "ts": "1750000000123",
        "pts": "12.5",
        "track": "7",
        "confidence": "0.9",
        "class": "car",
        "box": "[1, 2, 3.5, 4]",
        "data": '{"direction": "forward"}',
    }
    with following(api, stream=name) as lines:
        entry = write(api, name, **fields)
        assert next_event(lines) == {
            "id": entry,
            "event": "line_cross",
            "data": {
                "type": "line_cross",
                "stream": name,
                "ts": 1750000000123,
                "pts": 12.5,
                "track": 7,
                "confidence": 0.9,
                "class": "car",
                "box": [1, 2, 3.5, 4],
                "data": {"direction": "forward"},
            },
        }


def test_only_what_was_asked_for_is_sent(api: ServedApi, name: str) -> None:
    other = next(STREAMS)
    with following(api, stream=[name, other], type=["plate", "object"]) as lines:
        write(api, name, "line_cross")
        write(api, "elsewhere", "plate")
        wanted = [write(api, name, "plate"), write(api, other, "object")]
        assert [next_event(lines)["id"] for _ in wanted] == wanted


def test_reading_goes_on_after_the_last_event_that_was_seen(api: ServedApi, name: str) -> None:
    written = [write(api, name) for _ in range(450)]
    with following(api, stream=name, headers={"Last-Event-ID": written[9]}) as lines:
        assert [next_event(lines)["id"] for _ in range(440)] == written[10:]
    with following(api, stream=name, since=written[448]) as lines:
        assert next_event(lines)["id"] == written[449]


def test_since_takes_a_time_in_milliseconds(api: ServedApi, name: str) -> None:
    entry = write(api, name)
    with following(api, stream=name, since=entry.partition("-")[0]) as lines:
        assert next_event(lines)["id"] == entry
    with following(api, stream=name, since="0") as lines:
        assert next_event(lines)["id"] == entry


@pytest.mark.parametrize(
    ("since", "start"),
    [
        ("5-1", "5-1"),
        ("0", "0-0"),
        ("5", f"4-{2**64 - 1}"),
        ("yesterday", None),
        ("-5", None),
        ("$", None),
        ("", None),
    ],
)
def test_a_start_is_an_id_or_a_time(since: str, start: str | None) -> None:
    assert start_id(since) == start


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ({"since": "yesterday"}, {}, "since"),
        ({}, {"Last-Event-ID": "x"}, "Last-Event-ID"),
        ({"strem": "a"}, {}, "strem"),
    ],
)
def test_a_wrong_question_is_refused_before_anything_is_sent(
    api: ServedApi, query: dict[str, str], headers: dict[str, str], field: str
) -> None:
    with api.client() as http:
        answer = http.get("/v1/events", params=query, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["errors"][0]["remedy"]


def test_a_silent_stream_shows_that_it_lives(
    api: ServedApi, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_routes, "HEARTBEAT_S", 0.05)
    with following(api, stream=name) as lines:
        assert next(lines) == ": heartbeat"


def test_events_of_others_do_not_take_the_place_of_a_sign_of_life(
    api: ServedApi, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_routes, "HEARTBEAT_S", 0.05)
    with following(api, stream=name) as lines:
        for _ in range(20):
            write(api, "elsewhere")
        assert next(lines) == ": heartbeat"


def test_followers_are_bounded_and_one_that_leaves_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_routes, "HEARTBEAT_S", 0.05)
    with served_api(max_event_clients=1) as api, api.client() as http:
        with following(api):
            refused = http.get("/v1/events")
            assert refused.status_code == 503
            assert "try again" in refused.json()["detail"]

        def admitted() -> bool:
            with http.stream("GET", "/v1/events") as answer:
                return answer.status_code == 200

        eventually(admitted)


def test_a_follower_outlives_a_restart_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(event_routes, "RETRY_S", 0.05)
    port = free_port()
    with served_api(redis_port=port) as api, following(api) as lines:
        first = write(api, "a")
        assert next_event(lines)["id"] == first
        api.redis.close()
        assert next(lines) == ": heartbeat"
        with EmbeddedRedis(port=port):
            second = write(api, "a")
            assert next_event(lines)["id"] == second


def test_without_redis_the_answer_is_an_error_and_no_empty_stream() -> None:
    with served_api() as api, api.client() as http:
        api.redis.close()
        assert http.get("/v1/events").status_code == 503
