"""What PyAV clients see of a camera: every picture, whole, in order, over the loop."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from tests.cluster.builders import eventually
from tests.cluster.rtsp_builders import (
    FRAME_TICKS,
    file_hashes,
    open_stream,
    stream_frames,
    tiny_clip,
    write_tiny,
)

LARGE = {"width": 640, "height": 480, "bit_rate": 12_000_000}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("codec", "changes"),
    [
        ("libx264", {}),
        ("libx264", {"num_b_frames": 2, "gop_size": 12}),
        ("libx264", LARGE),
        ("libx265", {}),
        ("libx265", {"num_b_frames": 2, "gop_size": 12}),
        ("libx265", LARGE),
    ],
    ids=["h264", "h264-b-frames", "h264-large", "h265", "h265-b-frames", "h265-large"],
)
def test_a_client_sees_the_pictures_of_the_clip_over_and_over(
    tmp_path: Path, transport: str, codec: str, changes: dict[str, int]
) -> None:
    path = write_tiny(tmp_path / "clip.mp4", codec=codec, **changes)
    pictures, clip = file_hashes(path), Clip.open(path)
    assert len(set(pictures)) == len(pictures) == 25
    with RunningCameraServer([Camera("cam", clip)]) as server:
        frames = stream_frames(server.url("cam"), 40, transport)
    places = [pictures.index(picture) for _, picture in frames]
    assert places == [(places[0] + index) % 25 for index in range(40)]
    times = [pts for pts, _ in frames if pts is not None]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {FRAME_TICKS}


def test_large_pictures_travel_in_fragments(tmp_path: Path) -> None:
    clip = tiny_clip(tmp_path, **LARGE)
    assert max(len(unit.payloads) for unit in clip.units) > 10
    assert max(len(part) for unit in clip.units for part in unit.payloads) == 1388


def test_small_packets_carry_the_same_pictures(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "clip.mp4")
    clip = Clip.open(path, max_packet_bytes=100)
    with RunningCameraServer([Camera("cam", clip)]) as server:
        frames = stream_frames(server.url("cam"), 10)
    assert {picture for _, picture in frames} <= set(file_hashes(path))


def test_two_clients_see_the_same_picture_at_the_same_time(tmp_path: Path) -> None:
    camera = Camera("cam", tiny_clip(tmp_path, seconds=1.0))
    with RunningCameraServer([camera]) as server, open_stream(server.url("cam")) as early:
        pictures = (bytes(packet) for packet in early.demux(video=0))
        next(pictures)
        with open_stream(server.url("cam"), "udp") as late:
            packets = late.demux(video=0)
            seen = {bytes(next(packets)) for _ in range(10)}
            # Each picture of the clip is another one, and it has a hundred of them.
            assert seen <= {next(pictures) for _ in range(75)}


def test_credentials_in_the_url_open_a_camera(tmp_path: Path) -> None:
    camera = Camera("cam", tiny_clip(tmp_path), "an n", "p@s:s/w%")
    with RunningCameraServer([camera]) as server:
        assert stream_frames(server.url("cam"), 2, "tcp")
        assert stream_frames(server.url("cam"), 2, "udp")
        bare = server.url("cam", with_credentials=False)
        wrong = bare.replace("rtsp://", "rtsp://an%20n:guess@")
        for url in (bare, wrong):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                open_stream(url)


def test_an_unknown_camera_is_not_found_and_a_refused_transport_is_said(tmp_path: Path) -> None:
    camera = Camera("cam", tiny_clip(tmp_path), transports={"udp"})
    with RunningCameraServer([camera]) as server:
        with pytest.raises(av.error.HTTPNotFoundError):
            open_stream(server.url("cam").replace("cam", "other"))
        with pytest.raises(OSError, match="not supported"):
            open_stream(server.url("cam"), "tcp")
        assert stream_frames(server.url("cam"), 2, "udp")


def test_a_client_that_leaves_is_forgotten(tmp_path: Path) -> None:
    with RunningCameraServer([Camera("cam", tiny_clip(tmp_path))]) as server:
        for transport in ("tcp", "udp"):
            with open_stream(server.url("cam"), transport):
                eventually(lambda: server.counters("cam").num_clients == 1)
            eventually(lambda: server.counters("cam").num_clients == 0)
        sent = server.counters("cam").num_packets_sent
        assert stream_frames(server.url("cam"), 2)
        assert server.counters("cam").num_packets_sent > sent


def test_clips_of_any_length_and_rate_play_at_once_from_one_server(tmp_path: Path) -> None:
    clips = {
        "still": tiny_clip(tmp_path, "still.mp4", seconds=0.2, fps=5, gop_size=1),
        "fast": tiny_clip(tmp_path, "fast.mp4", fps=60),
        "upright": tiny_clip(tmp_path, "upright.mp4", width=96, height=160),
    }
    assert len(clips["still"].units) == 1
    cameras = [Camera(name, clip) for name, clip in clips.items()]
    with RunningCameraServer(cameras) as server, ThreadPoolExecutor() as threads:
        urls = [server.url(name) for name in clips]
        seen = list(threads.map(lambda url: stream_frames(url, 5), urls))
    distances = [
        {later[0] - earlier[0] for earlier, later in itertools.pairwise(frames[1:])}
        for frames in seen
    ]
    assert distances == [{18000}, {1500}, {FRAME_TICKS}]


def test_a_camera_with_an_epoch_to_come_begins_with_its_first_picture(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "clip.mp4")
    with RunningCameraServer() as server:
        now = server.add(Camera("now", Clip.open(path))).epoch
        server.add(Camera("later", Clip.open(path), epoch=now + 1.0))
        assert stream_frames(server.url("later"), 1)[0][1] == file_hashes(path)[0]
