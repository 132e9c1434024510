"""The arithmetic of the failover benchmark; how fast a cluster mends itself is not tested."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from actors.ledger import Ledger
from cluster.bench import detections
from cluster.bench.claims import all_hold
from cluster.bench.detections import DetectionWatch, longest_silence, longest_silence_s
from cluster.bench.failover.failures import FAILURES
from cluster.bench.failover.figures import (
    above_calm,
    claims_of,
    gaps_of,
    missing_runs,
    row_of,
)
from cluster.bench.failover.run import FailoverPlan
from cluster.bench.failover.tally import Arrival, Tally, longest_way_back_s, tally
from cluster.bench.processes import descendants, is_alive
from cluster.bench.watching import WatchProcess
from cluster.cli.bench_cluster import FailureName
from cluster.cli.main import app
from tests.cluster.builders import eventually


def test_a_silence_counts_with_its_part_before_the_span() -> None:
    assert longest_silence_s([1.0, 2.0, 6.0, 7.0], since=4.0, until=8.0) == 4.0


def test_a_silence_counts_with_its_part_after_the_span_only_up_to_its_end() -> None:
    assert longest_silence_s([1.0, 2.0, 9.0], since=2.0, until=5.0) == 3.0


def test_a_stream_that_was_never_seen_is_silent_all_the_time() -> None:
    assert longest_silence_s([], since=3.0, until=10.0) == 7.0


def test_a_stream_that_goes_on_is_silent_from_frame_to_frame() -> None:
    seen = [n * 0.25 for n in range(100)]
    assert longest_silence_s(seen, since=3.1, until=20.0) == 0.25


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DetectionWatch]:
    """Of two streams; it looks only when it is told to."""
    monkeypatch.setattr(detections, "_LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr("actors.ledger.shared_memory_dir", lambda: str(tmp_path))
    watch = DetectionWatch(["cam0", "cam1"], os.getppid(), tmp_path)
    yield watch
    watch.close()


def slot_ledger(number: int = 0) -> Ledger:
    return Ledger.create(4, name=f"slot-{os.getpid()}-{number:06x}-ledger")


def test_a_stream_is_followed_from_slot_to_slot(watch: DetectionWatch) -> None:
    first, second = slot_ledger(0), slot_ledger(1)
    watch.search()
    for ledger, number, moment in ((first, 3, 10.0), (second, 0, 17.5)):
        ledger.row(number).begin("cam1")
        ledger.row(number).count_analysed()
        ledger.row(number).count_events(2)
        watch.look(moment)
    assert watch.seen_at("cam1") == [10.0, 17.5]
    assert watch.seen_at("cam0") == []
    assert watch.num_events == 4


def test_a_row_that_another_stream_gets_begins_anew(watch: DetectionWatch) -> None:
    row = slot_ledger().row(2)
    watch.search()
    row.begin("cam0")
    row.count_analysed()
    row.count_events(5)
    watch.look(1.0)
    row.clear()
    row.begin("cam1")
    row.count_analysed()
    row.count_events(5)
    watch.look(2.0)
    assert (watch.seen_at("cam0"), watch.seen_at("cam1")) == ([1.0], [2.0])
    assert watch.num_events == 10


def test_slots_of_others_and_streams_of_others_do_not_count(
    watch: DetectionWatch, tmp_path: Path
) -> None:
    (tmp_path / "sightline-slot-1-0000aa-ledger-x").write_bytes(b"")
    row = slot_ledger().row(0)
    watch.search()
    row.begin("somebody")
    row.count_analysed()
    row.count_events(1)
    watch.look(1.0)
    assert watch.num_events == 0


def test_a_watch_in_a_process_of_its_own_tells_the_same() -> None:
    ledger = slot_ledger()
    watch = WatchProcess(["cam0", "cam1"], os.getppid())
    try:
        row = ledger.row(1)
        row.begin("cam1")
        eventually(lambda: row.count_analysed() or watch.seen_at("cam1"))
        row.count_events(3)
        assert eventually(lambda: watch.num_events == 3)
        assert watch.seen_at("cam1") == sorted(watch.seen_at("cam1"))
        assert watch.seen_at("cam0") == []
    finally:
        watch.close()
        ledger.unlink()


def arrivals(*given: tuple[str, int]) -> list[Arrival]:
    return [Arrival(name, "cam0", ts_ms) for name, ts_ms in given]


def test_what_did_not_arrive_is_lost_and_what_came_again_came_twice() -> None:
    assert tally(4, arrivals(("a", 1), ("b", 2), ("a", 1))) == Tally(4, 2, 1)


def test_only_what_came_since_counts() -> None:
    assert Tally(9, 3, 2).since(Tally(4, 2, 2)) == Tally(5, 1, 0)


def test_order_is_kept_where_no_event_is_followed_by_a_much_older_one_of_its_stream() -> None:
    in_order = arrivals(("a", 1000), ("b", 3000), ("c", 2600), ("d", 4000))
    assert longest_way_back_s(in_order) == pytest.approx(0.4)
    again = [*in_order, *in_order]
    assert longest_way_back_s(again) == pytest.approx(0.4)
    assert longest_way_back_s([*in_order, Arrival("e", "cam1", 0)]) == pytest.approx(0.4)


def test_streams_that_were_hit_moved_or_left_alone_are_told_apart() -> None:
    gaps = {"a": 5.0, "b": 7.0, "c": 2.0, "d": 0.3}
    assert gaps_of(gaps, {"a", "b"}, {"c"}) == {
        "hit_p50_s": 6.0,
        "hit_max_s": 7.0,
        "moved_max_s": 2.0,
        "others_max_s": 0.3,
    }
    assert gaps_of({"d": 0.3}, set(), set())["hit_max_s"] is None


def test_a_silence_begins_with_the_last_detection_before_it() -> None:
    assert longest_silence([1.0, 2.0, 6.0, 7.0], since=4.0, until=8.0) == (4.0, 2.0)


def test_a_gap_of_those_left_alone_counts_against_the_longest_of_calm_times() -> None:
    assert above_calm(0.9, 0.4) == 0.5
    assert above_calm(0.3, 0.4) == 0.0
    assert above_calm(None, 0.4) is None


def test_a_resumed_bench_lets_only_happen_what_is_missing() -> None:
    known = [{"failure": name} for name in ("slot", "slot", "redis")]
    assert missing_runs(["engine", "slot", "redis"], 2, known) == ["engine", "engine", "redis"]
    assert missing_runs(["slot"], 2, known) == []


def run_of(**fields: Any) -> dict[str, Any]:
    found = {"hit_p50_s": 4.0, "hit_max_s": 5.0, "moved_max_s": None, "others_max_s": 0.4}
    counts = {"num_made": 10, "num_lost": 0, "num_twice": 0, "back_s": 0.5}
    return found | {"calm_max_s": 0.4, **counts, "api_s": 0.1, "whole_s": 9.0, "load": 1.0} | fields


def test_a_row_has_medians_of_gaps_and_sums_of_events() -> None:
    row = row_of("slot", [run_of(hit_max_s=gap, num_lost=1) for gap in (4.0, 9.0, 5.0)])
    assert (row["hit_max_s"], row["hit_worst_s"], row["num_lost"]) == (5.0, 9.0, 3)
    assert (row["limit_s"], row["times"], row["num_broken"]) == (6.0, 3, 0)


def test_all_claims_hold_where_gaps_are_within_their_limits() -> None:
    assert all_hold(claims_of([row_of(name, [run_of(hit_max_s=3.0)]) for name in FAILURES]))


BROKEN = [
    ("slot", run_of(hit_max_s=6.1)),
    ("slot", run_of(others_max_s=1.2)),
    ("head", run_of(num_twice=1)),
    ("head", run_of(whole_s=None)),
    ("redis", run_of(num_lost=1)),
]


@pytest.mark.parametrize(("name", "run"), BROKEN)
def test_a_figure_beyond_its_limit_breaks_a_claim(name: str, run: dict[str, Any]) -> None:
    assert not all_hold(claims_of([row_of(name, [run])]))


def test_the_command_knows_all_failures_by_their_names() -> None:
    assert [each.value for each in FailureName] == list(FAILURES)
    assert FailoverPlan().failures == tuple(FAILURES)


@pytest.mark.parametrize(("gap_s", "status"), [(3.0, 0), (4.0, 1)])
def test_the_command_ends_as_the_claims_say_and_writes_what_it_found(
    gap_s: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def measure(plan: FailoverPlan, report: Any, runs: Any, keep: Any) -> dict[str, Any]:
        plans.append((plan, runs))
        rows = [row_of(name, [run_of(hit_max_s=gap_s)]) for name in plan.failures]
        claims = claims_of(rows)
        listed = [{"text": c.text, "found": c.found, "holds": c.holds} for c in claims]
        settings = {"lease_ttl_s": 5}
        return {"rows": rows, "settings": settings, "claims": listed, "holds": all_hold(claims)}

    monkeypatch.setattr("cluster.bench.failover.run.measure_failover", measure)
    path = tmp_path / "failover.json"
    options = ["--failure", "engine", "--failure", "head", "--times", "2", "--json", str(path)]
    result = CliRunner().invoke(app, ["bench", "failover", *options])
    assert result.exit_code == status, result.output
    assert json.loads(path.read_text())["holds"] is (status == 0)
    (plan, runs) = plans[0]
    assert (plan.failures, plan.times, runs) == (["engine", "head"], 2, [])


def test_the_command_goes_on_with_the_runs_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = tmp_path / "failover.json", [{"failure": "slot", **run_of()}]
    path.write_text(json.dumps({"runs": before}))
    known = []

    def measure(plan: FailoverPlan, report: Any, runs: Any, keep: Any) -> dict[str, Any]:
        known.extend(runs)
        kept = {"rows": [], "runs": [*runs, run_of()], "settings": {}, "claims": [], "holds": True}
        keep(kept)
        assert json.loads(path.read_text()) == kept
        return kept

    monkeypatch.setattr("cluster.bench.failover.run.measure_failover", measure)
    options = ["bench", "failover", "--resume", "--json", str(path)]
    assert CliRunner().invoke(app, options).exit_code == 0
    assert known == before


def test_descendants_are_children_and_theirs(tmp_path: Path) -> None:
    for pid, parent in ((11, 1), (12, 11), (13, 12), (14, 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) S {parent} 0 0")
    assert descendants(11, tmp_path) == {12, 13}
    assert descendants(13, tmp_path) == frozenset()
    assert is_alive(12, tmp_path)
    assert not is_alive(15, tmp_path)
