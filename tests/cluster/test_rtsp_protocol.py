"""What the camera server says on the wire: RTSP, RTP and RTCP, byte by byte."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.demo.rtsp import Camera, CameraServer, Clip, RunningCameraServer
from cluster.demo.rtsp.digest import Credentials, DigestAuthenticator, Verdict
from cluster.demo.rtsp.errors import CameraServerError, InvalidCameraError, UnknownCameraError
from cluster.demo.rtsp.faults import Stall
from cluster.demo.rtsp.messages import MalformedRequestError, RequestReader
from cluster.demo.rtsp.transport_header import TransportOffer, choose_transport
from tests.cluster.builders import eventually
from tests.cluster.rtsp_builders import FRAME_TICKS, RtspSocket, rtp_packet, tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return tiny_clip(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def server(clip: Clip) -> Iterator[RunningCameraServer]:
    cameras = [
        Camera("open", clip),
        Camera("locked", clip, "ann", "se:cr@t"),
        Camera("tcp-only", clip, transports={"tcp"}),
        Camera("wraps", clip, timestamp_offset=2**32 - 9000, first_sequence=65_530),
    ]
    with RunningCameraServer(cameras) as running:
        yield running


@pytest.fixture
def client(server: RunningCameraServer) -> Iterator[RtspSocket]:
    with RtspSocket(server.url("open")) as connected:
        yield connected


def test_options_lists_the_methods(client: RtspSocket) -> None:
    reply = client.ask("OPTIONS")
    assert reply.status == 200
    assert {"DESCRIBE", "SETUP", "PLAY", "TEARDOWN"} <= set(reply.headers["public"].split(", "))


def test_describe_gives_the_parameter_sets_of_the_clip(client: RtspSocket, clip: Clip) -> None:
    reply = client.ask("DESCRIBE", Accept="application/sdp")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/sdp")
    assert reply.headers["content-base"] == client.url + "/"
    sdp = reply.body.decode()
    assert "packetization-mode=1" in sdp
    assert "a=rtpmap:96 H264/90000\r\n" in sdp
    found = re.search(r"sprop-parameter-sets=(\S+)", sdp)
    assert found
    sets = tuple(base64.b64decode(text) for text in found[1].split(","))
    assert sets == clip.parameter_sets


def test_describe_of_h265_gives_all_three_parameter_sets(
    server: RunningCameraServer, tmp_path: Path
) -> None:
    clip = tiny_clip(tmp_path, codec="libx265")
    server.add(Camera("h265", clip))
    with RtspSocket(server.url("h265")) as client:
        sdp = client.ask("DESCRIBE").body.decode()
    server.remove("h265")
    found = [base64.b64decode(text) for text in re.findall(r"sprop-[vsp]ps=([^;\s]+)", sdp)]
    assert tuple(found) == clip.parameter_sets
    assert "H265/90000" in sdp


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DESCRIBE", "/nowhere", {}, 404),
        ("DESCRIBE", "/open", {"Accept": "text/html"}, 406),
        ("RECORD", "/open", {}, 501),
        ("OPTIONS", "/open", {"Require": "com.real.parameters"}, 551),
        ("PLAY", "/open", {}, 454),
        ("PLAY", "/open", {"Session": "0123456789abcdef"}, 454),
        ("PAUSE", "/open", {"Session": "nonsense"}, 454),
        ("TEARDOWN", "/open", {}, 454),
        ("GET_PARAMETER", "/open", {}, 200),
        ("GET_PARAMETER", "/open", {"Session": "nonsense"}, 454),
        ("SETUP", "/open", {}, 461),
        ("SETUP", "/open", {"Transport": "RTP/AVP;multicast"}, 461),
        ("SETUP", "/open", {"Transport": "RAW/RAW/UDP;client_port=1-2"}, 461),
        ("SETUP", "/tcp-only", {"Transport": "RTP/AVP;unicast;client_port=6000-6001"}, 461),
        ("DESCRIBE", "//[bad", {}, 404),
    ],
)
def test_a_request_that_cannot_be_met_gets_the_right_status(
    server: RunningCameraServer, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with RtspSocket(server.url("open")) as client:
        url = f"rtsp://127.0.0.1:{server.port}{path}"
        assert client.ask(method, url, **headers).status == status
        assert client.ask("OPTIONS").status == 200


def test_a_foreign_scheme_is_a_bad_request(client: RtspSocket) -> None:
    assert client.ask("DESCRIBE", "http://127.0.0.1/open").status == 400
    assert client.ask("DESCRIBE", "rtsp://[::1/open").status == 400


def test_an_unknown_parameter_is_refused(client: RtspSocket) -> None:
    assert client.ask("GET_PARAMETER", body=b"packets_received\r\n").status == 451


def test_states_follow_the_protocol(client: RtspSocket) -> None:
    session, played = client.play()
    assert played.status == 200
    setup = client.ask("SETUP", Transport="RTP/AVP/TCP", Session=session)
    assert setup.status == 455
    assert client.ask("PLAY", Session=session, Range="bytes=0-").status == 457
    assert client.ask("PAUSE", Session=session).status == 200
    assert client.ask("PLAY", Session=session).status == 200
    assert client.ask("GET_PARAMETER", Session=session).status == 200
    assert client.ask("TEARDOWN", Session=session).status == 200
    assert client.ask("PLAY", Session=session).status == 454


def test_teardown_frees_the_session(server: RunningCameraServer, client: RtspSocket) -> None:
    session, _ = client.play()
    assert server.counters("open").num_clients == 1
    client.ask("TEARDOWN", Session=session)
    assert server.counters("open").num_clients == 0


def test_a_closed_connection_frees_its_sessions(server: RunningCameraServer) -> None:
    with RtspSocket(server.url("open")) as client:
        client.play()
        assert server.counters("open").num_clients == 1
    eventually(lambda: server.counters("open").num_clients == 0)


def test_the_first_packet_is_the_one_that_play_announces(client: RtspSocket) -> None:
    _, played = client.play()
    announced = re.fullmatch(r"url=(\S+);seq=(\d+);rtptime=(\d+)", played.headers["rtp-info"])
    assert announced
    first = rtp_packet(next(data for channel, data in client.packets() if channel == 0))
    assert (first.sequence, first.timestamp) == (int(announced[2]), int(announced[3]))
    assert announced[1] == client.url + "/trackID=0"


def test_sequence_and_time_go_on_over_their_wrap_and_the_loop(server: RunningCameraServer) -> None:
    with RtspSocket(server.url("wraps")) as client:
        client.play()
        rtp = (rtp_packet(data) for channel, data in client.packets() if channel == 0)
        packets = [next(rtp) for _ in range(80)]
    assert packets[0].sequence > packets[-1].sequence
    for earlier, later in itertools.pairwise(packets):
        assert (later.sequence - earlier.sequence) & 0xFFFF == 1
        step = FRAME_TICKS if earlier.marker else 0
        assert (later.timestamp - earlier.timestamp) & 0xFFFFFFFF == step


def test_the_sender_report_tells_the_place_in_the_clip(
    server: RunningCameraServer, client: RtspSocket, clip: Clip
) -> None:
    client.play()
    packets = client.packets()
    keyframe = rtp_packet(next(data for channel, data in packets if channel == 0))
    report = next(data for channel, data in packets if channel == 1)
    kind, ssrc, whole, part, timestamp = struct.unpack(">xBxxIIII", report[:20])
    assert (kind, ssrc) == (200, keyframe.ssrc)
    report_s = whole - 2_208_988_800 + part / 2**32
    shown_s = report_s + (keyframe.timestamp - timestamp) / 90_000
    live = server.camera("open")
    place = round((shown_s - live.epoch) % live.duration_s * live.fps) % len(clip.units)
    assert clip.units[place].keyframe
    assert shown_s == pytest.approx(
        live.epoch + round((shown_s - live.epoch) * 100) / 100, abs=1e-3
    )


def test_interleaved_channels_that_are_taken_are_replaced(client: RtspSocket) -> None:
    offers = [client.ask("SETUP", Transport="RTP/AVP/TCP;interleaved=0-1") for _ in range(2)]
    assert "interleaved=0-1;" in offers[0].headers["transport"]
    assert "interleaved=2-3;" in offers[1].headers["transport"]


def test_channels_are_free_again_after_teardown(client: RtspSocket) -> None:
    for _ in range(200):
        setup = client.ask("SETUP", Transport="RTP/AVP/TCP;interleaved=0-1")
        assert "interleaved=0-1;" in setup.headers["transport"]
        client.ask("TEARDOWN", Session=setup.headers["session"])


def test_sessions_of_a_connection_are_limited(client: RtspSocket) -> None:
    replies = [client.ask("SETUP", Transport="RTP/AVP/TCP").status for _ in range(65)]
    assert replies == [200] * 64 + [453]


def test_requests_in_pieces_and_in_one_are_answered(client: RtspSocket) -> None:
    request = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    report = b"$\x01\x00\x04abcd"
    for byte in b"\r\n" + request:
        client.send(bytes((byte,)))
    assert client.reply().headers["cseq"] == "1"
    client.send(request.replace(b"1\r\n\r\n", b"2\r\n\r\n") + report + request)
    assert [client.reply().headers["cseq"] for _ in range(2)] == ["2", "1"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 505),
        (b"OPTIONS *\r\nCSeq: 1\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nnonsense\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"OPTIONS rtsp://" + b"a" * 20_000, 413),
    ],
)
def test_what_is_no_request_is_refused_and_disturbs_nobody(
    server: RunningCameraServer, client: RtspSocket, data: bytes, status: int
) -> None:
    client.play()
    packets = (data for channel, data in client.packets() if channel == 0)
    next(packets)
    with RtspSocket(server.url("open")) as bad:
        bad.send(data)
        assert bad.reply().status == status
        assert bad.is_closed()
    sequences = [rtp_packet(next(packets)).sequence for _ in range(3)]
    assert len(set(sequences)) == 3


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_break_the_reader(chunks: list[bytes]) -> None:
    reader = RequestReader()
    with contextlib.suppress(MalformedRequestError):
        for chunk in chunks:
            list(reader.feed(chunk))


def answer(client: RtspSocket, challenge: str, password: str, qop: bool) -> str:
    """An Authorization header as RFC 2617 wants it, for DESCRIBE."""
    nonce = re.search(r'nonce="([^"]+)"', challenge)
    assert nonce

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    user, request = md5(f"ann:sightline:{password}"), md5(f"DESCRIBE:{client.url}")
    middle = f"{nonce[1]}:00000001:abc:auth" if qop else nonce[1]
    extra = ', qop=auth, nc=00000001, cnonce="abc"' if qop else ""
    return (
        f'Digest username="ann", realm="sightline", nonce="{nonce[1]}", uri="{client.url}", '
        f'response="{md5(f"{user}:{middle}:{request}")}"{extra}'
    )


@pytest.mark.parametrize("qop", [True, False])
def test_digest_lets_in_the_right_password_only(server: RunningCameraServer, qop: bool) -> None:
    with RtspSocket(server.url("locked", with_credentials=False)) as client:
        asked = client.ask("DESCRIBE")
        assert asked.status == 401
        challenge = asked.headers["www-authenticate"]
        wrong = answer(client, challenge, "guess", qop)
        assert client.ask("DESCRIBE", Authorization=wrong).status == 401
        right = answer(client, challenge, "se:cr@t", qop)
        assert client.ask("DESCRIBE", Authorization=right).status == 200
        assert client.ask("SETUP", Authorization=right).status == 401
        assert client.ask("DESCRIBE", Authorization="Basic YW5uOnNl").status == 401
        assert client.ask("DESCRIBE", Authorization="Digest nonsense").status == 401


def test_credentials_for_one_camera_do_not_open_another(server: RunningCameraServer) -> None:
    with RtspSocket(server.url("locked", with_credentials=False)) as client:
        challenge = client.ask("DESCRIBE").headers["www-authenticate"]
        client.url = client.url.replace("locked", "other")
        signed_for_other = answer(client, challenge, "se:cr@t", qop=True)
        client.url = client.url.replace("other", "locked")
        assert client.ask("DESCRIBE", Authorization=signed_for_other).status == 401


def test_an_old_nonce_is_stale_and_a_foreign_one_is_refused() -> None:
    authenticator, credentials = DigestAuthenticator(300.0), Credentials("u", "p")

    def signed(nonce: str) -> str:
        user, request = (
            hashlib.md5(text.encode()).hexdigest() for text in ("u:sightline:p", "PLAY:rtsp://h/c")
        )
        response = hashlib.md5(f"{user}:{nonce}:{request}".encode()).hexdigest()
        return (
            f'Digest username="u", realm="sightline", nonce="{nonce}", '
            f'uri="rtsp://h/c", response="{response}"'
        )

    found = re.search(r'nonce="([^"]+)"', authenticator.challenge(1000.0))
    assert found
    own = signed(found[1])
    assert authenticator.check(own, "PLAY", credentials, 1299.0) is Verdict.ACCEPTED
    assert authenticator.check(own, "PLAY", credentials, 1301.0) is Verdict.STALE
    forged = signed("fffff.0123456789abcdef0123456789abcdef")
    assert authenticator.check(forged, "PLAY", credentials, 1000.0) is Verdict.REJECTED
    assert "p" not in repr(credentials).replace("Credentials", "")


@pytest.mark.parametrize(
    ("header", "offer"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=4-5", TransportOffer("tcp", 4, 5)),
        ("RTP/AVP/TCP", TransportOffer("tcp", None, None)),
        ("RTP/AVP;unicast;client_port=5000-5001", TransportOffer("udp", 5000, 5001)),
        ("RTP/AVP/UDP;client_port=5000", TransportOffer("udp", 5000, 5001)),
        ("RTP/AVP;multicast, RTP/AVP/TCP;interleaved=0-1", TransportOffer("tcp", 0, 1)),
        ("RTP/AVP;unicast;client_port=0-1", None),
        ("RTP/AVP;unicast;client_port=70000-70001", None),
        ("RTP/AVP/TCP;interleaved=300-301", None),
        ("RTP/AVP;unicast", None),
        ("", None),
    ],
)
def test_the_first_transport_that_can_be_served_is_chosen(
    header: str, offer: TransportOffer | None
) -> None:
    assert choose_transport(header, {"tcp", "udp"}) == offer


def udp_pair() -> tuple[socket.socket, socket.socket]:
    pair = tuple(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for each in pair:
        each.bind(("127.0.0.1", 0))
        each.settimeout(5)
    return pair[0], pair[1]


def test_a_udp_session_without_a_sign_of_life_ends_and_one_with_receiver_reports_stays(
    clip: Clip,
) -> None:
    with RunningCameraServer([Camera("cam", clip)], session_timeout_s=1) as server:
        with RtspSocket(server.url("cam")) as mute, RtspSocket(server.url("cam")) as alive:
            pairs = [udp_pair(), udp_pair()]
            for client, (rtp, rtcp) in zip((mute, alive), pairs, strict=True):
                ports = f"{rtp.getsockname()[1]}-{rtcp.getsockname()[1]}"
                session, played = client.play(f"RTP/AVP;unicast;client_port={ports}")
                assert played.status == 200
            assert server.counters("cam").num_clients == 2
            server_rtcp = pairs[1][1].recvfrom(2048)[1]

            def only_one_is_left() -> bool:
                pairs[1][1].sendto(b"\x80\xc9\x00\x01abcd", server_rtcp)
                return server.counters("cam").num_clients == 1

            eventually(only_one_is_left)
            assert alive.ask("GET_PARAMETER", Session=session).status == 200
        for each in (*pairs[0], *pairs[1]):
            each.close()


def test_a_client_that_does_not_read_is_dropped_frames_and_disturbs_nobody(tmp_path: Path) -> None:
    heavy = tiny_clip(
        tmp_path, width=1280, height=720, fps=100, bit_rate=80_000_000, gop_size=1, seconds=0.5
    )
    with (
        RunningCameraServer([Camera("heavy", heavy)]) as server,
        RtspSocket(server.url("heavy")) as idle,
        RtspSocket(server.url("heavy")) as reader,
    ):
        idle.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        idle.play()
        reader.play()
        packets = reader.packets()

        def idle_lost_frames() -> bool:
            next(packets)
            return server.counters("heavy").num_frames_dropped > 0

        eventually(idle_lost_frames)
        assert server.counters("heavy").num_clients == 2


def test_cameras_come_and_go_while_the_server_runs(clip: Clip) -> None:
    with RunningCameraServer(session_timeout_s=5) as server:
        server.add(Camera("yard/north.1", clip))
        with pytest.raises(InvalidCameraError, match="taken"):
            server.add(Camera("yard/north.1", clip))
        with RtspSocket(server.url("yard/north.1")) as client:
            client.play()
            server.remove("yard/north.1")
            assert client.is_closed()
        with pytest.raises(UnknownCameraError, match="it has: none"):
            server.url("yard/north.1")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a b"},
        {"name": "/a"},
        {"username": "ann"},
        {"username": "a:b", "password": "c"},
        {"transports": set()},
        {"transports": {"sctp"}},
    ],
)
def test_a_camera_that_cannot_work_is_refused(clip: Clip, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidCameraError):
        Camera(**{"name": "cam", "clip": clip, **fields})


def test_a_port_that_is_taken_is_an_error_and_leaves_no_thread(server: RunningCameraServer) -> None:
    taken = RunningCameraServer(port=server.port)
    with pytest.raises(OSError, match="address already in use"), taken:
        pass
    with pytest.raises(CameraServerError, match="with block"):
        taken.inject("cam", Stall())


def test_the_server_runs_in_the_loop_of_its_caller(clip: Clip) -> None:
    async def ask() -> bytes:
        server = CameraServer()
        live = server.add(Camera("cam", clip, epoch=1000.0))
        assert live.epoch == 1000.0
        port = await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n")
        line = await reader.readline()
        await server.close()
        writer.close()
        return line

    assert asyncio.run(ask()) == b"RTSP/1.0 200 OK\r\n"
