"""What goes wrong with one camera or one process stays there, and mends itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

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
)
from tests.cluster.system import CAMERAS, FAULTY, OTHERS, Stats, System

pytestmark = pytest.mark.ray

# Promised from the end of a fault to the camera's first picture, by the slot's own clock; how long
# it takes until a busy machine has told us is another matter.
BACK_WITHIN_S = 5.0

# What another camera's fault must never cause.
FOREIGN_DROPS = ("overload", "corrupt", "closed", "lost")


@pytest.fixture(autouse=True)
def _all_run(system: System) -> None:
    for camera in CAMERAS:
        system.server.clear(camera)
    for camera in CAMERAS:
        system.await_more_frames(camera)


def untouched(before: Stats, after: Stats) -> bool:
    return before["session"] == after["session"] and all(
        before["dropped"][reason] == after["dropped"][reason] for reason in FOREIGN_DROPS
    )


def await_back(system: System) -> None:
    """End the fault; the camera runs since long before, or again within what is promised."""
    ended_at = time.time()
    system.server.clear(FAULTY)
    stats = system.await_more_frames(FAULTY)
    assert stats["since"] - ended_at <= BACK_WITHIN_S, stats


def check_others(system: System, before: dict[str, Stats]) -> None:
    for camera in OTHERS:
        after = system.await_more_frames(camera)
        assert untouched(before[camera], after), (before[camera], after)


def stats_of(system: System, cameras: tuple[str, ...]) -> dict[str, Stats]:
    return {camera: system.stats(camera) for camera in cameras}


OUTAGES: list[tuple[Fault, set[str]]] = [
    (Stall(), {"stalled", "timeout"}),
    (Down(), {"disconnected", "refused", "invalid", "timeout", "unreachable"}),
    (NotFound(), {"not_found", "disconnected"}),
    (Unauthorized(), {"unauthorized", "disconnected"}),
    (Mute(), {"timeout", "stalled", "invalid"}),
]


@pytest.mark.parametrize(
    ("fault", "reasons"), OUTAGES, ids=[type(fault).__name__ for fault, _ in OUTAGES]
)
def test_an_outage_is_shown_with_its_reason_and_ends_with_the_fault(
    system: System, fault: Fault, reasons: set[str]
) -> None:
    before = stats_of(system, OTHERS)
    system.server.inject(FAULTY, fault)
    away = system.await_stats(
        FAULTY, lambda s: s["state"] in ("reconnecting", "connecting") and s["reason"] in reasons
    )
    assert away["message"]
    await_back(system)
    check_others(system, before)


def test_a_reset_connection_is_opened_again(system: System) -> None:
    before = stats_of(system, CAMERAS)
    reset_at = time.time()
    system.server.inject(FAULTY, Reset())
    after = system.await_stats(
        FAULTY, lambda s: s["session"] > before[FAULTY]["session"] and s["state"] == "running"
    )
    assert after["since"] - reset_at <= BACK_WITHIN_S
    assert after["reconnects"] > before[FAULTY]["reconnects"]
    check_others(system, before)


DEGRADATIONS: list[Callable[[System], Fault]] = [
    lambda _: Jitter(300),
    lambda _: TimestampJump(3600),
    lambda _: TimestampJump(-3600),
    lambda system: ResolutionChange(system.small_clip),
]


@pytest.mark.parametrize(
    "make", DEGRADATIONS, ids=["jitter", "jump forward", "jump back", "resolution"]
)
def test_a_camera_that_behaves_badly_goes_on_being_watched(
    system: System, make: Callable[[System], Fault]
) -> None:
    before = stats_of(system, OTHERS)
    system.server.inject(FAULTY, make(system))
    system.await_more_frames(FAULTY)
    await_back(system)
    check_others(system, before)


def test_lost_packets_cost_pictures_and_not_the_camera(system: System) -> None:
    before = stats_of(system, CAMERAS)
    system.server.inject(FAULTY, Loss(0.2))

    def damage(stats: Stats) -> int:
        return int(stats["decode_errors"] + stats["dropped"]["corrupt"])

    system.await_stats(FAULTY, lambda s: damage(s) > damage(before[FAULTY]))
    await_back(system)
    check_others(system, before)


def test_a_change_of_size_is_seen_by_the_model(system: System) -> None:
    system.server.inject(FAULTY, ResolutionChange(system.small_clip))
    system.await_stats(FAULTY, lambda s: s["source"]["width"] == 320)
    system.server.clear(FAULTY)
    system.await_stats(FAULTY, lambda s: s["source"]["width"] == 640)


@pytest.mark.parametrize("actor", ["ingest-0", "engine", "analytics-0"])
def test_streams_run_again_after_an_actor_is_killed_and_the_ledger_says_what_was_lost(
    system: System, actor: str
) -> None:
    before = stats_of(system, CAMERAS)
    pid = system.kill(actor)
    for camera in CAMERAS:
        after = system.await_stats(
            camera, lambda s, c=camera: s["analysed"] > before[c]["analysed"] + 4, 15.0
        )
        assert after["decoded"] >= before[camera]["decoded"]
    assert system.pid(actor) != pid
    for camera in CAMERAS:
        stats = system.stats(camera)
        ended = stats["inferred"] + sum(stats["dropped"].values()) + stats["in_flight"]
        assert stats["decoded"] == ended


def test_cameras_stay_open_while_the_engine_is_started_again(system: System) -> None:
    before = stats_of(system, CAMERAS)
    system.kill("engine")
    for camera in CAMERAS:
        after = system.await_stats(
            camera, lambda s, c=camera: s["inferred"] > before[c]["inferred"] + 2
        )
        assert after["session"] == before[camera]["session"]
