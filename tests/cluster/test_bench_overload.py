"""The overload benchmark's own arithmetic; what it finds on a machine is not tested."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actors.specs import CLASS_DEFAULTS, QosClass
from cluster.bench.overload import (
    NUM_MORE,
    critical_p99_ratio,
    judge,
    overload_feeds,
    overload_fps,
    span_figures,
)
from cluster.demo.feeds import Feed
from cluster.errors import UnavailableError

FILM = Feed("film", Path("film.mp4"), "", "normal", ())


def stats(
    stream: str, qos_class: QosClass, inferred: int, at_s: float, latency_ms: float = 50.0
) -> dict[str, Any]:
    defaults = CLASS_DEFAULTS[qos_class]
    return {
        "id": stream,
        "qos": {
            "class": qos_class.value,
            "deadline_ms": defaults.deadline_ms,
            "min_fps": defaults.min_fps,
        },
        "decoded": inferred * 5,
        "inferred": inferred,
        "on_time": inferred // 2,
        "updated_at": at_s,
        "latency_counts": {str(latency_ms): inferred},
        "degrade_step": "none",
    }


def span(critical: int, low: int, latency_ms: float = 50.0) -> dict[str, Any]:
    first = [stats("a", QosClass.CRITICAL, 0, 10.0), stats("b", QosClass.LOW, 0, 10.0)]
    last = [
        stats("a", QosClass.CRITICAL, critical, 20.0, latency_ms),
        stats("b", QosClass.LOW, low, 20.0),
    ]
    return span_figures(first, last, 7.0)


def outcome(before: dict[str, Any], after: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "before": before,
        "after": after,
        "critical_p99_ratio": critical_p99_ratio(before, after),
        "ledger_balanced": True,
        "dropped": {},
        **changes,
    }


def test_all_classes_are_mixed_and_those_that_come_later_are_not_important() -> None:
    feeds = overload_feeds([FILM, FILM], 8)
    assert Counter(feed.qos_class for feed in feeds[:8]) == {c.value: 2 for c in QosClass}
    assert {feed.qos_class for feed in feeds[8:]} == {"normal", "low"}
    assert len({feed.name for feed in feeds}) == len(feeds) == 8 + NUM_MORE


def test_the_rate_asks_of_all_cameras_together_1_4_times_the_capacity() -> None:
    assert overload_fps(100.0, 28, 25.0) == 5.0


def test_cameras_that_send_too_little_are_told_how_many_it_takes() -> None:
    with pytest.raises(UnavailableError, match="give --cameras 56 or more"):
        overload_fps(400.0, 40, 10.0)


def test_rates_latencies_and_floors_are_by_class_and_stream() -> None:
    found = span(60, 10)
    assert (found["inferred_fps"], found["decoded_fps"], found["load"]) == (7.0, 35.0, 2.0)
    critical, low = found["classes"]["critical"], found["classes"]["low"]
    assert critical["latency_ms"] == {"p50": 50.0, "p95": 50.0, "p99": 50.0}
    assert (critical["inferred_fps"], critical["on_time_of_inferred"]) == (6.0, 0.5)
    assert (low["lowest_fps"], low["floor_fps"], low["num_below_floor"]) == (1.0, 0.5, 0)
    assert [s["id"] for s in found["streams"]] == ["a", "b"]


@pytest.mark.parametrize(("inferred", "is_below"), [(50, False), (49, False), (48, True)])
def test_a_stream_may_be_one_frame_short_of_its_floor_for_the_ends_of_the_span(
    inferred: int, is_below: bool
) -> None:
    critical = span(inferred, 10)["streams"][0]
    assert critical["is_below_floor"] is is_below


def test_claims_hold_where_all_is_well() -> None:
    checks = judge(outcome(span(60, 10), span(60, 10, latency_ms=55.0)))
    assert [check["holds"] for check in checks] == [True] * 4


def test_each_claim_breaks_for_its_own_reason() -> None:
    good = span(60, 10)
    late = judge(outcome(good, span(60, 10, latency_ms=101.0), critical_p99_ratio=1.0))
    starved = judge(outcome(span(60, 3), good))
    unbalanced = judge(outcome(good, good, ledger_balanced=False))
    moved = judge(outcome(good, span(60, 10, latency_ms=61.0)))
    for number, checks in enumerate((late, starved, unbalanced, moved)):
        assert [check["holds"] for check in checks] == [i != number for i in range(4)]
    assert starved[1]["figures"] == ["b"]
