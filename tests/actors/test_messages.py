"""What travels between actors arrives as it was sent, and is small."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any

import numpy as np
import pytest

from actors.errors import SinkError, SourceError, StaleGenerationError
from actors.messages import (
    Assignment,
    DegradeStep,
    DropReason,
    FrameResult,
    PoolLease,
    Release,
    StreamQos,
    StreamState,
    StreamStep,
    SubmitReply,
    SubmitRequest,
    Ticket,
)
from actors.specs import QosClass, QosSpec, StreamSpec
from engines.detections import Detections
from engines.frames import ChromaSite, Picture, PoolLayout

SPEC = StreamSpec.model_validate(
    {
        "id": "gate",
        "url": "rtsp://10.0.0.1/main",
        "rules": [{"kind": "line", "name": "in", "points": [[0, 0.5], [1, 0.5]]}],
    }
)
TICKET = Ticket(
    "gate", 1, 7, 3, Picture(640, 360), (1920, 1080), 0.28, 1.75e9, 100.0, 100.4, ready=100.01
)
REQUEST = SubmitRequest(
    "ingest-0", 2, (TICKET,), (StreamQos("gate", QosSpec(class_name=QosClass.HIGH)),), ("old",)
)
MESSAGES = [
    Assignment(SPEC, token=5, ledger_row=3, generation=9),
    TICKET,
    REQUEST,
    SubmitReply(
        (Release(3, None, 100.2), Release(4, DropReason.DEADLINE, 100.3)),
        steps=(StreamStep("gate", DegradeStep.CAPPED, 2.4),),
    ),
    PoolLease(PoolLayout("/dev/shm/pool", 8, 4096), range(2, 6), 4),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_arrives_as_it_was_sent(message: Any) -> None:
    assert pickle.loads(pickle.dumps(message)) == message


RARE = [message for message in MESSAGES if message is not TICKET]


@pytest.mark.parametrize("message", RARE, ids=lambda m: type(m).__name__)
def test_a_message_cannot_be_changed_on_its_way(message: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(message, fields(message)[0].name, None)
    assert not hasattr(message, "__dict__")


def test_results_arrive_with_their_detections() -> None:
    found = Detections.of(np.array([[1, 2, 3, 4.5]]), np.array([0.9]), np.array([2]))
    result = FrameResult("gate", 1, 7, 0.28, 1.75e9, 100.0, (1920, 1080), "traffic", found, 100.1)
    arrived = pickle.loads(pickle.dumps(result))
    assert (arrived.stream, arrived.index, arrived.source_size) == ("gate", 7, (1920, 1080))
    np.testing.assert_array_equal(arrived.detections.xyxy, found.xyxy)
    np.testing.assert_array_equal(arrived.detections.class_id, found.class_id)


def test_pictures_of_one_layout_are_the_same_object_where_they_arrive() -> None:
    one, other = (pickle.dumps(Picture(640, 360, site=ChromaSite.CENTER)) for _ in range(2))
    assert pickle.loads(one) is pickle.loads(other)
    assert pickle.loads(one) == Picture(640, 360, site=ChromaSite.CENTER)


def test_a_ticket_costs_few_bytes_in_a_call_with_many() -> None:
    picture = Picture(640, 360)
    tickets = tuple(
        Ticket(f"cam{i}", 1, i, i, picture, (1920, 1080), i / 25, 1.75e9 + i, i, i + 0.4, i + 0.01)
        for i in range(100)
    )
    assert len(pickle.dumps(SubmitRequest("ingest-0", 1, tickets))) / len(tickets) < 200


def test_reasons_and_states_are_words_that_go_into_json() -> None:
    for word in (*DropReason, *StreamState, *DegradeStep):
        assert word.value == word.name.lower()
        assert isinstance(word, str)


def test_errors_keep_what_they_say_when_they_cross_a_process() -> None:
    error = SourceError("unauthorized", "401: check user and password", permanent=True)
    arrived = pickle.loads(pickle.dumps(error))
    assert (arrived.reason, arrived.message, arrived.permanent) == (
        "unauthorized",
        "401: check user and password",
        True,
    )
    assert str(arrived) == error.message
    for kind in (SinkError, StaleGenerationError):
        assert str(pickle.loads(pickle.dumps(kind("gone")))) == "gone"
