"""Which streams a slot holds, on which ledger rows, and with which ingest actor."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.slot.holdings import Holdings
from tests.cluster.builders import stream_record


def rows(holdings: Holdings) -> list[int]:
    return [holding.assignment.ledger_row for _, holding in holdings.items()]


def test_a_stream_is_held_with_its_token_and_the_spec_of_its_generation() -> None:
    holdings = Holdings(num_rows=4, num_ingests=2)
    record = stream_record("gate", generation=7, max_fps=5)
    holding = holdings.add(record, token=11)
    assert holdings["gate"] == holding
    assert (holding.token, holding.assignment.generation, holding.closing) == (11, 7, False)
    assert holding.assignment.spec == record.spec
    assert ("gate" in holdings, "yard" in holdings, len(holdings)) == (True, False, 1)
    assert holdings.tokens() == {"gate": 11}


def test_each_stream_goes_to_the_ingest_with_the_fewest() -> None:
    holdings = Holdings(num_rows=9, num_ingests=3)
    for number in range(7):
        holdings.add(stream_record(f"cam{number}"), token=number)
    loads = Counter(holding.ingest for _, holding in holdings.items())
    assert sorted(loads.values()) == [2, 2, 3]
    for stream, holding in holdings.items():
        if holding.ingest == 1:
            holdings.drop(stream)
    assert [holdings.add(stream_record(f"new{n}"), token=1).ingest for n in range(2)] == [1, 1]


def test_a_change_keeps_row_ingest_and_token() -> None:
    holdings = Holdings(num_rows=4, num_ingests=2)
    holdings.add(stream_record("yard"), token=3)
    before = holdings.add(stream_record("gate", max_fps=5), token=4)
    after = holdings.update(stream_record("gate", generation=2, max_fps=9))
    assert (after.assignment.spec.max_fps, after.assignment.generation) == (9, 2)
    assert (after.ingest, after.token) == (before.ingest, before.token)
    assert after.assignment.ledger_row == before.assignment.ledger_row
    assert holdings["gate"] == after
    assert before.assignment.spec.max_fps == 5


def test_a_stream_that_closes_is_held_until_it_is_dropped() -> None:
    holdings = Holdings(num_rows=1, num_ingests=1)
    first = holdings.add(stream_record("gate"), token=1)
    holdings.close("gate")
    assert holdings["gate"].closing
    assert holdings.tokens() == {"gate": 1}
    with pytest.raises(IndexError):
        holdings.add(stream_record("yard"), token=2)
    holdings.drop("gate")
    assert "gate" not in holdings
    second = holdings.add(stream_record("yard"), token=3)
    assert second.assignment.ledger_row == first.assignment.ledger_row


@given(st.lists(st.integers(0, 7), max_size=60))
def test_a_row_is_never_shared_nor_lost(toggled: list[int]) -> None:
    holdings = Holdings(num_rows=8, num_ingests=3)
    for number in toggled:
        name = f"cam{number}"
        holdings.drop(name) if name in holdings else holdings.add(stream_record(name), number)
        assert len(set(rows(holdings))) == len(holdings)
        assert set(rows(holdings)) <= set(range(8))
    for number in range(8):
        if f"cam{number}" not in holdings:
            holdings.add(stream_record(f"cam{number}"), number)
    assert sorted(rows(holdings)) == list(range(8))


def test_the_floors_of_what_is_held_are_added_up() -> None:
    holdings = Holdings(num_rows=4, num_ingests=1)
    holdings.add(stream_record("gate", qos={"class": "critical"}), token=1)
    holdings.add(stream_record("yard", max_fps=0.5), token=2)
    assert holdings.floors_fps == 5.5
    holdings.update(stream_record("gate", generation=2, qos={"class": "low"}))
    assert holdings.floors_fps == 1.0
    holdings.drop("gate")
    assert holdings.floors_fps == 0.5
