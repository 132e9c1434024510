"""The lean RTSP client gives what FFmpeg's demuxer gives, over our real server."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actors.errors import SourceError
from actors.ingest.decoder import CpuDecoder, Decoded
from actors.ingest.rtsp import RtspSource, UnfamiliarError, is_unfamiliar, open_camera, remember
from actors.ingest.source import FfmpegSource, open_with_ffmpeg
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.faults import Loss, Mute, Reset, Stall, TimestampJump
from cluster.demo.rtsp.pattern import write_pattern
from tests.actors.builders import eventually

TINY = {"width": 128, "height": 96, "seconds": 1.0, "gop_size": 5}
CODINGS = {
    "h264": {"codec": "libx264"},
    "h265": {"codec": "libx265"},
    "h264-b": {"codec": "libx264", "num_b_frames": 2, "gop_size": 10},
    "h265-b": {"codec": "libx265", "num_b_frames": 2, "gop_size": 10},
    "large": {"codec": "libx264", "width": 1280, "height": 720, "bit_rate": 40_000_000},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Clip]:
    folder = tmp_path_factory.mktemp("clips")
    for name, options in CODINGS.items():
        write_pattern(folder / f"{name}.mp4", **{**TINY, **options})
    return {name: Clip.open(folder / f"{name}.mp4") for name in CODINGS}


@pytest.fixture(scope="module")
def server(clips):
    cameras = [Camera(name, clip) for name, clip in clips.items()]
    cameras += [Camera("locked", clips["h264"], "user", 'pa"ss\\w:örd')]
    with RunningCameraServer(cameras, session_timeout_s=1) as server:
        yield server


def opened(url: str, read_timeout_s: float = 3.0) -> RtspSource:
    return open_camera(url, open_timeout_s=3.0, read_timeout_s=read_timeout_s)


def by_ffmpeg(url: str) -> FfmpegSource:
    return open_with_ffmpeg(url, "tcp", (3.0, 3.0))


def decoded(source: RtspSource | FfmpegSource, num: int) -> list[Decoded]:
    decoder = CpuDecoder(source.codec_context, 0.04)
    pictures = (p for packet in source.packets() for p in decoder.decode(packet))
    found = list(itertools.islice(pictures, num))
    source.close()
    assert decoder.num_errors == 0
    return found


@pytest.mark.parametrize("name", CODINGS)
def test_pictures_are_those_that_ffmpeg_reads_to_the_last_pixel(server, name):
    ours, theirs = (decoded(open_(server.url(name)), 30) for open_ in (opened, by_ffmpeg))
    assert not any(picture.is_corrupt for picture in ours)
    assert [p.frame.key_frame for p in ours][:1] == [True]
    assert np.diff([p.pts_s for p in ours]) == pytest.approx(0.04)
    shown = {picture.frame.to_ndarray().tobytes() for picture in ours}
    assert shown == {picture.frame.to_ndarray().tobytes() for picture in theirs}
    assert len(shown) > 10


@pytest.mark.parametrize("name", CODINGS)
def test_properties_and_decoder_are_those_that_ffmpeg_finds(server, name):
    ours, theirs = opened(server.url(name)), by_ffmpeg(server.url(name))
    assert ours.properties == theirs.properties
    assert ours.is_paced == theirs.is_paced
    for attribute in ("name", "pix_fmt", "has_b_frames", "is_open", "width", "height"):
        found = getattr(ours.codec_context, attribute)
        assert found == getattr(theirs.codec_context, attribute), attribute
    assert ours.codec_context.extradata
    ours.close()
    theirs.close()


def steps_by_content(source: RtspSource | FfmpegSource) -> dict[bytes, int]:
    """For the pictures of a loop, the time from the one before, since each session begins anew."""
    packets = list(itertools.islice(source.packets(), 28))
    source.close()
    return {
        bytes(packet).rstrip(b"\0"): packet.pts - before.pts
        for before, packet in itertools.pairwise(packets[1:])
    }


@pytest.mark.parametrize("name", CODINGS)
def test_packets_hold_and_are_stamped_as_ffmpeg_has_it(server, name):
    ours, theirs = (steps_by_content(open_(server.url(name))) for open_ in (opened, by_ffmpeg))
    common = ours.keys() & theirs.keys()
    assert len(common) >= 22
    assert all(ours[content] == theirs[content] for content in common)


@pytest.mark.parametrize("name", CODINGS)
def test_packets_say_when_they_are_decoded_and_where_to_begin(server, name):
    packets = list(itertools.islice(opened(server.url(name)).packets(), 15))
    assert {packet.time_base for packet in packets} == {Fraction(1, 90_000)}
    assert packets[0].is_keyframe
    assert 2 <= sum(packet.is_keyframe for packet in packets) <= 3
    assert all(packet.dts <= packet.pts for packet in packets)
    assert all(a.dts <= b.dts for a, b in itertools.pairwise(packets))
    assert not any(packet.is_corrupt for packet in packets)


def test_a_jump_of_the_timestamps_shows_in_pts_in_either_direction(server):
    packets = opened(server.url("h264-b")).packets()
    before = next(packets).pts
    for seconds in (3600, -7200):
        server.inject("h264-b", TimestampJump(seconds))
        jumped = next(p.pts for p in packets if abs(p.pts - before) > 3000 * 90_000)
        assert jumped - before == pytest.approx(seconds * 90_000, abs=3 * 90_000)
        before = jumped
    assert next(packets).dts is not None


def test_a_camera_with_a_password_of_any_characters_opens(server):
    assert len(decoded(opened(server.url("locked")), 3)) == 3
    with pytest.raises(SourceError) as caught:
        opened(server.url("locked", with_credentials=False))
    assert caught.value.reason == "unauthorized"


def test_a_session_outlives_its_time_out_by_being_kept_alive(server):
    packets = list(itertools.islice(opened(server.url("h264")).packets(), 55))
    assert len(packets) == 55  # 2.2 s, where the server ends silent sessions after one


@pytest.mark.parametrize("name", ["h264", "h265", "h264-b", "h265-b"])
def test_lost_packets_mark_what_they_damage_and_pictures_come_still(server, name):
    server.inject(name, Loss(0.2))
    source = opened(server.url(name))
    decoder, corrupt, num = CpuDecoder(source.codec_context, 0.04), 0, 0
    for packet in itertools.islice(source.packets(), 80):
        corrupt += packet.is_corrupt
        num += len(decoder.decode(packet))
    source.close()
    server.clear(name)
    assert corrupt > 5
    assert num > 10


def test_as_many_pictures_are_corrupt_for_lost_packets_as_with_ffmpeg(server):
    shares = []
    for open_ in (opened, by_ffmpeg):
        server.inject("large", Loss(0.002))
        source = open_(server.url("large"))
        decoder = CpuDecoder(source.codec_context, 0.04)
        packets = itertools.islice(source.packets(), 50)
        flags = [p.is_corrupt for packet in packets for p in decoder.decode(packet)]
        shares.append(sum(flags) / len(flags))
        source.close()
    server.clear("large")
    assert shares[0] == pytest.approx(shares[1], abs=0.35)


def test_the_end_of_a_stream_is_a_disconnect(server):
    source = opened(server.url("h264"))
    packets = source.packets()
    next(packets)
    server.inject("h264", Reset())
    with pytest.raises(SourceError) as caught:
        list(packets)
    assert caught.value.reason == "disconnected"
    assert not caught.value.permanent
    source.close()


def test_silence_ends_in_time_even_while_the_session_is_kept_alive(server):
    source = opened(server.url("h264"), read_timeout_s=0.8)
    packets = source.packets()
    next(packets)
    server.inject("h264", Stall())
    with pytest.raises(SourceError) as caught:
        list(packets)
    server.clear("h264")
    source.close()
    assert caught.value.reason == "timeout"


def test_a_mute_camera_is_given_up_in_time(server):
    server.inject("h264", Mute())
    with pytest.raises(SourceError) as caught:
        open_camera(server.url("h264"), open_timeout_s=0.2, read_timeout_s=3.0)
    server.clear("h264")
    assert caught.value.reason == "timeout"


def test_closing_frees_a_thread_that_waits_for_a_picture(server):
    source = opened(server.url("h264"), read_timeout_s=60.0)
    ends: list[SourceError] = []

    def play() -> None:
        try:
            list(source.packets())
        except SourceError as error:
            ends.append(error)

    server.inject("h264", Stall())
    thread = threading.Thread(target=play)
    thread.start()
    time.sleep(0.1)
    source.close()
    source.close()
    thread.join(5.0)
    server.clear("h264")
    assert [error.reason for error in ends] == ["disconnected"]


def test_closing_tells_the_camera(server):
    source = opened(server.url("h265"))
    eventually(lambda: server.counters("h265").num_clients == 1)
    source.close()
    eventually(lambda: server.counters("h265").num_clients == 0)


def test_a_camera_cannot_be_played_again(server):
    source = opened(server.url("h264"))
    with pytest.raises(SourceError):
        source.rewind()
    source.close()


def test_a_camera_that_is_left_to_ffmpeg_is_named_in_the_log_without_its_password(caplog):
    caplog.set_level("INFO")
    url = "rtsp://user:secret@camera.example/one"
    assert not is_unfamiliar(url)
    remember(url, UnfamiliarError("offers 2 videos"))
    assert is_unfamiliar(url)
    assert not is_unfamiliar(url + "/other")
    assert [record.getMessage() for record in caplog.records] == [
        "rtsp://camera.example offers 2 videos: FFmpeg reads it, at a higher cost"
    ]


def test_pictures_come_without_waiting_for_the_next_one(tmp_path: Path):
    write_pattern(tmp_path / "slow.mp4", **{**TINY, "fps": 2, "seconds": 4.0, "gop_size": 2})
    with RunningCameraServer([Camera("slow", Clip.open(tmp_path / "slow.mp4"))]) as server:
        source = opened(server.url("slow"))
        num_sent = [
            server.counters("slow").num_frames_sent
            for _ in zip(range(4), source.packets(), strict=False)
        ]
        source.close()
    assert num_sent[:4] == [1, 2, 3, 4]
