"""The lean RTSP client before servers that are odd, hostile or old: it copes, or leaves them."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.errors import SourceError
from actors.ingest.rtsp import RtspSource, UnfamiliarError, is_unfamiliar, open_camera
from cluster.demo.rtsp import Clip
from cluster.demo.rtsp.pattern import write_pattern
from cluster.demo.rtsp.rtp import RtpFrame, rtp_packets
from cluster.demo.rtsp.sdp import describe

OK = b"RTSP/1.0 200 OK\r\nCSeq: %d\r\n"
SETUP = OK + b"Session: abc;timeout=60\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"


class ScriptedServer:
    """Answers each method as the script says; ``None`` hangs up."""

    def __init__(self, script: dict[str, bytes | None]) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://us:secret@127.0.0.1:{self._listener.getsockname()[1]}/cam"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(5.0)
        received = b""
        while True:
            data = client.recv(65536)
            received += data
            while b"\r\n\r\n" in received:
                request, _, received = received.partition(b"\r\n\r\n")
                self.requests.append(request)
                reply = self.script.get(request.split(b" ", 1)[0].decode(), OK + b"\r\n")
                if reply is None:
                    return
                found = re.search(rb"CSeq: (\d+)", request)
                client.sendall(reply.replace(b"%d", found[1] if found else b"0"))
            if not data:
                return


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Clip:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_pattern(path, width=128, height=96, seconds=1.0, gop_size=5)
    return Clip.open(path)


@pytest.fixture(scope="module")
def frames(clip) -> list[bytes]:
    """A clip as it travels in a connection."""
    found, sequence = [], 0
    for unit in clip.units:
        cut = rtp_packets(unit.payloads, sequence=sequence, timestamp=unit.pts, ssrc=3)
        sequence += len(cut)
        found.append(RtpFrame(cut, keyframe=unit.keyframe).interleaved(0))
    return found


@pytest.fixture
def script(clip, frames) -> dict[str, bytes | None]:
    sdp = describe("cam", clip, "127.0.0.1")
    return {
        "DESCRIBE": described(sdp),
        "SETUP": SETUP,
        "PLAY": OK + b"\r\n" + b"".join(frames),
    }


def described(sdp: bytes) -> bytes:
    return OK + f"Content-Length: {len(sdp)}\r\n\r\n".encode() + sdp


@contextlib.contextmanager
def playing(script: dict[str, bytes | None], **options: float) -> Iterator[RtspSource]:
    server = ScriptedServer(script)
    times = {"open_timeout_s": 1.0, "read_timeout_s": 1.0, **options}
    try:
        source = open_camera(server.url, **times)
        yield source
        source.close()
    finally:
        server.close()


def num_packets(script: dict[str, bytes | None], num: int = 25) -> int:
    with playing(script) as source:
        return len(list(itertools.islice(source.packets(), num)))


def error_of(script: dict[str, bytes | None], **options: float) -> SourceError:
    with pytest.raises(SourceError) as caught, playing(script, **options):
        pass
    assert "secret" not in str(caught.value)
    return caught.value


def test_a_plain_server_plays(script):
    assert num_packets(script) == 25


def test_pictures_before_the_answer_to_play_are_kept(script, frames):
    script["PLAY"] = b"".join(frames[:3]) + OK + b"\r\n" + b"".join(frames[3:])
    assert num_packets(script) == 25


def test_requests_of_the_server_and_line_ends_between_pictures_are_read_over(script, frames):
    asked = b"OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n"
    script["PLAY"] = (
        OK + b"\r\n" + asked.join([b"".join(frames[:9]), b"\r\n", b"".join(frames[9:])])
    )
    server = ScriptedServer(script)
    source = open_camera(server.url, open_timeout_s=1.0, read_timeout_s=1.0)
    assert len(list(itertools.islice(source.packets(), 25))) == 25
    source.close()
    server.close()


def test_without_parameter_sets_in_the_description_those_of_the_pictures_do(script, clip):
    sdp = re.sub(rb"a=(fmtp|framerate)[^\n]*\n", b"", describe("cam", clip, "h"))
    script["DESCRIBE"] = described(sdp)
    with playing(script) as source:
        found = source.properties
        assert (found.codec, found.width, found.height, found.fps) == ("h264", 128, 96, 25)
        assert source.codec_context.extradata


def test_a_stream_that_begins_between_key_frames_opens_with_the_size_in_its_description(
    script, frames
):
    script["PLAY"] = OK + b"\r\n" + b"".join(frames[2:])
    with playing(script) as source:
        assert (source.properties.width, source.properties.height) == (128, 96)
        flags = [p.is_keyframe for p in itertools.islice(source.packets(), 10)]
        assert flags == [False, False, False, True, False, False, False, False, True, False]


def test_a_goodbye_of_rtcp_is_a_disconnect(script, frames):
    bye = b"$\1\0\x08\x81\xcb\0\1\0\0\0\3"
    script["PLAY"] = OK + b"\r\n" + b"".join(frames) + bye
    with playing(script) as source, pytest.raises(SourceError) as caught:
        list(source.packets())
    assert caught.value.reason == "disconnected"


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        ("DESCRIBE", b"RTSP/1.0 302 Moved\r\nCSeq: %d\r\nLocation: rtsp://h/x\r\n\r\n"),
        ("DESCRIBE", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("DESCRIBE", b"RTSP/1.0 200 OK\r\nCSeq: %d\r\nContent-Length: 99999999\r\n\r\n"),
        ("DESCRIBE", OK + b"\r\n"),
        ("DESCRIBE", b"x" * 20_000),
        ("DESCRIBE", b"RTSP/1.0 401 No\r\nCSeq: %d\r\nWWW-Authenticate: Bearer x=y\r\n\r\n"),
        ("SETUP", b"RTSP/1.0 461 Unsupported Transport\r\nCSeq: %d\r\n\r\n"),
        ("SETUP", OK + b"Session: abc\r\nTransport: RTP/AVP;client_port=4-5\r\n\r\n"),
        ("SETUP", OK + b"Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"),
        ("PLAY", b"RTSP/1.0 457 Invalid Range\r\nCSeq: %d\r\n\r\n"),
        ("PLAY", OK + b"\r\n$\0\0\3abc"),
        ("PLAY", OK + b"\r\n$\0\0\x0d" + b"\x80\xe0" + bytes(10) + b"\x1d"),
    ],
)
def test_what_is_odd_is_left_to_ffmpeg(script, method, reply):
    script[method] = reply
    assert isinstance(error_of(script), UnfamiliarError)


def test_packets_of_another_format_than_announced_are_left_to_ffmpeg(script, clip):
    script["DESCRIBE"] = described(
        describe("cam", clip, "h").replace(b" 96", b" 98").replace(b":96", b":98")
    )
    assert isinstance(error_of(script, open_timeout_s=0.3), UnfamiliarError)


@pytest.mark.parametrize(
    ("method", "reply", "reason"),
    [
        ("DESCRIBE", b"RTSP/1.0 404 Not Found\r\nCSeq: %d\r\n\r\n", "not_found"),
        ("DESCRIBE", b"RTSP/1.0 403 Forbidden\r\nCSeq: %d\r\n\r\n", "unauthorized"),
        ("SETUP", b"RTSP/1.0 503 Service Unavailable\r\nCSeq: %d\r\n\r\n", "refused"),
        ("PLAY", b"RTSP/1.0 500 Oops\r\nCSeq: %d\r\n\r\n", "refused"),
        ("OPTIONS", None, "disconnected"),
        ("SETUP", None, "disconnected"),
        ("PLAY", OK + b"\r\n", "timeout"),
        ("DESCRIBE", b"RTSP/1.0 200", "timeout"),
    ],
)
def test_a_refusal_has_the_reason_that_ffmpeg_gives(script, method, reply, reason):
    script[method] = reply
    error = error_of(script, open_timeout_s=0.3)
    assert not isinstance(error, UnfamiliarError)
    assert (error.reason, error.permanent) == (reason, False)
    assert "rtsp://127.0.0.1:" in error.message


def test_a_login_by_basic_is_given_and_given_once(script):
    script["DESCRIBE"] = (
        b'RTSP/1.0 401 No\r\nCSeq: %d\r\nWWW-Authenticate: Basic realm="cam"\r\n\r\n'
    )
    server = ScriptedServer(script)
    with pytest.raises(SourceError) as caught:
        open_camera(server.url, open_timeout_s=1.0, read_timeout_s=1.0)
    server.close()
    assert caught.value.reason == "unauthorized"
    asked = [request for request in server.requests if request.startswith(b"DESCRIBE")]
    assert len(asked) == 2
    assert b"Authorization" not in asked[0]
    assert b"Authorization: Basic dXM6c2VjcmV0" in asked[1]


def test_nonsense_between_pictures_ends_the_session_and_ffmpeg_reads_the_next(script, frames):
    more_than_a_buffer = b"".join(frames) * (1 + (1 << 18) // sum(map(len, frames)))
    script["PLAY"] = OK + b"\r\n" + more_than_a_buffer + b"nonsense\r\n\r\n"
    with playing(script) as source:
        with pytest.raises(SourceError) as caught:
            list(source.packets())
        assert caught.value.reason == "invalid"
        assert "127.0.0.1" in caught.value.message
        assert is_unfamiliar(source.url)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]),
    st.integers(0, 400),
    st.binary(min_size=1, max_size=30),
)
def test_a_hostile_server_causes_source_errors_only(script, method, at, junk):
    plain = script.get(method) or OK + b"\r\n"
    at = min(at, len(plain))
    hostile = {**script, method: plain[:at] + junk + plain[at + len(junk) :]}
    times = {"open_timeout_s": 0.1, "read_timeout_s": 0.1}
    with contextlib.suppress(SourceError), playing(hostile, **times) as source:
        list(itertools.islice(source.packets(), 40))
