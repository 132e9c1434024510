"""A stream that is switched off between two slots: what is open in its rules ends, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.analytics.events import Event, Phase
from actors.analytics.pipeline import StreamPipeline
from actors.analytics.shard import AnalyticsShard
from actors.sinks import open_sink
from cluster.config import SightlineConfig
from cluster.registry import Registry
from cluster.slot.holdings import Holding
from cluster.slot.plan import redis_sink
from tests.actors.builders import LABELS, detections, frame_result
from tests.cluster.builders import stream_spec
from tests.cluster.keeping import Actors, Slot, add

YARD = {"name": "yard", "kind": "zone", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
DRIVE = [frame_result(n, detections([(120 + 10 * n, 200)])) for n in range(30)]
"""A car drives to the right and into the yard."""


class Analysts(Actors):
    """A crew whose analytics are real, in this process."""

    shard: AnalyticsShard

    def open(self, holding: Holding, state: bytes = b"") -> None:
        super().open(holding, state)
        self.shard.open_stream(holding.assignment, state)

    def close_rules(self, stream: str, holding: Holding, state: bytes = b"") -> None:
        super().close_rules(stream, holding, state)
        if state:
            self.shard.end_exported(holding.assignment, state)
        else:
            self.shard.close_stream(stream)

    def export_rules(self, stream: str, holding: Holding) -> Any:
        return self.shard.export(stream)

    def exported(self, reference: Any) -> bytes:
        return bytes(reference)

    def ended(self, references: Sequence[Any]) -> list[Any]:
        return list(references)


MakeSlot = Callable[..., Slot]


@pytest.fixture
def slots(registry: Registry, redis_url: str, tmp_path: Path) -> Iterator[MakeSlot]:
    """Makes slots whose events go to Redis, with the fence of their registry."""
    made: list[Slot] = []

    def make(name: str, **options: Any) -> Slot:
        crew = Analysts()
        slot = Slot(registry, name, crew=crew, **options)
        where = {"url": redis_url, "prefix": registry._store.prefix, "spool_dir": tmp_path / name}
        sink = open_sink(redis_sink(SightlineConfig.model_validate({"redis": where})))
        crew.shard = AnalyticsShard(slot.ledger, [sink], name, LABELS)
        made.append(slot)
        return slot

    yield make
    for slot in made:
        shard_of(slot).close()
        slot.end()


def shard_of(slot: Slot) -> AnalyticsShard:
    assert isinstance(slot.crew, Analysts)
    return slot.crew.shard


def finish(slot: Slot, now: float = 0.0) -> None:
    """What the slot's loop does until all that leaves has left."""
    while not slot.keeper.finish_closing(now):
        pass


def told(*slots: Slot) -> list[Event]:
    """All events that these slots have written, in the order in which Redis has them."""
    for slot in slots:
        for sink in shard_of(slot)._sinks:
            assert sink.flush(20)
    store = slots[0].registry._store
    return [Event.from_fields(each) for _, each in store.client.xrange(store.key("events"))]


def handed_over(a: Slot, b: Slot) -> list[Event]:
    """A car stands in the yard when ``a`` hands the stream over, which ``b`` has not yet."""
    add(a, "gate", rules=[YARD], labels={"site": "north"})
    a.turn()
    b.turn()
    shard_of(a).process(DRIVE)
    a.drain()
    finish(a)
    assert len(a.holdings) == 0
    assert a.registry.leases.lookup(["gate"]) == {}
    return told(a)


def switch_off(slot: Slot) -> None:
    add(slot, "gate", rules=[YARD], enabled=False)


def delete(slot: Slot) -> None:
    slot.registry.streams.delete("gate")


def as_if_it_had_stayed() -> list[Event]:
    pipeline = StreamPipeline(stream_spec(rules=[YARD]), LABELS)
    events = [event for each in DRIVE for event in pipeline.process(each) or []]
    return events + pipeline.close()


@pytest.mark.parametrize("go", [switch_off, delete])
def test_what_is_open_in_a_stream_that_goes_between_two_slots_ends_once(
    slots: MakeSlot, go: Callable[[Slot], None]
) -> None:
    a, b, c = slots("a"), slots("b"), slots("c")
    (entered,) = handed_over(a, b)
    go(a)
    for slot in (b, c, a, b):
        slot.turn()
        slot.keeper.finish_closing(0.0)
    begun, ended = told(a, b, c)
    assert begun == entered
    assert [begun.id, ended.id] == [event.id for event in as_if_it_had_stayed()]
    assert (ended.phase, ended.data["begin_id"]) == (Phase.END, entered.id)
    assert (ended.slot, ended.labels) == ("b", {"site": "north"})
    assert len(b.holdings) == 0
    assert b.holdings.room == 2
    assert b.registry.leases.lookup(["gate"]) == {}


def test_a_slot_that_dies_before_it_has_ended_them_leaves_them_to_another_which_says_the_same(
    slots: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = slots("a", ttl_ms=4000), slots("b", ttl_ms=4000), slots("c", ttl_ms=4000)
    handed_over(a, b)
    delete(a)
    with monkeypatch.context() as patched:
        patched.setattr(b.registry.leases, "end_left", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            b.turn()
    told(b)  # else the two would write in any order
    c.turn()
    assert c.crew.closed == []
    store = a.registry._store
    store.command("DEL", store.key("lease:gate"))
    c.turn()
    _, first, second = told(a, b, c)
    assert (first.id, first.slot, second.slot) == (second.id, "b", "c")
    assert store.command("EXISTS", store.key("left")) == 0


def test_a_stream_that_moves_on_before_a_frame_of_it_was_seen_takes_along_what_is_open(
    slots: MakeSlot,
) -> None:
    a, b, c = slots("a"), slots("b"), slots("c")
    (entered,) = handed_over(a, b)
    b.turn()
    c.turn()
    assert b.held == {"gate"}
    b.drain()
    finish(b)
    c.turn()
    assert c.held == {"gate"}
    shard_of(c).process([frame_result(n, DRIVE[-1].detections, session=2) for n in range(30, 40)])
    delete(c)
    c.turn()
    finish(c)
    begun, ended = told(a, b, c)
    assert begun == entered
    assert (ended.slot, ended.track) == ("c", entered.track)
    assert (ended.phase, ended.data["begin_id"]) == (Phase.END, entered.id)


def test_a_stream_that_is_switched_on_again_starts_afresh_after_what_was_open_has_ended(
    slots: MakeSlot,
) -> None:
    a, b = slots("a"), slots("b")
    (entered,) = handed_over(a, b)
    switch_off(a)
    add(a, "gate", rules=[YARD])
    b.turn()
    b.turn()
    assert b.held == {"gate"}
    assert b.crew.adopted == {}
    _, ended = told(a, b)
    assert ended.data["begin_id"] == entered.id
    later = [frame_result(n, DRIVE[-1].detections, session=2, ts=1.7e9 + n) for n in range(90, 99)]
    shard_of(b).process(later)
    again = told(a, b)[-1]
    assert (again.phase, again.data["reason"]) == (Phase.BEGIN, "appeared")
    assert again.id != entered.id


def test_a_full_slot_leaves_them_to_another(slots: MakeSlot) -> None:
    a, b, c = slots("a"), slots("b", max_streams=1), slots("c")
    handed_over(a, b)
    delete(a)
    add(b, "other")
    b.keeper.place()
    assert b.held == {"other"}
    b.turn()
    assert b.crew.closed == []
    c.turn()
    assert c.crew.closed == ["gate"]


@pytest.mark.parametrize("go", [switch_off, delete])
def test_a_stream_that_goes_before_its_slot_hears_of_it_ends_there(
    slots: MakeSlot, go: Callable[[Slot], None]
) -> None:
    a, b = slots("a"), slots("b")
    add(a, "gate", rules=[YARD])
    a.turn()
    b.turn()
    shard_of(a).process(DRIVE)
    a.drain()
    go(a)
    finish(a)
    b.turn()
    begun, ended = told(a, b)
    assert (ended.data["begin_id"], ended.slot) == (begun.id, "a")
    assert a.registry.leases.lookup(["gate"]) == {}
    assert b.crew.closed == []


def test_what_nobody_took_for_long_ends_when_somebody_does(slots: MakeSlot) -> None:
    a, b = slots("a"), slots("b")
    (entered,) = handed_over(a, b)
    store = a.registry._store
    assert store.command("PTTL", store.key("state:gate")) > 7_200_000
    b.turn()
    assert b.held == {"gate"}
    hours_later = frame_result(0, DRIVE[-1].detections, session=2, ts=DRIVE[-1].ts + 7200)
    shard_of(b).process([hours_later])
    _, ended = told(a, b)
    assert (ended.data["begin_id"], ended.data["reason"]) == (entered.id, "session_ended")


def half_analysed(slot: Slot) -> None:
    """Its last frame was inferred, and the result is still on its way."""
    add(slot, "gate", rules=[YARD])
    slot.turn()
    row = slot.ledger.row(0)
    for _ in DRIVE:
        row.count_inferred(0.02, is_on_time=True)
    shard_of(slot).process(DRIVE[:-1])
    assert (row.read().inferred, row.read().analysed) == (30, 29)


@pytest.mark.parametrize("end", [lambda slot: slot.drain(), lambda slot: slot.keeper.close_all()])
def test_a_stream_is_let_go_when_the_result_of_its_last_frame_was_analysed(
    slots: MakeSlot, end: Callable[[Slot], object]
) -> None:
    a, b = slots("a"), slots("b")
    half_analysed(a)
    b.turn()
    end(a)
    assert not a.keeper.finish_closing(5.0)
    assert not a.keeper.finish_closing(5.1)
    assert a.crew.closed == []
    shard_of(a).process(DRIVE[-1:])
    finish(a, 5.2)
    assert len(a.holdings) == 0
    assert shard_of(a).status().num_unknown == 0


def test_for_a_result_that_never_comes_a_stream_waits_a_moment_only(slots: MakeSlot) -> None:
    a = slots("a")
    half_analysed(a)
    a.keeper.close_all()
    assert not a.keeper.finish_closing(5.0)
    assert not a.keeper.finish_closing(5.2)
    assert a.keeper.finish_closing(5.3)
    assert a.crew.closed == ["gate"]
