"""Servers of HTTP that send clients elsewhere are followed as far as the policy goes."""

from __future__ import annotations

import http.server
import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.errors import SourceError
from actors.ingest.config import IngestConfig
from actors.ingest.redirects import open_allowed, redirect_of
from actors.messages import StreamState
from actors.source_policy import SourcePolicy
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import IngestBench, eventually

FIRST = SourcePolicy(networks=(ipaddress.ip_network("127.0.0.1/32"),))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_pattern(path, width=128, height=96, fps=50, seconds=0.5, gop_size=5)
    return Path(path).read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a film at ``/film``, and sends clients of other paths to where they lead."""

    film: bytes
    locations: dict[str, str]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        location = self.locations.get(self.path)
        self.send_response(200 if location is None else 302)
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(0 if location else len(self.film)))
        self.end_headers()
        if location is None:
            self.wfile.write(self.film)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(host: str, film: bytes, locations: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Address of a server, and the paths that it was asked for."""
    asked: list[str] = []
    fields = {"film": film, "locations": locations, "asked": asked}
    handler = type("Serving", (Handler,), fields)
    with http.server.ThreadingHTTPServer((host, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://{host}:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_redirect_to_what_is_allowed_is_followed(film: bytes) -> None:
    locations = {"/a": "/b?x=1", "/b?x=1": "film"}
    with serving("127.0.0.1", film, locations) as (url, asked):
        source = open_allowed(f"{url}/a", FIRST)
        assert source.properties.width == 128
        source.close()
    assert asked[-1] == "/film"


def test_a_redirect_to_what_is_not_allowed_is_never_asked(film: bytes) -> None:
    locations: dict[str, str] = {}
    with (
        serving("127.0.0.2", film, {}) as (inner, asked),
        serving("127.0.0.1", film, locations) as (url, _),
    ):
        locations["/a"] = f"{inner}/film"
        with pytest.raises(SourceError, match=r"127\.0\.0\.2") as caught:
            open_allowed(f"{url}/a", FIRST)
        assert (caught.value.reason, caught.value.permanent) == ("forbidden", False)
        assert asked == []


@pytest.mark.parametrize("location", ["http://169.254.169.254/a", "file:///etc/hosts", "rtsp://h/"])
def test_no_policy_lets_a_server_lead_there(film: bytes, location: str) -> None:
    with serving("127.0.0.1", film, {"/a": location}) as (url, _):
        bench = IngestBench(IngestConfig(tick_s=0.01, close_timeout_s=2.0))
        bench.open("a", f"{url}/a")
        eventually(lambda: bench.is_in("a", StreamState.RECONNECTING, "forbidden"))
        assert "redirected" in bench.status("a").message
        bench.close()


def test_a_server_that_leads_in_a_circle_is_left(film: bytes) -> None:
    with serving("127.0.0.1", film, {"/a": "/a"}) as (url, asked):
        with pytest.raises(SourceError, match="redirected 5 times"):
            open_allowed(f"{url}/a", FIRST)
        assert len(asked) == 10


def test_what_is_no_redirect_leads_nowhere(film: bytes) -> None:
    with serving("127.0.0.1", film, {}) as (url, _):
        assert redirect_of(f"{url}/film", 1.0) is None
    for other in (f"{url}/film", "rtsp://127.0.0.1/a", "http://127.0.0.1:1/a", "https://[::1]:1/"):
        assert redirect_of(other, 1.0) is None


def test_credentials_stay_with_the_server_that_they_are_for(film: bytes) -> None:
    with serving("127.0.0.1", film, {"/a": "film"}) as (url, _):
        login = url.replace("http://", "http://user:hunter2@")
        assert redirect_of(f"{login}/a", 1.0) == f"{url}/film"
