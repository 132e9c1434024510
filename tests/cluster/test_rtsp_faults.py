"""Each fault as a client meets it, and the camera's return when it is cleared."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.errors import InvalidFaultError, UnknownCameraError
from cluster.demo.rtsp.faults import (
    Down,
    Fault,
    Jitter,
    Loss,
    Mute,
    NotFound,
    Reset,
    ResolutionChange,
    Stall,
    TimestampJump,
    Unauthorized,
    fault_named,
)
from tests.cluster.builders import eventually
from tests.cluster.rtsp_builders import FRAME_TICKS, RtspSocket, open_stream, rtp_packet, tiny_clip

IMPATIENT = {"timeout": "300000"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return tiny_clip(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def server(clip: Clip) -> Iterator[RunningCameraServer]:
    cameras = [Camera("cam", clip, first_sequence=0), Camera("other", clip)]
    with RunningCameraServer(cameras) as running:
        yield running


def plays(server: RunningCameraServer, name: str = "cam") -> bool:
    with open_stream(server.url(name)) as container:
        return next(container.decode(video=0)) is not None


def rtp_of(client: RtspSocket) -> Iterator[bytes]:
    return (data for channel, data in client.packets() if channel == 0)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_stalled_camera_keeps_its_connections_and_sends_nothing(
    server: RunningCameraServer, transport: str
) -> None:
    with open_stream(server.url("cam"), transport, **IMPATIENT) as container:
        packets = container.demux(video=0)
        next(packets)
        server.inject("cam", Stall())
        with pytest.raises(av.error.TimeoutError):
            list(packets)
        assert server.counters("cam").num_clients == 1


def test_after_a_stall_the_same_session_goes_on_with_a_keyframe(
    server: RunningCameraServer,
) -> None:
    with RtspSocket(server.url("cam")) as client:
        session, _ = client.play()
        packets = rtp_of(client)
        before = rtp_packet(next(packets))
        server.inject("cam", Stall())
        assert client.ask("GET_PARAMETER", Session=session).status == 200
        sent = server.counters("cam").num_frames_sent
        server.clear("cam")
        eventually(lambda: server.counters("cam").num_frames_sent > sent)
        after = rtp_packet(next(packets))
    assert after.payload == before.payload  # the sequence parameter set that opens a keyframe
    assert after.timestamp > before.timestamp


def test_a_session_that_begins_in_a_stall_plays_when_it_is_over(
    server: RunningCameraServer,
) -> None:
    server.inject("cam", Stall())
    with RtspSocket(server.url("cam")) as client:
        _, played = client.play()
        assert "rtp-info" not in played.headers
        server.clear("cam")
        assert rtp_packet(next(rtp_of(client))).sequence == 0


@pytest.mark.parametrize(
    ("transport", "fault"),
    [
        ("tcp", Reset()),
        ("udp", Reset()),
        ("tcp", Down()),
        ("tcp", NotFound()),
        ("tcp", Unauthorized()),
    ],
)
def test_faults_that_end_sessions_end_the_stream_of_one_camera_only(
    server: RunningCameraServer, transport: str, fault: Fault
) -> None:
    with open_stream(server.url("other")) as other:
        others = other.demux(video=0)
        with open_stream(server.url("cam"), transport) as container:
            packets = container.demux(video=0)
            next(packets)
            server.inject("cam", fault)
            # Some versions of FFmpeg say so; in others the stream just ends.
            with contextlib.suppress(ConnectionResetError):
                list(packets)
            assert server.counters("cam").num_clients == 0
        assert all(next(others).size for _ in range(5))
    server.clear("cam")
    assert plays(server)


def test_after_a_reset_new_connections_work_at_once(server: RunningCameraServer) -> None:
    with RtspSocket(server.url("cam")) as client:
        client.play()
        server.inject("cam", Reset())
        with pytest.raises(ConnectionResetError):
            for _ in client.packets():
                pass
    assert plays(server)


def test_a_camera_that_is_down_resets_whoever_names_it(server: RunningCameraServer) -> None:
    server.inject("cam", Down())
    with RtspSocket(server.url("cam")) as client, pytest.raises(ConnectionResetError):
        client.ask("OPTIONS")
    assert plays(server, "other")


def test_a_camera_that_is_not_found_answers_404(server: RunningCameraServer) -> None:
    server.inject("cam", NotFound())
    with pytest.raises(av.error.HTTPNotFoundError):
        open_stream(server.url("cam"))


def test_an_unauthorized_camera_refuses_even_the_right_password(clip: Clip) -> None:
    with RunningCameraServer([Camera("cam", clip, "u", "p")]) as server:
        assert plays(server)
        server.inject("cam", Unauthorized())
        with pytest.raises(av.error.HTTPUnauthorizedError):
            open_stream(server.url("cam"))


def test_a_mute_camera_accepts_and_never_answers(server: RunningCameraServer) -> None:
    with open_stream(server.url("cam"), **IMPATIENT) as running:
        packets = running.demux(video=0)
        next(packets)
        server.inject("cam", Mute())
        with pytest.raises(av.error.TimeoutError):
            list(packets)
    with pytest.raises((av.error.InvalidDataError, av.error.TimeoutError)):
        open_stream(server.url("cam"), **IMPATIENT)
    server.clear("cam")
    assert plays(server)


def test_lost_packets_leave_gaps_in_the_sequence_and_are_counted(
    server: RunningCameraServer,
) -> None:
    server.inject("cam", Loss(0.3, seed=7))
    with RtspSocket(server.url("cam")) as client:
        client.play()
        packets = [rtp_packet(data) for data in itertools.islice(rtp_of(client), 60)]
    span = (packets[-1].sequence - packets[0].sequence) & 0xFFFF
    assert 60 <= span <= 150
    assert server.counters("cam").num_packets_lost >= span + 1 - 60


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_loss_of_none_and_of_all_are_exact(server: RunningCameraServer, fraction: float) -> None:
    server.inject("cam", Loss(fraction))
    with RtspSocket(server.url("cam")) as client:
        client.play()
        eventually(lambda: server.counters("cam").num_frames_sent > 5)
    counters = server.counters("cam")
    assert (counters.num_packets_sent == 0) == (fraction == 1.0)
    assert (counters.num_packets_lost == 0) == (fraction == 0.0)


def test_a_decoder_survives_loss(server: RunningCameraServer) -> None:
    with open_stream(server.url("cam"), "udp") as container:
        server.inject("cam", Loss(0.2))
        num_packets = sum(1 for _ in itertools.islice(container.demux(video=0), 25))
    assert num_packets == 25


def test_jitter_keeps_order_and_loses_nothing(server: RunningCameraServer) -> None:
    server.inject("cam", Jitter(max_ms=200))
    with RtspSocket(server.url("cam")) as client:
        client.play()
        packets = [rtp_packet(data) for data in itertools.islice(rtp_of(client), 40)]
    for earlier, later in itertools.pairwise(packets):
        assert (later.sequence - earlier.sequence) & 0xFFFF == 1
        assert (later.timestamp - earlier.timestamp) & 0xFFFFFFFF in (0, FRAME_TICKS)


def test_another_resolution_comes_in_the_same_session_and_goes_again(
    server: RunningCameraServer, tmp_path: Path
) -> None:
    wide = tiny_clip(tmp_path, width=320, height=192)
    sizes: list[tuple[int, int]] = []
    times: list[int] = []
    with open_stream(server.url("cam")) as container:
        for frame in container.decode(video=0):
            if (frame.width, frame.height) not in sizes[-1:]:
                sizes.append((frame.width, frame.height))
                server.clear("cam") if len(sizes) == 2 else None
                server.inject("cam", ResolutionChange(wide)) if len(sizes) == 1 else None
            times.append(frame.pts or 0)
            if len(sizes) == 3:
                break
    assert sizes == [(128, 96), (320, 192), (128, 96)]
    assert times == sorted(times)


def test_a_new_client_is_told_of_the_resolution_of_the_moment(
    server: RunningCameraServer, tmp_path: Path
) -> None:
    server.inject("cam", ResolutionChange(tiny_clip(tmp_path, width=320, height=192)))
    with RtspSocket(server.url("cam")) as client:
        assert b"320-192" in client.ask("DESCRIBE").body


def test_a_clip_of_another_codec_is_refused(server: RunningCameraServer, tmp_path: Path) -> None:
    with pytest.raises(InvalidFaultError, match="give an h264 clip"):
        server.inject("cam", ResolutionChange(tiny_clip(tmp_path, codec="libx265")))


@pytest.mark.parametrize("seconds", [-20.0, 3600.0])
def test_timestamps_jump_once_and_go_on_from_there(
    server: RunningCameraServer, seconds: float
) -> None:
    with RtspSocket(server.url("cam")) as client:
        client.play()
        packets = (rtp_packet(data).timestamp for data in rtp_of(client))
        times = [next(packets)]
        server.inject("cam", TimestampJump(seconds))
        times += [next(packets) for _ in range(60)]
    steps = [(later - earlier) & 0xFFFFFFFF for earlier, later in itertools.pairwise(times)]
    jump = round(seconds * 90_000) & 0xFFFFFFFF
    odd = [step for step in steps if step not in (0, FRAME_TICKS)]
    assert odd in ([jump], [(jump + FRAME_TICKS) & 0xFFFFFFFF])


def test_faults_of_several_kinds_hold_together_and_are_cleared_together(
    server: RunningCameraServer,
) -> None:
    for fault in (Loss(1.0), Jitter(10.0), NotFound()):
        server.inject("cam", fault)
    with pytest.raises(av.error.HTTPNotFoundError):
        open_stream(server.url("cam"))
    server.clear("cam")
    assert plays(server)


def test_a_fault_on_no_camera_is_refused(server: RunningCameraServer) -> None:
    with pytest.raises(UnknownCameraError, match="cam, other"):
        server.inject("nowhere", Stall())
    with pytest.raises(UnknownCameraError):
        server.clear("nowhere")


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("explode", {}, "none of stall"),
        ("loss", {"fraction": 2}, "give 0 to 1"),
        ("loss", {"fraction": "much"}, "it takes: fraction, seed"),
        ("loss", {}, "it takes: fraction, seed"),
        ("jitter", {"max_ms": -1}, "give 0 to 60000"),
        ("timestamp_jump", {"seconds": float("nan")}, "give -86400"),
        ("stall", {"seconds": 3}, "it takes: none"),
        ("resolution_change", {"clip": 3}, "it takes: clip"),
    ],
)
def test_a_fault_that_makes_no_sense_names_what_it_takes(
    kind: str, parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidFaultError, match=message):
        fault_named(kind, parameters)
