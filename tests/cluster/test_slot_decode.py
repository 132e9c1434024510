"""A slot's decoding: what its streams take, and what its decoder does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import RayActorError

from actors.ingest.decode_cost import DecodeCapacity, cost_mpx_s
from actors.ingest.properties import SourceProperties
from actors.ingest.status import IngestStatus
from actors.ingest.status import StreamStatus as CameraStatus
from actors.messages import DegradeStep, StreamState
from cluster.placement import decode_limit_mpx_s
from cluster.slot.child import Child
from cluster.slot.decode_axis import DecodeAxis
from cluster.slot.decode_load import DecodeMeter, DecodeSpeed

SOURCE = SourceProperties("h264", 640, 360, 25.0, True, None)
RUNNING = CameraStatus("gate", StreamState.RUNNING, "", "", 5.0, SOURCE, 25.0, 1, 1)
OPENING = replace(RUNNING, state=StreamState.CONNECTING, properties=None, fps=0.0)
AT_25 = cost_mpx_s(640, 360, 25.0)
AT_12 = cost_mpx_s(640, 360, 12.0)


def watched(*cameras: CameraStatus, seconds: int = 20) -> DecodeMeter:
    """A meter that has seen each of these in turn, for so long."""
    meter = DecodeMeter()
    for number, camera in enumerate(cameras):
        for second in range(seconds):
            meter.observe(camera, number * seconds + second)
    return meter


def test_nothing_is_known_of_a_camera_that_is_being_opened() -> None:
    assert DecodeMeter().mpx_s is None
    assert watched(OPENING).mpx_s is None


def test_what_a_stream_took_elsewhere_counts_until_its_camera_is_open() -> None:
    meter = DecodeMeter(AT_12)
    meter.observe(OPENING, 0.0)
    assert meter.mpx_s == pytest.approx(AT_12)
    meter.observe(RUNNING, 1.0)
    assert meter.mpx_s == pytest.approx(AT_25)


@pytest.mark.parametrize("state", [StreamState.RECONNECTING, StreamState.FAILED])
def test_a_camera_that_never_opened_costs_nothing(state: StreamState) -> None:
    assert watched(replace(OPENING, state=state)).mpx_s == 0.0


def test_a_camera_that_is_away_for_a_while_keeps_its_cost() -> None:
    away = replace(RUNNING, state=StreamState.RECONNECTING, fps=0.0)
    assert watched(RUNNING, away).mpx_s == pytest.approx(AT_25)


def test_a_file_that_has_ended_costs_nothing() -> None:
    assert watched(RUNNING, replace(RUNNING, state=StreamState.ENDED)).mpx_s == 0.0


def test_a_source_counts_with_what_it_says_or_with_more_that_it_sends() -> None:
    fewer, more = replace(RUNNING, fps=12.0), replace(RUNNING, fps=50.0)
    assert watched(fewer).mpx_s == pytest.approx(AT_25)
    assert watched(more, seconds=1).mpx_s == pytest.approx(AT_25)
    assert watched(more).mpx_s == pytest.approx(2 * AT_25)


def test_a_camera_that_sends_less_at_times_keeps_its_room_until_it_is_opened_anew() -> None:
    mute = replace(RUNNING, properties=replace(SOURCE, fps=None))
    fewer = replace(mute, fps=12.0)
    assert watched(mute, fewer).mpx_s == pytest.approx(AT_25)
    assert watched(mute, fewer, replace(fewer, session=2)).mpx_s == pytest.approx(AT_12)


@pytest.mark.parametrize("fps", [None, 0.0, 90_000.0])
def test_a_source_that_says_nothing_plausible_is_taken_for_25_fps(fps: float | None) -> None:
    silent = replace(RUNNING, properties=replace(SOURCE, fps=fps))
    assert watched(silent, seconds=1).mpx_s == pytest.approx(AT_25)


@pytest.mark.parametrize(
    "held",
    [
        {"decode_lag_s": 2.0},
        {"degrade_step": DegradeStep.KEY_FRAMES},
        {"degrade_step": DegradeStep.PAUSED, "fps": 0.0},
    ],
)
def test_a_stream_that_is_late_or_degraded_asks_for_no_less(held: dict[str, Any]) -> None:
    slow = replace(RUNNING, **{"fps": 3.0, **held})
    assert watched(RUNNING, slow).mpx_s == pytest.approx(AT_25)


def test_another_size_is_another_cost() -> None:
    large = replace(RUNNING, properties=replace(SOURCE, width=1920, height=1080))
    assert watched(RUNNING, large).mpx_s == pytest.approx(57.6)


def ingest(cpu_s: float, num: int, incarnation: str = "a") -> IngestStatus:
    cameras = tuple(replace(RUNNING, stream=f"cam{n}") for n in range(num))
    return IngestStatus("ingest-0", incarnation, True, 8, cameras, cpu_s=cpu_s)


@given(
    cores=st.integers(1, 64),
    ms=st.floats(0.1, 20.0),
    num=st.integers(1, 40),
    step_s=st.sampled_from([0.5, 1.0]),
)
def test_the_speed_is_the_work_that_all_cores_would_do_at_the_cost_that_was_seen(
    cores: int, ms: float, num: int, step_s: float
) -> None:
    speed = DecodeSpeed(cores)
    busy = num * 25.0 * ms / 1e3
    for tick in range(30):
        speed.observe([ingest(busy * tick * step_s, num)], tick * step_s)
    expected = cores * num * AT_25 / busy if busy >= 0.1001 * cores else None
    if expected is not None:
        assert speed.mpx_s == pytest.approx(expected, rel=1e-6)
    elif busy < 0.0999 * cores:
        assert speed.mpx_s == 0.0


def test_a_process_that_was_started_again_does_not_count_backwards() -> None:
    speed = DecodeSpeed(1)
    for tick in range(20):
        start, name = (0, "a") if tick < 10 else (10, "b")
        speed.observe([ingest(0.5 * (tick - start), 20, name)], float(tick))
    assert speed.mpx_s == pytest.approx(20 * AT_25 / 0.5)


def test_of_what_was_decoded_nothing_is_learned_while_nothing_is_decoded() -> None:
    speed = DecodeSpeed(1)
    for tick in range(20):
        speed.observe([ingest(0.9 * tick, 0)], float(tick))
    assert speed.mpx_s == 0.0


class Handle:
    """An ingest actor's handle: remembers what it was asked; answers are given by the test."""

    def __init__(self) -> None:
        self.decode_capacity = self
        self.asked: list[int] = []

    def remote(self, num_cores: int) -> str:
        self.asked.append(num_cores)
        return "question"


class Asked:
    """An axis, the child that it asks, and Ray's answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.axis = DecodeAxis(4)
        self.handle = Handle()
        self.child = Child("ingest-0", self.handle, lambda _: None)
        self.answer: Any = None
        monkeypatch.setattr(ray, "wait", lambda refs, **_: (refs if self.answer else [], refs))
        monkeypatch.setattr(ray, "get", self._get)

    def _get(self, _: object) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def follow(self, now: float, status: IngestStatus | None = None) -> None:
        self.child.status = status or ingest(0.0, 0)
        self.axis.follow([self.child], now)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def test_the_slot_asks_once_and_refuses_nothing_before_it_knows(asked: Asked) -> None:
    for now in range(5):
        asked.follow(float(now))
    assert (asked.axis.mpx_s, asked.axis.limit_mpx_s, asked.axis.decoder) == (0.0, 0.0, "")
    asked.answer = DecodeCapacity("cpu", "Some CPU", 4, 100.0)
    for now in range(5, 9):
        asked.follow(float(now))
    assert asked.handle.asked == [4]
    assert (asked.axis.decoder, asked.axis.full_hd_fps) == ("cpu", 100.0)
    assert asked.axis.mpx_s == pytest.approx(230.4)
    assert asked.axis.limit_mpx_s == pytest.approx(decode_limit_mpx_s(230.4), abs=0.05)


def test_an_actor_that_died_is_asked_again_after_a_while(asked: Asked) -> None:
    asked.answer = RayActorError()
    for now in range(59):
        asked.follow(float(now))
    assert len(asked.handle.asked) == 1
    asked.answer = DecodeCapacity("cpu", "Some CPU", 4, 100.0)
    for now in range(59, 65):
        asked.follow(float(now))
    assert (len(asked.handle.asked), asked.axis.full_hd_fps) == (2, 100.0)


@pytest.mark.parametrize(("decoder", "expected"), [("cpu", 4 * AT_25 / 0.1), ("nvdec", 2304.0)])
def test_on_a_cpu_the_cameras_own_pictures_count_more_than_the_clip_of_the_start(
    asked: Asked, decoder: str, expected: float
) -> None:
    asked.answer = DecodeCapacity(decoder, "Some device", 4, 1000.0)
    for now in range(12):
        asked.follow(float(now), ingest(2.0 * now, 20))
    assert asked.axis.mpx_s == pytest.approx(expected, abs=0.05)


def test_nvdec_does_at_least_what_it_was_seen_to_do(asked: Asked) -> None:
    asked.answer = DecodeCapacity("nvdec", "Some GPU", 4, 1.0)
    for now in range(12):
        asked.follow(float(now), ingest(0.0, 20))
    assert asked.axis.mpx_s == pytest.approx(20 * AT_25, abs=0.05)
    for now in range(12, 40):
        asked.follow(float(now), ingest(0.0, 2))
    assert asked.axis.mpx_s == pytest.approx(20 * AT_25, abs=0.05)


def test_an_answer_is_awaited_until_it_comes_or_takes_too_long(asked: Asked) -> None:
    asked.follow(0.0)
    asked.follow(14.0)
    assert asked.axis.is_awaited
    asked.follow(16.0)
    assert not asked.axis.is_awaited, "a slot must not wait for ever"


def test_nobody_waits_for_a_decoder_that_answered_or_cannot_be_measured(asked: Asked) -> None:
    asked.answer = RayActorError()
    asked.follow(0.0)
    asked.follow(1.0)
    assert not asked.axis.is_awaited
