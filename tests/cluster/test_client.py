"""The client speaks to a real API, and says in words what goes wrong."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis

from cluster.client import ApiClient, ApiError
from cluster.demo.watch import EventWatch
from cluster.embedded import free_port
from cluster.errors import ClusterError, UnavailableError
from tests.cluster.builders import ServedApi, eventually

NAMES = (f"cam{number}" for number in itertools.count())
URL = "rtsp://10.0.0.1/main"
EVENT = {"id": "e1", "type": "line_cross", "stream": "gate", "ts": 1000, "rule": "in"}


@pytest.fixture
def client(api: ServedApi) -> Iterator[ApiClient]:
    with ApiClient(api.url + "/") as made:
        yield made


@contextmanager
def answering(status: int, kind: str, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that is no Sightline: it gives each request the same answer."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def publish(api: ServedApi, **fields: str) -> None:
    with redis.Redis.from_url(api.redis.url) as connection:
        connection.xadd("sightline:events", fields)


def test_a_stream_goes_through_its_whole_life(client: ApiClient) -> None:
    name = next(NAMES)
    path = f"/v1/streams/{name}"
    assert client.post("/v1/streams", {"id": name, "url": URL})["id"] == name
    assert client.get(path)["spec"]["url"] == URL
    assert client.patch(path, {"max_fps": 5})["spec"]["max_fps"] == 5
    rule = {"kind": "line", "name": "in", "points": [[0, 0], [1, 1]]}
    assert client.put(f"{path}/rules", [rule])["spec"]["rules"][0]["name"] == "in"
    client.delete(path)
    with pytest.raises(ApiError) as caught:
        client.get(path)
    assert caught.value.status == 404
    assert name in str(caught.value)


def test_parameters_become_the_query(client: ApiClient) -> None:
    for _ in range(2):
        client.post("/v1/streams", {"id": next(NAMES), "url": URL})
    assert len(client.get("/v1/streams", limit="1")["streams"]) == 1


def test_each_fault_of_a_refusal_is_a_line_with_its_field_and_remedy(client: ApiClient) -> None:
    body = {"id": next(NAMES), "url": "nowhere", "max_fps": -1}
    with pytest.raises(ApiError) as caught:
        client.post("/v1/streams", body)
    assert caught.value.status == 422
    summary, *faults = str(caught.value).splitlines()
    assert summary
    assert [fault.split(":")[0].strip() for fault in faults] == ["url", "max_fps"]
    assert "begin the URL with one of rtsp://" in faults[0]
    assert "give more than 0" in faults[1]


def test_no_api_is_said_in_words_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with ApiClient(url) as client:
        for attempt in (lambda: client.get("/v1/streams"), lambda: next(client.events())):
            with pytest.raises(UnavailableError) as caught:
                attempt()
            assert url in str(caught.value)
            assert "sightline up" in str(caught.value)
            assert "SIGHTLINE_API" in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "", "ftp://h", "http://h:port", "http://[::1"])
def test_what_is_no_address_is_said_in_words(url: str) -> None:
    with pytest.raises(UnavailableError) as caught, ApiClient(url) as client:
        client.get("/v1/streams")
    assert "--api" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, "text/html", b"<h1>nothing here</h1>"),
        (500, "application/json", b'["a list"]'),
        (502, "application/json", b"{broken"),
        (503, "text/plain", b""),
        (200, "text/html", b"<h1>another program</h1>"),
        (200, "application/json", b"\xff"),
    ],
)
def test_the_answer_of_another_program_is_an_error_and_no_crash(
    status: int, kind: str, body: bytes
) -> None:
    with answering(status, kind, body) as (url, _), ApiClient(url) as client:
        with pytest.raises(ClusterError) as caught:
            client.get("/v1/streams")
        assert str(caught.value)


def test_a_long_answer_of_another_program_is_cut() -> None:
    with answering(500, "text/plain", b"x" * 9999) as (url, _), pytest.raises(ApiError) as caught:
        ApiClient(url).get("/v1/streams")
    assert len(str(caught.value)) <= 200


def test_a_body_that_json_cannot_hold_is_refused_in_words(client: ApiClient) -> None:
    with pytest.raises(ClusterError) as caught:
        client.post("/v1/streams", {"id": next(NAMES), "url": URL, "max_fps": float("nan")})
    assert str(caught.value)


def test_events_come_as_values(api: ServedApi, client: ApiClient) -> None:
    publish(api, type="line_cross", stream="early", ts="1", data='{"direction": "forward"}')
    events = client.events(since="0", stream="early")
    assert next(events) == {
        "type": "line_cross",
        "stream": "early",
        "ts": 1,
        "data": {"direction": "forward"},
    }


def test_a_refusal_of_events_is_told(client: ApiClient) -> None:
    with pytest.raises(ApiError) as caught:
        next(client.events(since="yesterday"))
    assert caught.value.status == 422
    assert "since" in str(caught.value)


def test_a_watch_sees_events_as_they_happen(api: ServedApi) -> None:
    watch = EventWatch(ApiClient(api.url))
    publish(api, id="w1", type="stream_state", stream="watched", ts="1", rule="")
    eventually(lambda: watch.last("watched"))
    assert watch.first_at is None
    publish(api, id="w2", type="line_cross", stream="watched", ts="2", rule="in")
    eventually(lambda: watch.first_at)
    last = watch.last("watched")
    assert last is not None
    assert last["type"] == "line_cross"
    assert watch.last("nobody") is None
    assert watch.counts() == {"line_cross": 1, "stream_state": 1}
    watch.close()


def test_a_watch_whose_connection_breaks_misses_nothing_and_counts_nothing_twice() -> None:
    body = b"".join(
        b"data: " + json.dumps({**EVENT, "id": name}).encode() + b"\n\n" for name in ("e1", "e2")
    )
    with answering(200, "text/event-stream", body) as (url, asked):
        watch = EventWatch(ApiClient(url))
        eventually(lambda: len(asked) >= 3)
        watch.close()
    assert [event["id"] for event in watch.events()] == ["e1", "e2"]
    assert all("since=" in path for path in asked)
