"""The frame ledger counts every frame once, and its counts outlive who wrote them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger import Ledger, LedgerRow, stream_key
from actors.messages import DropReason

WRITER = """
import sys
from actors.ledger import Ledger
from actors.messages import DropReason

row = Ledger.attach(sys.argv[1]).row(1)
for _ in range(10):
    row.count_decoded()
for _ in range(6):
    row.count_inferred(0.02, is_on_time=True)
row.count_dropped(DropReason.SAMPLED)
print("counted", flush=True)
sys.stdin.read()
"""

RESTLESS = """
import sys
from actors.ledger import Ledger

cells = Ledger.attach(sys.argv[1]).row(1)._cells
print("counting", flush=True)
while True:
    for num in (1, 0):
        for column in range(len(cells)):
            cells[column] = num
"""


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger.create(3, name="test-ledger")
    yield made
    made.unlink()


@pytest.fixture
def row(ledger: Ledger) -> LedgerRow:
    return ledger.row(1)


def count(row: LedgerRow, decoded: int = 0, inferred: int = 0) -> None:
    for _ in range(decoded):
        row.count_decoded()
    for _ in range(inferred):
        row.count_inferred(0.01, is_on_time=True)


def test_a_new_ledger_is_all_zero(ledger: Ledger) -> None:
    assert ledger.num_rows == 3
    entry = ledger.row(2).read()
    assert (entry.decoded, entry.inferred, entry.in_flight) == (0, 0, 0)
    assert set(entry.dropped) == set(DropReason)
    assert sum(entry.dropped.values()) == 0
    assert entry.latency_ms == {}


def test_each_count_goes_to_a_column_of_its_own(row: LedgerRow) -> None:
    count(row, decoded=9, inferred=3)
    row.count_analysed()
    row.count_analysed()
    row.count_events(4)
    row.count_events(2)
    row.count_reconnect()
    row.count_decode_error()
    row.count_decode_error()
    row.count_inferred(0.5, is_on_time=False)
    entry = row.read()
    assert (entry.decoded, entry.inferred, entry.on_time, entry.analysed) == (9, 4, 3, 2)
    assert (entry.events, entry.reconnects, entry.decode_errors) == (6, 1, 2)
    assert sum(entry.dropped.values()) == 0


def test_each_reason_of_a_drop_has_a_count_of_its_own(row: LedgerRow) -> None:
    for number, reason in enumerate(DropReason, start=1):
        row.count_dropped(reason, number)
    row.count_dropped(DropReason.CORRUPT)
    expected = {reason: number for number, reason in enumerate(DropReason, start=1)}
    expected[DropReason.CORRUPT] += 1
    entry = row.read()
    assert entry.dropped == expected
    assert (entry.inferred, entry.analysed, entry.decode_errors) == (0, 0, 0)


def test_rows_do_not_touch_each_other(ledger: Ledger) -> None:
    untouched = ledger.row(0).read()
    count(ledger.row(1), decoded=5, inferred=5)
    ledger.row(1).count_inferred(-1.0, is_on_time=True)
    ledger.row(1).count_inferred(1e9, is_on_time=True)
    assert ledger.row(0).read() == ledger.row(2).read() == untouched


@pytest.mark.parametrize("seed", range(4))
def test_percentiles_are_right_within_one_and_a_half_percent(row: LedgerRow, seed: int) -> None:
    latencies_s = np.random.default_rng(seed).lognormal(-3.5, 0.8, 999)
    for latency_s in latencies_s:
        row.count_inferred(float(latency_s), is_on_time=True)
    shown = row.read().latency_ms
    assert list(shown) == ["p50", "p95", "p99"]
    exact = np.percentile(latencies_s, (50, 95, 99), method="inverted_cdf") * 1e3
    assert list(shown.values()) == pytest.approx(exact, rel=0.0152)


@pytest.mark.parametrize("latency_s", [0.001, 0.0333, 0.25, 1.0, 12.5, 200.0])
def test_one_latency_is_shown_as_it_is(row: LedgerRow, latency_s: float) -> None:
    row.count_inferred(latency_s, is_on_time=True)
    assert list(row.read().latency_ms.values()) == pytest.approx([latency_s * 1e3] * 3, rel=0.0152)


@pytest.mark.parametrize("latency_s", [-0.5, 0.0, 1e-9, 3600.0, 1e12])
def test_a_latency_out_of_range_is_still_counted(row: LedgerRow, latency_s: float) -> None:
    count(row, decoded=1)
    row.count_inferred(latency_s, is_on_time=True)
    entry = row.read()
    assert (entry.inferred, entry.in_flight) == (1, 0)
    assert entry.latency_ms["p50"] > 0


def test_settling_books_exactly_what_is_in_flight_as_lost(row: LedgerRow) -> None:
    count(row, decoded=10, inferred=4)
    row.count_dropped(DropReason.DEADLINE, 3)
    assert row.read().in_flight == 3
    assert row.settle() == 3
    entry = row.read()
    assert (entry.dropped[DropReason.LOST], entry.in_flight) == (3, 0)
    assert row.settle() == 0
    assert row.read() == entry


def test_clearing_makes_room_for_another_stream(ledger: Ledger) -> None:
    fresh = ledger.row(0).read()
    row = ledger.row(1)
    count(ledger.row(2), decoded=1)
    count(row, decoded=3, inferred=2)
    row.count_analysed()
    row.count_reconnect()
    row.clear()
    assert row.read() == fresh
    assert ledger.row(2).read().decoded == 1


def test_two_mappings_see_the_same(ledger: Ledger) -> None:
    other = Ledger.attach(ledger.path)
    assert other.num_rows == ledger.num_rows
    count(ledger.row(1), decoded=2)
    other.row(1).count_inferred(0.05, is_on_time=True)
    assert other.row(1).read() == ledger.row(1).read()
    assert ledger.row(1).read().in_flight == 1


def test_counts_survive_the_process_that_wrote_them(ledger: Ledger) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, ledger.path],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"counted\n"
        os.kill(writer.pid, signal.SIGKILL)
        assert writer.wait(10) == -signal.SIGKILL
    row = ledger.row(1)
    assert row.read().in_flight == 3
    assert row.settle() == 3
    entry = row.read()
    assert (entry.decoded, entry.inferred, entry.dropped[DropReason.SAMPLED]) == (10, 6, 1)
    assert entry.latency_ms["p50"] == pytest.approx(20, rel=0.0152)


def test_its_file_is_removed_and_says_whose_it_was() -> None:
    ledger = Ledger.create(1, name="slot-7-abc-ledger")
    assert Path(ledger.path).name.startswith("sightline-slot-7-abc-ledger-")
    ledger.unlink()
    assert not Path(ledger.path).exists()
    ledger.unlink()


@given(
    outcomes=st.lists(st.sampled_from(["inferred", "waiting", *DropReason])),
    num_settled=st.integers(0, 2),
)
def test_what_was_decoded_is_what_ended_and_what_is_in_flight(
    outcomes: list[str], num_settled: int
) -> None:
    ledger = Ledger.create(1)
    row = ledger.row(0)
    for outcome in outcomes:
        row.count_decoded()
        if outcome == "inferred":
            row.count_inferred(0.01, is_on_time=True)
        elif outcome != "waiting":
            row.count_dropped(DropReason(outcome))
    for _ in range(num_settled):
        row.settle()
    entry = row.read()
    ledger.unlink()
    waiting = outcomes.count("waiting")
    assert entry.decoded == entry.inferred + sum(entry.dropped.values()) + entry.in_flight
    assert entry.in_flight == (0 if num_settled else waiting)
    assert entry.inferred == outcomes.count("inferred")
    lost = outcomes.count(DropReason.LOST) + (waiting if num_settled else 0)
    assert entry.dropped[DropReason.LOST] == lost


def test_a_row_says_whose_it_is_and_how_far_its_stream_has_come() -> None:
    ledger = Ledger.create(2)
    row = ledger.row(1)
    row.begin("cam1")
    row.count_analysed()
    row.count_events(3)
    progress = ledger.progress().tolist()
    row.clear()
    cleared = ledger.progress().tolist()
    ledger.unlink()
    assert progress == [[0, 0, 0], [stream_key("cam1"), 1, 3]]
    assert cleared == [[0, 0, 0], [0, 0, 0]]
    assert stream_key("cam1") != stream_key("cam2")


def test_a_row_can_be_read_while_another_process_counts_in_it(ledger):
    with subprocess.Popen(
        [sys.executable, "-c", RESTLESS, ledger.path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "counting\n"
        try:
            assert all(ledger.row(1).read().decoded in (0, 1) for _ in range(2000))
        finally:
            writer.kill()
