"""Cameras in a process of their own: its commands, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from cluster.demo.rtsp import CameraProcess
from cluster.demo.rtsp.__main__ import main
from cluster.demo.rtsp.bench import measure_rtsp
from cluster.demo.rtsp.errors import CameraProcessError
from tests.cluster.builders import eventually
from tests.cluster.rtsp_builders import RtspSocket, open_stream, stream_frames, write_tiny

COMMAND = [sys.executable, "-m", "cluster.demo.rtsp"]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("clips") / "clip.mp4")


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_process_serves_obeys_and_counts(video: Path, tmp_path: Path) -> None:
    wide = write_tiny(tmp_path / "wide.mp4", width=320, height=192)
    with CameraProcess({"cam0": video, "cam1": video}) as process:
        camera = process.cameras["cam0"]
        assert (camera.fps, camera.duration_s) == (100.0, 0.25)
        assert 0 <= camera.position_s(camera.epoch + 12.35) == pytest.approx(0.1)
        process.inject("cam0", "not_found")
        with pytest.raises(av.error.HTTPNotFoundError):
            open_stream(camera.url)
        process.clear("cam0")
        process.inject("cam0", "resolution_change", clip=str(wide))
        with open_stream(camera.url) as container:
            assert container.streams.video[0].width == 320
        stats = process.stats()
        assert stats["cameras"]["cam0"]["num_frames_sent"] > 0
        assert stats["cameras"]["cam1"]["num_frames_sent"] == 0
        assert stats["cpu_s"] > 0
        pid = process.pid
    eventually(lambda: is_gone(pid))


def test_commands_that_make_no_sense_are_answered_and_harm_nothing(video: Path) -> None:
    with CameraProcess({"cam0": video}) as process:
        for camera, fault in (("cam9", "stall"), ("cam0", "explode")):
            with pytest.raises(CameraProcessError, match=r"cam0|none of"):
                process.inject(camera, fault)
        with pytest.raises(CameraProcessError, match="No such file"):
            process.inject("cam0", "resolution_change", clip="absent.mp4")
        assert stream_frames(process.cameras["cam0"].url, 1)


def test_a_line_that_is_no_command_gets_an_error(video: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--clip", f"cam={video}"],
        input='not json\n[]\n{"camera": 3}\n{}\n',
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    described, ready, *answers = (json.loads(text) for text in done.stdout.splitlines())
    assert described["camera"] == "cam"
    assert ready == {"ready": True}
    assert [list(answer) for answer in answers] == [["error"]] * 4


def test_credentials_are_asked_for_and_not_written(video: Path) -> None:
    with CameraProcess({"cam": video}, credentials=("ann", "secret")) as process:
        url = process.cameras["cam"].url
        assert "secret" not in url
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"secret" not in command
        with RtspSocket(url) as client:
            assert client.ask("DESCRIBE").status == 401
        assert stream_frames(url.replace("//", "//ann:secret@"), 1)


def test_a_signal_ends_the_process_cleanly(video: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--clip", f"cam={video}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells of a parent's death")
def test_the_process_dies_with_its_parent_though_its_input_stays_open(video: Path) -> None:
    read_end, write_end = os.pipe()
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({[*COMMAND, '--clip', f'cam={video}']!r}, stdin={read_end},\n"
        "    stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); child.stdout.readline()\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, pass_fds=[read_end]
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        eventually(lambda: is_gone(pid))
    os.close(read_end)
    os.close(write_end)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip", "cam=absent.mp4"], "No such file"),
        (["--clip", "absent.mp4"], "write NAME=FILE"),
    ],
)
def test_what_cannot_be_served_is_said_and_ends_with_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_process_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CameraProcessError, match="ended"), CameraProcess({"cam": tmp_path}):
        pass


def test_another_codec_is_transcoded_where_a_folder_for_it_is_given(tmp_path: Path) -> None:
    old = write_tiny(tmp_path / "old.avi", codec="mpeg4")
    with CameraProcess({"cam": old}, cache_dir=tmp_path / "cache") as process:
        assert stream_frames(process.cameras["cam"].url, 1)


def test_the_benchmark_measures_every_camera() -> None:
    result = measure_rtsp(num_cameras=2, seconds=0.5)
    assert result["cameras"] == 2
    assert result["cpu_percent_per_camera"] >= 0
    assert result["fps_min"] > 0
