from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from actors.ingest.backoff import Backoff, RetryPolicy


def delays(backoff: Backoff, num: int, lived_s: float = 0.0, now: float = 0.0) -> list[float]:
    found = []
    for _ in range(num):
        found.append(backoff.delay_s(now, lived_s))
        now += lived_s + found[-1]
    return found


def test_delays_double_up_to_the_cap():
    found = delays(Backoff(Random(1)), 8)
    for delay, nominal in zip(found, [0.25, 0.5, 1, 2, 2, 2, 2, 2], strict=True):
        assert nominal / 2 <= delay <= nominal


def test_cameras_that_fail_together_do_not_come_back_together():
    assert len({Backoff(Random(seed)).delay_s(0.0) for seed in range(20)}) == 20


def test_a_fault_of_a_minute_never_waits_longer_than_the_cap():
    backoff, now = Backoff(Random(2)), 0.0
    while now < 60:
        delay = backoff.delay_s(now)
        assert delay <= 2.0
        now += delay


def test_a_camera_that_keeps_failing_is_tried_ever_less_up_to_the_guard():
    found = delays(Backoff(Random(3)), 80)
    assert 15 <= found[-1] <= 30
    assert max(found) <= 30


def test_a_crash_loop_of_short_sessions_is_guarded_too():
    assert delays(Backoff(Random(4)), 60, lived_s=4.0)[-1] >= 15


def test_a_healthy_session_forgets_all_failures():
    backoff = Backoff(Random(5))
    delays(backoff, 80)
    assert backoff.delay_s(1000.0, lived_s=10.0) <= 0.25


def test_a_session_of_middling_length_neither_counts_nor_forgets():
    backoff = Backoff(Random(6))
    delays(backoff, 4)
    assert all(1 <= delay <= 2 for delay in delays(backoff, 30, lived_s=7.0))


def test_few_failures_over_a_long_time_are_not_guarded():
    backoff = Backoff(Random(7))
    assert all(backoff.delay_s(now * 30.0) <= 2 for now in range(10))


@given(st.integers(), st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40)), max_size=150))
def test_every_delay_is_within_the_limits(seed, attempts):
    backoff, policy, now = Backoff(Random(seed)), RetryPolicy(), 0.0
    for pause_s, lived_s in attempts:
        now += pause_s + lived_s
        assert policy.first_s / 2 <= backoff.delay_s(now, lived_s) <= policy.guard_s
