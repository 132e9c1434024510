from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.ingest.lane import Lane
from actors.ingest.outbox import Outbox
from actors.ingest.slot_use import Slot
from actors.ledger import Ledger
from actors.messages import (
    DegradeStep,
    DropReason,
    PoolLease,
    Release,
    StreamQos,
    StreamStep,
    Ticket,
)
from actors.specs import QosSpec
from engines.frames import FramePool, Picture

PICTURE = Picture(16, 16)
NUM_SLOTS = 5


def make_ticket(lane: Lane, slot: Slot, index: int = 0) -> Ticket:
    return Ticket(
        lane.stream, 1, index, slot.number, PICTURE, (16, 16), 0.0, 0.0, 10.0, 11.0, ready=10.02
    )


@pytest.fixture
def pool():
    pool = FramePool.create(NUM_SLOTS, PICTURE.size_bytes)
    yield pool
    pool.unlink()


@pytest.fixture
def ledger():
    ledger = Ledger.create(4)
    yield ledger
    ledger.unlink()


@pytest.fixture
def outbox(pool):
    outbox = Outbox()
    outbox.adopt(pool, PoolLease(pool.layout, range(NUM_SLOTS), 1))
    return outbox


def put(outbox: Outbox, lane: Lane, index: int = 0) -> int:
    slot = outbox.take_slot(lane)
    assert slot is not None
    outbox.put(lane, slot, make_ticket(lane, slot, index))
    return slot.number


def taken(outbox: Outbox, now: float) -> list[tuple[str, int]]:
    return [(ticket.stream, ticket.index) for ticket in outbox.collect(now).tickets]


def dropped(lane: Lane) -> dict[str, int]:
    return {reason.value: num for reason, num in lane.row.read().dropped.items() if num}


def test_a_newer_frame_replaces_the_one_that_still_waits(outbox, ledger):
    lane = Lane("a", ledger.row(0))
    put(outbox, lane, 0)
    put(outbox, lane, 1)
    assert [ticket.index for ticket in outbox.collect(0.0).tickets] == [1]
    assert dropped(lane) == {"superseded": 1}
    assert len(outbox.slot_use().free) == NUM_SLOTS - 1


def test_a_frame_waits_until_the_one_before_is_back_but_not_for_long(pool, ledger):
    outbox = Outbox(max_waiting=4)
    outbox.adopt(pool, PoolLease(pool.layout, range(NUM_SLOTS), 1))
    lane, other = Lane("a", ledger.row(0)), Lane("b", ledger.row(1))
    first = put(outbox, lane, 0)
    assert taken(outbox, 5.0) == [("a", 0)]
    put(outbox, lane, 1)
    put(outbox, other, 0)
    batch = outbox.collect(5.01)
    assert ([ticket.stream for ticket in batch.tickets], batch.num_left) == (["b"], 1)
    outbox.settle([Release(first, None, 10.0)])
    assert taken(outbox, 5.015) == [("a", 1)]
    put(outbox, lane, 2)  # its last one stays away
    assert [taken(outbox, now) for now in (5.02, 5.03, 5.04)] == [[], [], [("a", 2)]]


def test_releases_book_the_outcome_and_the_latency(outbox, ledger):
    a, b = Lane("a", ledger.row(0)), Lane("b", ledger.row(1))
    first, second = put(outbox, a), put(outbox, b)
    outbox.collect(0.0)
    outbox.settle([Release(first, None, 10.05), Release(second, DropReason.DEADLINE, 10.5)])
    assert (a.row.read().inferred, a.row.read().on_time) == (1, 1)
    assert a.row.read().latency_ms["p50"] == pytest.approx(50, rel=0.03)
    assert dropped(b) == {"deadline": 1}
    assert len(outbox.slot_use().free) == NUM_SLOTS


@pytest.mark.parametrize(("finished_at", "on_time"), [(11.0, 1), (11.001, 0)])
def test_a_frame_is_on_time_until_its_deadline(outbox, ledger, finished_at, on_time):
    lane = Lane("a", ledger.row(0))
    number = put(outbox, lane)
    outbox.collect(0.0)
    outbox.settle([Release(number, None, finished_at)])
    assert (lane.row.read().inferred, lane.row.read().on_time) == (1, on_time)


def test_frames_that_end_before_they_are_sent_are_told_once(outbox, ledger, pool):
    a, b = Lane("a", ledger.row(0)), Lane("b", ledger.row(1))
    for index in range(3):
        put(outbox, a, index)
    for _ in range(NUM_SLOTS):
        outbox.take_slot(b)
    assert outbox.collect(0.0).num_given_up == 3
    assert outbox.collect(0.0).num_given_up == 0
    outbox.take_slot(b)
    outbox.lose_all()
    outbox.adopt(pool, PoolLease(pool.layout, range(NUM_SLOTS), 2))
    assert outbox.collect(0.0).num_given_up == 0


def test_steps_fall_with_their_stream_and_with_the_engine(outbox):
    outbox.steps.apply([StreamStep(name, DegradeStep.PAUSED) for name in "ab"])
    outbox.close_stream("a")
    assert [outbox.steps.of(name).step.value for name in "ab"] == ["none", "paused"]
    outbox.lose_all()
    assert outbox.steps.of("b").step is DegradeStep.NONE


def test_without_a_free_slot_a_stream_gives_up_its_own_waiting_frame_first(outbox, ledger):
    a, b = Lane("a", ledger.row(0)), Lane("b", ledger.row(1))
    held = [outbox.take_slot(b) for _ in range(NUM_SLOTS - 1)]
    put(outbox, a, 0)
    put(outbox, a, 1)
    assert dropped(a) == {"superseded": 1}
    assert None not in held
    assert outbox.take_slot(b) is None
    assert dropped(b) == {"overload": 1}


def test_without_an_engine_frames_are_dropped_as_overload(ledger):
    lane = Lane("a", ledger.row(0))
    assert Outbox().take_slot(lane) is None
    assert dropped(lane) == {"overload": 1}


def test_a_closed_lane_takes_and_counts_nothing(outbox, ledger):
    lane = Lane("a", ledger.row(0))
    outbox.close_lane(lane)
    assert outbox.take_slot(lane) is None
    outbox.count_dropped(lane, DropReason.SAMPLED)
    assert lane.row.read().decoded == 0


def test_a_frame_whose_lane_was_closed_while_it_was_copied_is_closed(outbox, ledger):
    lane = Lane("a", ledger.row(0))
    slot = outbox.take_slot(lane)
    outbox.close_lane(lane)
    outbox.put(lane, slot, make_ticket(lane, slot))
    assert dropped(lane) == {"closed": 1}
    assert outbox.collect(0.0).tickets == ()


def test_closing_a_stream_drops_its_waiting_frame_and_tells_the_engine_once(outbox, ledger):
    lane = Lane("a", ledger.row(0))
    outbox.open_stream(StreamQos("a", QosSpec()))
    put(outbox, lane)
    outbox.close_lane(lane)
    outbox.close_stream("a")
    batch = outbox.collect(0.0)
    assert (batch.tickets, batch.opened, batch.closed) == ((), (), ("a",))
    assert dropped(lane) == {"closed": 1}
    assert outbox.collect(0.0).closed == ()


def test_draining_gives_up_on_frames_that_the_engine_does_not_release(outbox, ledger):
    lane = Lane("a", ledger.row(0))
    number = put(outbox, lane)
    outbox.collect(0.0)
    outbox.close_lane(lane)
    outbox.drain("a", timeout_s=0.01)
    assert dropped(lane) == {"closed": 1}
    outbox.settle([Release(number, None, 12.0)])
    assert lane.row.read().in_flight == 0
    assert len(outbox.slot_use().free) == NUM_SLOTS


def test_draining_does_not_wait_for_a_stream_that_was_opened_again(outbox, ledger):
    put(outbox, Lane("a", ledger.row(0)))
    outbox.collect(0.0)
    outbox.drain("a", timeout_s=60)
    assert len(outbox.slot_use().outstanding) == 1


def test_a_lost_engine_loses_what_it_held_and_what_waited(outbox, ledger, pool):
    lane = Lane("a", ledger.row(0))
    put(outbox, lane)
    outbox.collect(0.0)
    put(outbox, lane)
    outbox.lose_all()
    assert dropped(lane) == {"lost": 2}
    assert outbox.take_slot(lane) is None
    outbox.adopt(pool, PoolLease(pool.layout, range(NUM_SLOTS), 2))
    assert len(outbox.slot_use().free) == NUM_SLOTS


def test_a_slot_that_is_being_filled_survives_a_new_lease_of_the_same_pool(outbox, ledger, pool):
    lane = Lane("a", ledger.row(0))
    slot = outbox.take_slot(lane)
    outbox.lose_all()
    outbox.adopt(pool, PoolLease(pool.layout, range(NUM_SLOTS), 2))
    assert slot.number not in outbox.slot_use().free
    outbox.put(lane, slot, make_ticket(lane, slot))
    assert [ticket.slot for ticket in outbox.collect(0.0).tickets] == [slot.number]


def test_a_slot_of_a_pool_that_was_replaced_is_lost(outbox, ledger):
    lane, other = Lane("a", ledger.row(0)), FramePool.create(2, PICTURE.size_bytes)
    slot = outbox.take_slot(lane)
    outbox.adopt(other, PoolLease(other.layout, range(2), 1))
    other.unlink()
    outbox.put(lane, slot, make_ticket(lane, slot))
    assert dropped(lane) == {"lost": 1}
    assert outbox.slot_use().free == {0, 1}


def test_a_new_lease_is_told_of_all_streams(outbox, pool):
    for stream in ("a", "b"):
        outbox.open_stream(StreamQos(stream, QosSpec()))
    outbox.collect(0.0)
    outbox.close_stream("a")
    outbox.adopt(pool, PoolLease(pool.layout, range(NUM_SLOTS), 2))
    batch = outbox.collect(0.0)
    assert [qos.stream for qos in batch.opened] == ["b"]


class OutboxMachine(RuleBasedStateMachine):
    """Any order of calls: each slot is in one place, each frame ends in one."""

    max_waiting = 1

    def __init__(self):
        super().__init__()
        self.ledger = Ledger.create(3)
        self.pool = FramePool.create(NUM_SLOTS, PICTURE.size_bytes)
        self.outbox = Outbox(self.max_waiting)
        self.lanes = [Lane(name, self.ledger.row(i)) for i, name in enumerate("abc")]
        self.held: list[tuple[Lane, Slot]] = []
        self.generation = itertools.count()
        self.leased = range(0)

    def teardown(self):
        for lane, slot in self.held:
            self.outbox.give_back(lane, slot, DropReason.CORRUPT)
        self.outbox.lose_all()
        for lane in self.lanes:
            assert lane.row.read().in_flight == 0
        self.ledger.unlink()
        self.pool.unlink()

    @rule(lane=st.integers(0, 2))
    def take(self, lane):
        slot = self.outbox.take_slot(self.lanes[lane])
        if slot is not None:
            self.held.append((self.lanes[lane], slot))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def put(self, data):
        lane, slot = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.outbox.put(lane, slot, make_ticket(lane, slot))

    @precondition(lambda self: self.held)
    @rule()
    def give_back(self):
        self.outbox.give_back(*self.held.pop(), DropReason.CORRUPT)

    @rule(lane=st.integers(0, 2), reason=st.sampled_from(DropReason))
    def drop(self, lane, reason):
        self.outbox.count_dropped(self.lanes[lane], reason)

    @rule()
    def collect(self):
        self.outbox.collect(0.0)

    @rule(slot=st.integers(0, NUM_SLOTS), reason=st.sampled_from([None, DropReason.DEADLINE]))
    def settle(self, slot, reason):
        self.outbox.settle([Release(slot, reason, 10.5)])

    @rule(lane=st.integers(0, 2))
    def replace_session(self, lane):
        old = self.lanes[lane]
        self.outbox.close_lane(old)
        self.lanes[lane] = Lane(old.stream, old.row)

    @rule(lane=st.integers(0, 2))
    def close_stream(self, lane):
        self.replace_session(lane)
        self.outbox.close_stream(self.lanes[lane].stream)
        self.outbox.drain(self.lanes[lane].stream, 0.0)

    @rule(num=st.integers(1, NUM_SLOTS), is_new=st.booleans())
    def adopt(self, num, is_new):
        if is_new:
            self.pool.unlink()
            self.pool = FramePool.create(NUM_SLOTS, PICTURE.size_bytes)
        self.leased = range(num)
        lease = PoolLease(self.pool.layout, self.leased, next(self.generation))
        self.outbox.adopt(self.pool, lease)

    @rule()
    def lose(self):
        self.leased = range(0)
        self.outbox.lose_all()

    @invariant()
    def each_slot_is_in_exactly_one_place(self):
        use = self.outbox.slot_use()
        places = [*use.free, *use.held & set(self.leased), *use.waiting, *use.outstanding]
        assert sorted(places) == list(self.leased)

    @invariant()
    def each_frame_is_in_flight_or_has_ended(self):
        use = self.outbox.slot_use()
        in_flight = sum(self.ledger.row(i).read().in_flight for i in range(3))
        assert in_flight <= len(use.waiting) + len(use.outstanding) + len(self.held)
        assert in_flight >= len(use.waiting) + len(self.held)


OutboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOutboxInAnyOrder = OutboxMachine.TestCase


class PatientOutboxMachine(OutboxMachine):
    """The same where frames wait for the ones before them."""

    max_waiting = 3


PatientOutboxMachine.TestCase.settings = OutboxMachine.TestCase.settings
TestPatientOutboxInAnyOrder = PatientOutboxMachine.TestCase
