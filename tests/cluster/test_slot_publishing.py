"""Whose status a slot writes when: news at once, counts in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.ingest.properties import SourceProperties
from actors.messages import DegradeStep, StreamState
from cluster.slot.publishing import MAX_PARTS, MIN_A_CALL, Turns
from cluster.slot.stream_report import Doing

MANY = 200


RUNNING = Doing(1, 1, StreamState.RUNNING, "", "", 3.0, 5.0, DegradeStep.NONE, 1, None, 57.6)
SOURCE = SourceProperties("h264", 640, 360, 25.0, True, None)


def streams(num: int) -> dict[str, Doing]:
    return {f"cam{at:03d}": replace(RUNNING, token=at + 1) for at in range(num)}


def test_a_slot_with_few_streams_writes_all_each_time() -> None:
    turns, few = Turns(), streams(MIN_A_CALL)
    for _ in range(3):
        assert turns.due(few).keys() == few.keys()
        turns.written(few)


def test_the_counts_of_each_of_many_streams_are_written_with_one_of_four_calls() -> None:
    turns, many = Turns(), streams(MANY)
    assert turns.due(many).keys() == many.keys(), "none was written before"
    turns.written(many)
    seen: list[str] = []
    for _ in range(MAX_PARTS):
        due = turns.due(many)
        assert len(due) == MANY // MAX_PARTS
        turns.written(due)
        seen += due
    assert sorted(seen) == sorted(many)


@pytest.mark.parametrize(
    "news",
    [
        {"state": StreamState.RECONNECTING},
        {"reason": "timeout"},
        {"degrade_step": DegradeStep.CAPPED},
        {"generation": 9},
        {"session": 7},
        {"decode_mpx_s": 11.5},
        {"source": SOURCE},
    ],
)
def test_what_is_news_is_written_at_once_and_takes_nobody_s_turn(news: dict[str, Any]) -> None:
    turns, many = Turns(), streams(MANY)
    turns.written(many)
    turns.written(turns.due(many))
    last = "cam199"
    others = turns.due(many)
    assert last not in others
    many[last] = replace(many[last], **news)
    assert turns.due(many).keys() == {last, *others}


def test_counts_alone_are_no_news() -> None:
    turns, many = Turns(), streams(MANY)
    turns.written(many)
    due = turns.due(many)
    counted = {name: replace(each, updated_at=9.0) for name, each in many.items()}
    assert turns.due(counted).keys() == due.keys()


def test_a_call_that_failed_is_made_up_for() -> None:
    turns, many = Turns(), streams(MANY)
    assert turns.due(many).keys() == turns.due(many).keys() == many.keys()


def test_a_stream_that_was_let_go_and_comes_back_is_news() -> None:
    turns, many = Turns(), streams(MANY)
    turns.written(many)
    turns.forget("cam199")
    assert "cam199" in turns.due(many)
