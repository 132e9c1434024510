"""What this machine decodes is really measured, once, and comes from the cache afterwards."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from actors.errors import DecodeMeasurementError
from actors.ingest import benchmark
from actors.ingest.decode_cost import (
    ASSUMED_MPX_S,
    PICTURE_PX,
    DecodeCapacity,
    cost_mpx_s,
    full_hd_fps,
)
from actors.ingest.measuring import cpu_name, decode_capacity, measure_apart
from engines.cuda.context import device_works


class Counted:
    """Gives a figure and counts how often it was asked for."""

    def __init__(self, fps: float = 400.0) -> None:
        self.fps = fps
        self.asked: list[tuple[str, int]] = []

    def __call__(self, decoder: str, num_cores: int) -> float:
        self.asked.append((decoder, num_cores))
        return self.fps


def test_the_film_is_whole_and_begins_with_its_only_key_frame() -> None:
    decoder, packets = benchmark._opened("cpu", benchmark.film((240, 120), num_pictures=10))
    assert [packet.is_keyframe for packet in packets] == [True] + [False] * 9
    pictures = [each.frame for packet in packets for each in decoder.decode(packet)]
    assert {(picture.width, picture.height) for picture in pictures} == {(240, 120)}
    assert len(pictures) >= 9
    assert decoder.num_errors == 0


def test_a_real_measurement_on_two_threads_finds_a_rate() -> None:
    found = benchmark.measure("cpu", 2, duration_s=0.05)
    assert found.decoder == "cpu"
    assert 0 < found.full_hd_fps < math.inf


def test_what_was_measured_apart_comes_from_the_cache_the_second_time(tmp_path: Path) -> None:
    again = Counted()
    first = decode_capacity("cpu", 1, folder=tmp_path, measure=measure_apart)
    second = decode_capacity("cpu", 1, folder=tmp_path, measure=again)
    assert 0 < first.full_hd_fps < math.inf
    assert (first.decoder, first.device, first.num_cores) == ("cpu", cpu_name(), 1)
    assert (second, again.asked) == (first, [])


def test_another_number_of_cores_is_measured_by_itself(tmp_path: Path) -> None:
    measure = Counted()
    for num_cores in (2, 4, 2):
        decode_capacity("cpu", num_cores, folder=tmp_path, measure=measure)
    assert measure.asked == [("cpu", 2), ("cpu", 4)]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"full_hd_fps": 0}', '{"full_hd_fps": NaN}'])
def test_a_damaged_cache_is_measured_again(tmp_path: Path, text: str) -> None:
    measure = Counted()
    decode_capacity("cpu", 2, folder=tmp_path, measure=measure)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert decode_capacity("cpu", 2, folder=tmp_path, measure=measure).full_hd_fps == 400.0
    assert len(measure.asked) == 2
    assert json.loads(file.read_text()) == {"full_hd_fps": 400.0}


def test_a_cache_that_cannot_be_written_changes_nothing_but_the_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    measure = Counted()
    for _ in range(2):
        assert decode_capacity("cpu", 2, folder=blocked, measure=measure).full_hd_fps == 400.0
    assert len(measure.asked) == 2


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(DecodeMeasurementError, match="measured: ValueError: invalid literal"):
        measure_apart("cpu", "many")  # type: ignore[arg-type]


@pytest.mark.skipif(device_works(), reason="there is a GPU")
def test_where_nvdec_does_not_work_the_cpu_is_measured(tmp_path: Path) -> None:
    measure = Counted()
    found = decode_capacity("nvdec", 2, folder=tmp_path, measure=measure)
    assert (found.decoder, measure.asked) == ("cpu", [("cpu", 2)])


@pytest.mark.gpu
@pytest.mark.skipif(not device_works(), reason="there is no GPU")
def test_nvdec_is_measured_and_does_more_than_one_core(tmp_path: Path) -> None:
    found = decode_capacity("nvdec", 1, folder=tmp_path)
    assert found.decoder == "nvdec"
    assert found.device
    assert decode_capacity("cpu", 1, folder=tmp_path).full_hd_fps < found.full_hd_fps < 1e5


def test_a_picture_costs_its_pixels_and_a_constant() -> None:
    assert cost_mpx_s(640, 360, 25.0) == pytest.approx(25 * (640 * 360 + PICTURE_PX) / 1e6)
    assert cost_mpx_s(1920, 1080, 25.0) == ASSUMED_MPX_S == pytest.approx(57.6)
    capacity = DecodeCapacity("cpu", "Some CPU", 2, 400.0)
    assert capacity.mpx_s == pytest.approx(400 * 2.304)
    assert full_hd_fps(capacity.mpx_s) == pytest.approx(400.0)
