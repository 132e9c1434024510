from __future__ import annotations

import functools
import http.server
import socket
import threading
import wave
from pathlib import Path

import av
import pytest

from actors.errors import SourceError
from actors.ingest.rtsp import RtspSource
from actors.ingest.source import FfmpegSource, open_source, probe
from cluster.demo.rtsp import Camera, Clip, RunningCameraServer
from cluster.demo.rtsp.faults import Down, Mute, NotFound, Reset, Unauthorized
from cluster.demo.rtsp.pattern import write_pattern

SECRET = "pa:ss/w@rd"
TINY = {"width": 128, "height": 96, "seconds": 1.0, "gop_size": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_pattern(folder / "h264.mp4", **TINY)
    write_pattern(folder / "h265.mp4", codec="libx265", **TINY)
    (folder / "with space#?.mp4").write_bytes((folder / "h264.mp4").read_bytes())
    return folder


@pytest.fixture(scope="module")
def server(folder):
    h264, h265 = Clip.open(folder / "h264.mp4"), Clip.open(folder / "h265.mp4")
    cameras = [
        Camera("h264", h264),
        Camera("h265", h265),
        Camera("tcp", h264, transports={"tcp"}),
        Camera("udp", h264, transports={"udp"}),
        Camera("locked", h264, username="user", password=SECRET),
        Camera("faulty", h264, username="user", password=SECRET),
    ]
    with RunningCameraServer(cameras) as server:
        yield server


@pytest.fixture(scope="module")
def web(folder):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def file_url(path: Path) -> str:
    return path.as_uri()


def first_packets(url: str, count: int, **options) -> int:
    source = open_source(url, **options)
    try:
        for number, packet in enumerate(source.packets(), 1):
            assert packet.size > 0
            if number == count:
                return number
    finally:
        source.close()
    raise AssertionError("the stream ended")


def error_of(url: str, **options) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_source(url, **options)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(("name", "codec"), [("h264", "h264"), ("h265", "hevc")])
@pytest.mark.parametrize("transport", ["auto", "tcp", "udp"])
def test_cameras_of_both_codings_open_over_each_transport(server, name, codec, transport):
    found = probe(server.url(name), transport=transport)
    assert (found.codec, found.width, found.height, found.fps) == (codec, 128, 96, 25)
    assert found.is_live
    assert found.duration_s is None
    assert first_packets(server.url(name), 8, transport=transport) == 8


@pytest.mark.parametrize(
    ("name", "transport", "kind"),
    [
        ("h264", "auto", RtspSource),
        ("h265", "tcp", RtspSource),
        ("h264", "udp", FfmpegSource),
        ("udp", "auto", FfmpegSource),
    ],
)
def test_ffmpeg_reads_what_the_lean_client_does_not(server, name, transport, kind):
    source = open_source(server.url(name), transport=transport)
    assert type(source) is kind
    assert next(source.packets()).size > 0
    source.close()


def test_a_camera_is_found_to_need_ffmpeg_once_and_named_in_the_log(folder, caplog):
    caplog.set_level("INFO")
    camera = Camera("late", Clip.open(folder / "h264.mp4"), transports={"udp"})
    with RunningCameraServer([camera]) as server:
        for _ in range(2):
            open_source(server.url("late")).close()
        named = f"rtsp://127.0.0.1:{server.port} answered with status 461"
    assert [named in record.getMessage() for record in caplog.records].count(True) == 1


@pytest.mark.parametrize("name", ["tcp", "udp"])
def test_auto_takes_the_transport_that_the_camera_has(server, name):
    assert first_packets(server.url(name), 3) == 3


@pytest.mark.parametrize(("name", "other"), [("tcp", "udp"), ("udp", "tcp")])
def test_a_transport_that_the_camera_lacks_is_named(server, name, other):
    error = error_of(server.url(name), transport=other)
    assert error.reason == "unsupported"
    assert "transport" in error.message


def test_a_camera_with_a_password_opens_with_it_and_not_without(server):
    assert first_packets(server.url("locked"), 3) == 3
    error = error_of(server.url("locked", with_credentials=False))
    assert error.reason == "unauthorized"
    assert not error.permanent


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (NotFound(), "not_found"),
        (Unauthorized(), "unauthorized"),
        (Down(), "disconnected"),
        (Mute(), "timeout"),
    ],
)
def test_a_camera_s_refusal_has_a_reason_and_is_not_for_good(server, fault, reason):
    server.inject("faulty", fault)
    error = error_of(server.url("faulty"), open_timeout_s=0.3)
    server.clear("faulty")
    assert (error.reason, error.permanent) == (reason, False)
    assert f"127.0.0.1:{server.port}" in error.message


def test_the_end_of_a_live_stream_is_a_disconnect(server):
    source = open_source(server.url("faulty"))
    packets = source.packets()
    next(packets)
    server.inject("faulty", Reset())
    with pytest.raises(SourceError) as caught:
        list(packets)
    source.close()
    assert caught.value.reason == "disconnected"
    assert SECRET not in str(caught.value)


def test_a_closed_port_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for scheme in ("rtsp", "http"):
            url = f"{scheme}://user:{SECRET.replace('/', '%2F').replace('@', '%40')}@127.0.0.1"
            error = error_of(f"{url}:{port}/cam?password={SECRET}")
            assert (error.reason, error.permanent) == ("refused", False)
            assert "user" not in error.message


def test_a_host_that_does_not_exist_cannot_be_reached():
    assert error_of("rtsp://no-such-host.invalid/cam").reason == "refused"


def test_a_file_ends_with_an_empty_packet(folder):
    source = open_source(file_url(folder / "h264.mp4"))
    sizes = [packet.size for packet in source.packets()]
    assert len(sizes) == 26
    assert [index for index, size in enumerate(sizes) if size == 0] == [25]
    source.rewind()
    assert sum(packet.size > 0 for packet in source.packets()) == 25
    source.close()


def test_a_file_says_how_long_it_is(folder):
    found = probe(file_url(folder / "with space#?.mp4"))
    assert (found.is_live, found.duration_s) == (False, pytest.approx(1.0, abs=0.05))


def test_a_file_on_the_web_ends_like_a_file(web):
    found = probe(f"{web}/h264.mp4")
    assert (found.is_live, found.duration_s) == (False, pytest.approx(1.0, abs=0.05))
    source = open_source(f"{web}/h264.mp4")
    assert len(list(source.packets())) == 26
    source.close()


def test_a_missing_page_is_not_found_and_may_come_back(web):
    error = error_of(f"{web}/none.mp4")
    assert (error.reason, error.permanent) == ("not_found", False)


def sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    return path


def cover(path: Path) -> Path:
    """Music with a picture of its cover."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=8000, layout="mono")
        picture = container.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 8000
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        container.mux(picture.encode(av.VideoFrame(64, 64, "yuvj420p")) + picture.encode(None))
        container.mux(audio.encode(frame) + audio.encode(None))
    return path


def truncated(path: Path, whole: Path) -> Path:
    path.write_bytes(whole.read_bytes()[:500])
    return path


def test_bad_files_are_refused_for_good_with_the_reason(folder, tmp_path):
    (tmp_path / "text.mp4").write_text("no video here")
    (tmp_path / "empty.mp4").touch()
    wanted = {
        sound(tmp_path / "sound.wav"): "no_video",
        cover(tmp_path / "cover.mp4"): "no_video",
        tmp_path / "text.mp4": "invalid",
        tmp_path / "empty.mp4": "invalid",
        truncated(tmp_path / "half.mp4", folder / "h264.mp4"): "invalid",
        tmp_path / "none.mp4": "not_found",
        tmp_path: "invalid",
    }
    for path, reason in wanted.items():
        error = error_of(file_url(path))
        assert (error.reason, error.permanent) == (reason, True), path
        assert str(path) in error.message


def test_a_file_may_not_lead_to_other_files_or_hosts(folder, tmp_path):
    playlist = tmp_path / "list.m3u8"
    lines = ["#EXTM3U", "#EXTINF:1,", "http://127.0.0.1:9/x.ts", "#EXT-X-ENDLIST"]
    playlist.write_text("\n".join(lines))
    assert error_of(file_url(playlist)).permanent


def test_a_playlist_on_the_web_may_not_lead_to_local_files(folder, web):
    lines = ["#EXTM3U", "#EXTINF:1,", file_url(folder / "h264.mp4"), "#EXT-X-ENDLIST"]
    (folder / "list.m3u8").write_text("\n".join(lines))
    error_of(f"{web}/list.m3u8")
