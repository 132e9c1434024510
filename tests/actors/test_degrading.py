"""What ingest and the scheduler report: whether time is short, and whose decoders are."""

from __future__ import annotations

from actors.inference.degrading import Degrading
from actors.inference.overload import LadderConfig
from actors.inference.policy import Drop, SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.messages import DegradeStep, DropReason, StreamQos, SubmitRequest, Ticket
from actors.specs import QosSpec
from engines.frames import Picture

TICKET = Ticket("gate", 1, 0, 0, Picture(64, 36), (64, 36), 0.0, 0.0, 0.0, 1.0, 0.0)


def second(degrading: Degrading, now: float, *, taken: int, given_up: int = 0) -> bool:
    """A second of frames that ends now; whether time is short then."""
    degrading.take(SubmitRequest("ingest-0", 1, (TICKET,) * taken, num_given_up=given_up))
    return degrading.is_short(now)


def test_time_is_short_for_a_second_after_one_in_which_frames_were_given_up() -> None:
    degrading = Degrading(LadderConfig())
    assert not second(degrading, 10.0, taken=100)
    assert second(degrading, 11.0, taken=100, given_up=5)
    assert degrading.is_short(11.9)
    assert not second(degrading, 12.0, taken=100)


def test_one_frame_in_a_hundred_may_be_given_up_and_what_is_closed_counts_for_nothing() -> None:
    degrading = Degrading(LadderConfig())
    degrading.is_short(10.0)
    for reason in (DropReason.CLOSED, DropReason.CLOSED, DropReason.SUPERSEDED):
        degrading.count_drop(Drop(TICKET, reason))
    assert not second(degrading, 11.0, taken=100)
    for _ in range(2):
        degrading.count_drop(Drop(TICKET, DropReason.DEADLINE))
    assert second(degrading, 12.0, taken=100)


def test_an_ingest_actor_whose_decoders_are_behind_holds_back_some_of_its_own_streams() -> None:
    degrading, scheduler = Degrading(LadderConfig()), Scheduler(SchedulerConfig((1,)))
    steps: dict[str, DegradeStep] = {}
    held: list[set[str]] = []
    for second in range(24):
        for ingest, lag_s in (("a", 0.2 * second), ("b", 0.0)):
            opened = tuple(StreamQos(f"{ingest}{n}", QosSpec()) for n in range(8 * (second == 0)))
            degrading.take(SubmitRequest(ingest, 1, (), opened, decode_lag_s=lag_s))
            degrading.decide(scheduler, 100.0 + second)
            steps.update((told.stream, told.step) for told in degrading.take_steps(ingest))
        held.append({name for name, step in steps.items() if step is DegradeStep.KEY_FRAMES})
    assert held[16] == set()
    assert len(held[-1]) == degrading.status(124.0, 0.0).num_held == 1
    assert held[-1] <= {f"a{n}" for n in range(8)}
