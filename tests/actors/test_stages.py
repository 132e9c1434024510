"""How long frames take from stage to stage: counted by class, in the buckets of the ledger."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.latency import NUM_BUCKETS, bucket_of, middle_ms, percentiles_ms
from actors.specs import QosClass
from actors.stages import Stage, StageClocks, add_counts


@given(st.floats(min_value=1e-4, max_value=200.0))
def test_the_middle_of_a_bucket_is_near_to_every_latency_in_it(latency_s: float) -> None:
    assert middle_ms(bucket_of(latency_s)) == pytest.approx(latency_s * 1e3, rel=0.0151)


@pytest.mark.parametrize(
    ("latency_s", "bucket"), [(-1.0, 0), (0.0, 0), (1e-4, 0), (1e9, NUM_BUCKETS - 1)]
)
def test_the_buckets_at_the_ends_take_all_beyond(latency_s: float, bucket: int) -> None:
    assert bucket_of(latency_s) == bucket


def test_percentiles_are_of_all_that_was_counted() -> None:
    counts = {40.0: 4, 10.0: 50, 20.0: 45, 90.0: 1}
    assert percentiles_ms(counts) == {"p50": 10.0, "p95": 20.0, "p99": 40.0}
    assert percentiles_ms({}) == percentiles_ms({5.0: 0}) == {}


def test_a_frame_is_counted_once_in_each_stage_of_its_class() -> None:
    clocks = StageClocks(Stage.DECODE, Stage.QUEUE, Stage.INFERENCE)
    clocks.of(QosClass.HIGH).count(100.0, 100.010, 100.030, 100.070)
    clocks.of(QosClass.HIGH).count(101.0, 101.010, 101.030, 101.070)
    clocks.of(QosClass.LOW).count(100.0, 100.5, 100.5, 101.5)
    found = clocks.read()
    near = {stage: list(found[stage][QosClass.HIGH]) for stage in found}
    assert near == {
        Stage.DECODE: [pytest.approx(10, rel=0.016)],
        Stage.QUEUE: [pytest.approx(20, rel=0.016)],
        Stage.INFERENCE: [pytest.approx(40, rel=0.016)],
    }
    assert [sum(found[stage][QosClass.HIGH].values()) for stage in found] == [2, 2, 2]
    assert list(found[Stage.QUEUE][QosClass.LOW]) == [middle_ms(0)]


def test_thousands_of_frames_lie_in_the_bucket_of_each() -> None:
    clock = StageClocks(Stage.ANALYTICS).of(QosClass.HIGH)
    latencies_s = [0.00005 * 1.01**n for n in range(1500)]
    for latency_s in latencies_s:
        clock.count(0.0, latency_s)
    expected = Counter(middle_ms(bucket_of(latency_s)) for latency_s in latencies_s)
    assert clock.read() == clock.read() == [expected]


def test_classes_without_frames_are_left_out() -> None:
    assert StageClocks(Stage.ANALYTICS).read() == {Stage.ANALYTICS: {}}


def test_a_moment_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="2 times, of 2 stages"):
        StageClocks(Stage.DECODE, Stage.QUEUE).of(QosClass.LOW).count(1.0, 2.0)


def test_what_several_processes_counted_adds_up() -> None:
    first, second = StageClocks(Stage.ANALYTICS), StageClocks(Stage.ANALYTICS)
    first.of(QosClass.HIGH).count(1.0, 1.1)
    second.of(QosClass.HIGH).count(2.0, 2.1)
    second.of(QosClass.LOW).count(2.0, 2.0)
    total = add_counts([first.read(), second.read(), {}])
    assert list(total[Stage.ANALYTICS][QosClass.HIGH].values()) == [2]
    assert total[Stage.ANALYTICS][QosClass.LOW] == {middle_ms(0): 1}
    assert list(first.read()[Stage.ANALYTICS][QosClass.HIGH].values()) == [1]
