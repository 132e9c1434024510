"""The comparison of decoders, with FFmpeg on the CPU in the place of the GPU's."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from cluster.bench.gpu import decoder_pictures, decoder_windows, decoders
from cluster.bench.gpu.decoder_films import camera_film, hard_films
from cluster.bench.gpu.decoder_windows import Window, run_windows
from cluster.demo.rtsp.pattern import write_pattern
from engines.cuda.stand_in import HostMemory
from tests.actors.nvcuvid_stand_in import Anywhere, StandIn
from tests.actors.test_nvcuvid import Ffmpeg


@pytest.fixture(autouse=True)
def gpu(monkeypatch) -> None:
    library = StandIn().library()
    monkeypatch.setattr("actors.ingest.nvcuvid.stream.load_library", lambda: library)
    monkeypatch.setattr("actors.ingest.nvcuvid.stream.CurrentContext", lambda _: Anywhere())
    monkeypatch.setattr("engines.cuda.pool._cuda_memory", lambda: HostMemory)
    monkeypatch.setattr(type(library), "hold", lambda *_: None)
    monkeypatch.setattr(decoder_windows, "load_library", lambda: library)
    monkeypatch.setattr(decoder_windows, "nvdec_fault", str)
    monkeypatch.setattr(decoder_windows, "_ready", threading.Barrier(1))
    monkeypatch.setitem(decoder_windows._KINDS, "ffmpeg", Ffmpeg)
    monkeypatch.setattr(decoder_pictures, "NvdecDecoder", Ffmpeg)
    monkeypatch.setattr(
        decoder_pictures,
        "downloaded",
        lambda address, size: np.frombuffer(ctypes.string_at(address, size), np.uint8).copy(),
    )


def test_windows_follow_each_other_and_count_pictures_calls_and_processor_time(tmp_path, capsys):
    film = tmp_path / "film.ts"
    write_pattern(film, width=64, height=64, fps=30, seconds=1.0)
    fast = decoders.windows(None, 0.1, ["poll+poll"])
    todo = [*fast, Window("nothing", "none", 20, 0.5), Window("paced", "nvcuvid", 20, 0.5)]
    rows = [
        decoders.merged(window, [part])
        for window, part in zip(todo, run_windows(film, 2, (0, 1), todo), strict=True)
    ]
    names = [(row["name"], row["is_timed"]) for row in rows]
    assert names[:2] == [("ffmpeg", False), ("poll+poll", False)]
    assert all(row["fps"] > 0 and row["mean_ms"] > 0 for row in rows[: len(fast)])
    assert rows[-1]["fps"] == pytest.approx(40, rel=0.2)
    timed = next(row for row in rows if row["is_timed"] and row["name"] == "poll+poll")
    assert timed["calls"]["map_frame"][0] == timed["calls"]["parse"][0] == 1
    assert not rows[1]["calls"]
    decoders.show("some", {"rows": rows, "took_s": 1.0})
    decoders.summarize({"pictures": {}, "some": {"rows": rows}})
    assert "some: ffmpeg" in capsys.readouterr().out


def test_decoders_that_agree_are_found_to_and_those_that_do_not_are_not(tmp_path, monkeypatch):
    films = [film for film in hard_films(tmp_path) if "changing" in film.name]
    monkeypatch.setattr(decoder_pictures, "camera_film", lambda _: films[0])
    monkeypatch.setattr(decoder_pictures, "hard_films", lambda _: films)
    found = decoder_pictures.compare_pictures(tmp_path)
    assert set(found) == {film.name for film in films} | {f"{films[0].name}, damaged"}
    whole = [each for name, each in found.items() if "damaged" not in name]
    assert {(*each["pictures"], each["different"]) for each in whole} == {(100, 100, 0)}


def test_the_cameras_film_has_start_codes(tmp_path):
    film = camera_film(tmp_path / "camera.ts")
    stream, packets = decoder_windows.packets_of(film)
    assert (stream.width, stream.height, len(packets)) == (1920, 1080, 60)
    assert all(bytes(packet).startswith((b"\0\0\1", b"\0\0\0\1")) for packet in packets)


def test_what_fails_leaves_the_other_parts_their_figures():
    found = decoders.apart(divmod, 1, 0)
    assert "ZeroDivisionError" in found["error"]
