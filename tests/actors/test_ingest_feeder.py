from __future__ import annotations

import time

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.feeder import Feeder
from actors.ingest.lane import Lane
from actors.ingest.outbox import Outbox
from actors.ledger import Ledger
from actors.messages import DegradeStep, DropReason, StreamQos, StreamStep, Ticket
from actors.specs import QosSpec
from engines.frames import Picture
from tests.actors.builders import FakeEngine, eventually

CONFIG = IngestConfig(attach_retry_s=0.01, poll_interval_s=0.01)


@pytest.fixture
def engine():
    engine = FakeEngine(num_slots=4, size=(16, 16))
    yield engine
    engine.close()


@pytest.fixture
def lane():
    ledger = Ledger.create(1)
    ledger.unlink()
    return Lane("a", ledger.row(0))


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
def feeder(engine, outbox):
    feeder = Feeder("ingest", engine, outbox, CONFIG)
    feeder.start()
    eventually(lambda: feeder.is_attached)
    yield feeder
    feeder.stop(5.0)


def put(outbox: Outbox, lane: Lane) -> None:
    slot = outbox.take_slot(lane)
    if slot is not None:
        now = time.monotonic()
        ticket = Ticket(
            lane.stream, 1, 0, slot.number, Picture(16, 16), (16, 16), 0.0, 0.0, now, now + 1, now
        )
        outbox.put(lane, slot, ticket)


def test_tickets_go_out_and_their_slots_come_back(feeder, outbox, lane):
    put(outbox, lane)
    eventually(lambda: lane.row.read().inferred == 1)
    assert len(outbox.slot_use().free) == 4


def test_a_dead_engine_loses_its_frames_and_is_attached_again(feeder, engine, outbox, lane):
    outbox.open_stream(StreamQos("a", QosSpec()))
    engine.outcome = engine.KEEP
    put(outbox, lane)
    eventually(lambda: engine.tickets)
    engine.die()
    eventually(lambda: lane.row.read().dropped[DropReason.LOST] == 1)
    put(outbox, lane)
    assert lane.row.read().dropped[DropReason.OVERLOAD] == 1
    assert not feeder.is_attached
    engine.outcome, engine.is_away = None, False
    eventually(lambda: feeder.is_attached)
    put(outbox, lane)
    eventually(lambda: lane.row.read().inferred == 1)
    assert [qos.stream for request in engine.requests for qos in request.opened] == ["a", "a"]
    assert lane.row.read().in_flight == 0


def test_a_stale_lease_is_replaced(feeder, engine, outbox, lane):
    engine.attach("somebody else")
    put(outbox, lane)
    eventually(lambda: lane.row.read().in_flight == 0)
    assert lane.row.read().dropped[DropReason.LOST] == 1
    eventually(lambda: feeder.is_attached)
    put(outbox, lane)
    eventually(lambda: lane.row.read().inferred == 1)


def test_a_pool_that_cannot_be_mapped_is_asked_for_again(engine, outbox, lane):
    gone = engine.pools[0]
    gone.unlink()
    feeder = Feeder("ingest", engine, outbox, CONFIG)
    feeder.start()
    eventually(lambda: engine.generation > 2)
    assert not feeder.is_attached
    engine.die()
    engine.is_away = False
    eventually(lambda: feeder.is_attached)
    feeder.stop(5.0)


def test_a_failure_that_nobody_foresaw_does_not_end_the_feeder(feeder, engine, outbox, lane):
    engine.outcome = "nonsense"
    put(outbox, lane)
    eventually(lambda: engine.generation == 2)
    engine.outcome = None
    eventually(lambda: feeder.is_attached)
    put(outbox, lane)
    eventually(lambda: lane.row.read().inferred == 1)
    assert lane.row.read().in_flight == 0


def test_what_streams_were_closed_is_told_before_the_end(engine, outbox):
    feeder = Feeder("ingest", engine, outbox, CONFIG)
    feeder.start()
    outbox.open_stream(StreamQos("a", QosSpec()))
    eventually(lambda: engine.requests)
    outbox.close_stream("a")
    feeder.stop(5.0)
    assert "a" in engine.requests[-1].closed


def test_steps_come_back_and_what_decoders_and_slots_lack_is_told(feeder, engine, outbox, lane):
    engine.orders = [StreamStep("a", DegradeStep.CAPPED, 1.2)]
    engine.outcome = engine.KEEP
    feeder.decode_lag_s = 2.5
    for _ in range(4):
        put(outbox, lane)
        eventually(lambda: not outbox.slot_use().waiting)
    put(outbox, lane)
    put(outbox, Lane("b", lane.row))
    eventually(lambda: sum(request.num_given_up for request in engine.requests) == 2)
    assert engine.requests[-1].decode_lag_s == 2.5
    assert outbox.steps.of("a").step is DegradeStep.CAPPED
    assert outbox.steps.of("b").step is DegradeStep.NONE


def test_a_paused_stream_that_sends_nothing_hears_when_it_may_go_on(feeder, engine, outbox):
    engine.orders = [StreamStep("a", DegradeStep.PAUSED)]
    eventually(lambda: outbox.steps.of("a").step is DegradeStep.PAUSED)
    engine.orders = [StreamStep("a", DegradeStep.NONE)]
    eventually(lambda: outbox.steps.of("a").step is DegradeStep.NONE)
