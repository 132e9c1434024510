"""Which changes of streams people are told of: each once, also over a restart, and no storms."""

from __future__ import annotations

from actors.analytics.stream_state import StateChange
from actors.messages import DegradeStep, StreamState
from cluster.registry import StreamStatus
from cluster.slot.changes import StateWatch
from tests.cluster.builders import stream_status

CONNECTING = stream_status(state=StreamState.CONNECTING, since=3.0, token=7)
RUNNING = stream_status(state=StreamState.RUNNING, since=4.0, token=7)
RECONNECTING = stream_status(
    state=StreamState.RECONNECTING,
    since=9.0,
    token=7,
    reason="timeout",
    message="rtsp://admin:hunter2@10.0.0.1/x: no answer",
)
DEGRADED = RUNNING.model_copy(update={"degrade_step": DegradeStep.CAPPED, "updated_at": 20.0})


def watching(last: StreamStatus | None = None) -> StateWatch:
    watch = StateWatch()
    watch.begin(["gate"], {} if last is None else {"gate": last})
    return watch


def tell(watch: StateWatch, status: StreamStatus, now: float) -> list[StateChange]:
    """The changes to this status, which are handed on."""
    changes = watch.changes({"gate": status}, now)
    for change in changes:
        watch.told(change.stream, status, now)
    return changes


def test_each_change_is_told_once_with_what_was_before() -> None:
    watch = watching()
    found = [
        change
        for now, status in enumerate([CONNECTING, CONNECTING, RUNNING, RUNNING, RECONNECTING])
        for change in tell(watch, status, now)
    ]
    assert [(c.previous, c.state, c.at) for c in found] == [
        (None, StreamState.CONNECTING, 3.0),
        (StreamState.CONNECTING, StreamState.RUNNING, 4.0),
        (StreamState.RUNNING, StreamState.RECONNECTING, 9.0),
    ]
    assert found[-1].reason == "timeout"
    assert "hunter2" not in found[-1].message
    assert len({c.session for c in found}) == 3


def test_a_degrade_step_is_told_too_with_the_time_at_which_it_was_seen() -> None:
    watch = watching()
    tell(watch, RUNNING, 0.0)
    (change,) = tell(watch, DEGRADED, 5.0)
    assert (change.state, change.previous) == (StreamState.RUNNING, StreamState.RUNNING)
    assert (change.step, change.previous_step) == (DegradeStep.CAPPED, DegradeStep.NONE)
    assert change.at == 20.0


def test_a_new_slot_does_not_repeat_what_the_one_before_has_told() -> None:
    watch = watching(last=RUNNING)
    again = RUNNING.model_copy(update={"token": 8, "since": 30.0, "slot": "slot-b"})
    assert tell(watch, again, 0.0) == []
    (change,) = tell(watch, RECONNECTING, 1.0)
    assert change.previous is StreamState.RUNNING


def test_a_camera_that_flaps_is_told_of_once_a_second() -> None:
    watch = watching()
    states = [RUNNING, RECONNECTING] * 50
    told = [tell(watch, status, number / 10) for number, status in enumerate(states)]
    assert 9 <= sum(map(len, told)) <= 10


def test_what_could_not_be_handed_on_is_found_again_under_the_same_name() -> None:
    watch = watching()
    (first,) = watch.changes({"gate": RUNNING}, 0.0)
    (again,) = watch.changes({"gate": RUNNING}, 0.5)
    assert first == again


def test_a_stream_that_is_no_longer_watched_is_not_told_of() -> None:
    watch = watching()
    watch.end("gate")
    assert watch.changes({"gate": RUNNING}, 0.0) == []
