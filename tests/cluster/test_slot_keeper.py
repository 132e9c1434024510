"""What a slot claims, ends and publishes, against a real registry; only its actors are played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.ingest.properties import SourceProperties
from actors.messages import StreamState
from cluster.embedded import EmbeddedRedis
from cluster.placement import Axes, slot_load
from cluster.registry import Registry
from cluster.slot.surroundings import look_after_end_s, wait_for_others_s
from tests.cluster.builders import fresh_prefix
from tests.cluster.keeping import Slot, add

FULL_HD = SourceProperties("h264", 1920, 1080, 25.0, True, None)


@pytest.fixture
def slot(server: EmbeddedRedis) -> Iterator[Slot]:
    """A slot whose cameras close as soon as they are asked about."""
    registry = Registry.open(server.url, fresh_prefix())
    made = Slot(registry)
    yield made
    made.end()
    registry.close()


def test_a_full_slot_takes_another_stream_only_when_one_has_ended(slot: Slot) -> None:
    add(slot, "a", "b")
    slot.turn()
    slot.registry.streams.delete("a")
    add(slot, "c")
    slot.turn()
    slot.turn()
    assert slot.held == {"b"}
    assert "c" not in slot.registry.leases.lookup(["c"])
    assert slot.keeper.finish_closing(0.0)
    slot.turn()
    assert slot.held == {"b", "c"}
    assert slot.crew.opened == ["a", "b", "c"]


def test_unknown_streams_are_taken_by_a_guess_and_go_where_they_turn_out_too_large(
    server: EmbeddedRedis,
) -> None:
    registry = Registry.open(server.url, fresh_prefix())
    slot = Slot(registry, max_streams=8)
    capacity = Axes(100.0, 70.0)
    add(slot, "a")
    slot.turn(capacity)
    slot.see("a", StreamState.RUNNING, source=replace(FULL_HD, width=640, height=360))
    slot.keeper.publish(0.0)
    slot.turn(capacity)
    add(slot, "b", "c", "d")
    slot.turn(capacity)
    assert slot.held == {"a", "b", "c", "d"}, "as 1080p each, one would have filled the slot"
    assert slot.keeper.num_assumed == 3
    slot.see("b", StreamState.RUNNING, source=FULL_HD)
    slot.keeper.publish(1.0)
    slot.see("c", StreamState.RUNNING, source=FULL_HD)
    slot.keeper.publish(2.0)
    slot.turn(capacity)
    assert slot.held == {"a", "d"}, "11.5 and 14.4 of 70; neither of the others fits beside them"
    slot.keeper.finish_closing(0.0)
    slot.turn(capacity)
    assert slot.held == {"a", "d"}, "what they take is known now"
    slot.end()
    registry.close()


def test_a_slot_looks_again_at_once_after_a_claim_and_soon_while_others_should(
    slot: Slot,
) -> None:
    add(slot, "a")
    assert slot.keeper.place() == 0.0
    assert slot.keeper.place() is None, "nothing is free"
    empty = slot_load("slot-0", [], max_streams=9)
    slot.registry.slots.publish_load("slot-0", empty.to_json(), 60_000)
    add(slot, "b")
    assert slot.keeper.place() == wait_for_others_s(1), "it is for the emptier slot"
    assert slot.held == {"a"}


def test_a_disabled_stream_makes_room_only_when_it_has_ended(slot: Slot) -> None:
    add(slot, "a", "b", "c")
    slot.turn()
    add(slot, "a", enabled=False)
    slot.turn()
    assert slot.held == {"b"}
    slot.keeper.finish_closing(0.0)
    slot.turn()
    assert slot.held == {"b", "c"}


def test_a_lease_whose_claim_was_never_answered_is_left_to_run_out(slot: Slot) -> None:
    add(slot, "a")
    slot.registry.leases.claim("slot-a", ["a"], 60_000)
    add(slot, "a", enabled=False)
    slot.turn()
    assert slot.held == set()


def test_a_stream_that_could_not_be_let_go_is_let_go_later(
    slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(slot, "a")
    slot.turn()
    slot.keeper.close_all()
    with monkeypatch.context() as patched:
        patched.setattr(slot.registry.leases, "release", failing)
        with pytest.raises(ConnectionError):
            slot.keeper.finish_closing(0.0)
    assert slot.keeper.finish_closing(0.0)
    assert len(slot.holdings) == 0
    assert slot.registry.leases.lookup(["a"]) == {}


def failing(*_: object) -> None:
    raise ConnectionError("Redis is away")


def test_a_deleted_stream_leaves_no_status_for_one_that_is_added_under_its_id(slot: Slot) -> None:
    add(slot, "a", "b")
    slot.turn()
    slot.keeper.publish(0.0)
    assert set(slot.registry.leases.statuses("ab")) == {"a", "b"}
    slot.registry.streams.delete("a")
    slot.turn()
    add(slot, "a")
    slot.keeper.publish(0.0)
    slot.keeper.finish_closing(0.0)
    assert set(slot.registry.leases.statuses("ab")) == {"b"}
    slot.turn()
    slot.keeper.publish(0.0)
    assert set(slot.registry.leases.statuses("ab")) == {"a", "b"}


def test_a_disabled_stream_keeps_its_last_status(slot: Slot) -> None:
    add(slot, "a")
    slot.turn()
    add(slot, "a", enabled=False)
    slot.turn()
    slot.keeper.finish_closing(0.0)
    assert set(slot.registry.leases.statuses("a")) == {"a"}


def test_streams_whose_floors_do_not_fit_are_left_and_given_up_when_the_capacity_falls(
    slot: Slot,
) -> None:
    add(slot, "a", qos={"class": "high", "min_fps": 4})
    add(slot, "b", qos={"class": "low", "min_fps": 8})
    slot.turn(Axes(10))
    assert slot.held == {"a"}
    slot.turn(Axes(20))
    assert slot.held == {"a", "b"}
    slot.turn(Axes(11))
    assert slot.held == {"a", "b"}
    slot.turn(Axes(10))
    assert slot.held == {"a"}
    slot.keeper.finish_closing(0.0)
    slot.turn(Axes(12))
    assert slot.held == {"a"}


def let_go(slot: Slot, stream: str, source: SourceProperties) -> None:
    """The slot has had a stream with such a source, and has it no more."""
    slot.turn()
    slot.see(stream, StreamState.RUNNING, source=source)
    slot.keeper.publish(0.0)
    slot.keeper.close_all()
    slot.keeper.finish_closing(0.0)


def test_the_decoding_of_held_streams_leaves_no_room_for_others_and_is_remembered(
    slot: Slot,
) -> None:
    add(slot, "a")
    slot.turn()
    slot.see("a", StreamState.RUNNING, source=FULL_HD)
    slot.keeper.publish(0.0)
    assert slot.keeper.decode_load_mpx_s == pytest.approx(57.6)
    add(slot, "b")
    slot.turn(Axes(0, 115))
    assert slot.held == {"a"}
    slot.turn(Axes(0, 20))
    assert slot.held == {"a"}
    slot.turn(Axes(0, 116))
    assert slot.held == {"a", "b"}


def test_what_decoding_a_stream_took_is_known_when_it_is_free_again(slot: Slot) -> None:
    add(slot, "a")
    let_go(slot, "a", replace(FULL_HD, width=640, height=360))
    assert slot.keeper.decode_load_mpx_s == 0.0
    slot.turn(Axes(0, 11))
    assert slot.held == set()
    slot.turn(Axes(0, 12))
    assert slot.held == {"a"}


def test_a_changed_spec_may_name_another_source_whose_cost_is_not_known(slot: Slot) -> None:
    add(slot, "a")
    let_go(slot, "a", replace(FULL_HD, width=3840, height=2160))
    slot.turn(Axes(0, 60))
    assert slot.held == set()
    add(slot, "a", url="rtsp://127.0.0.1:8554/sub")
    slot.turn(Axes(0, 60))
    assert slot.held == {"a"}


def test_changes_of_state_are_handed_on_once_each(slot: Slot) -> None:
    add(slot, "a")
    slot.turn()
    slot.keeper.publish(0.0)
    for now, state in enumerate(["running", "running", "reconnecting", "running"], start=1):
        slot.see("a", StreamState(state))
        slot.keeper.publish(float(now))
    assert slot.told == [
        (None, "connecting"),
        ("connecting", "running"),
        ("running", "reconnecting"),
        ("reconnecting", "running"),
    ]


def test_a_change_that_no_shard_could_take_is_handed_on_later(slot: Slot) -> None:
    add(slot, "a")
    slot.turn()
    slot.see("a", StreamState.RUNNING)
    slot.crew.hears = False
    slot.keeper.publish(0.0)
    slot.crew.hears = True
    slot.keeper.publish(0.5)
    assert slot.told == [(None, "running")]


def test_a_slot_that_takes_over_goes_on_from_the_state_that_was_told(slot: Slot) -> None:
    add(slot, "a")
    slot.turn()
    slot.see("a", StreamState.RUNNING)
    slot.keeper.publish(0.0)
    slot.registry.leases.release("slot-a", slot.holdings.tokens())
    successor = Slot(slot.registry)
    successor.turn()
    successor.see("a", StreamState.RUNNING, since=50.0)
    successor.keeper.publish(0.0)
    successor.see("a", StreamState.FAILED, since=60.0)
    successor.keeper.publish(1.0)
    successor.end()
    assert successor.told == [("running", "failed")]


def test_what_a_stream_does_while_it_is_ended_is_no_news(slot: Slot) -> None:
    add(slot, "a")
    slot.turn()
    slot.see("a", StreamState.RUNNING)
    slot.keeper.publish(0.0)
    slot.keeper.close_all()
    slot.see("a", StreamState.FAILED)
    slot.keeper.publish(5.0)
    assert slot.told == [(None, "running")]


def test_leases_end_before_the_time_in_which_others_shall_have_their_streams(slot: Slot) -> None:
    add(slot, "a")
    slot.turn()
    for _ in range(2):  # as claimed, and as renewed
        left_ms = slot.registry._store.command("PTTL", slot.registry._store.key("lease", "a"))
        assert 50_000 < left_ms <= 0.9 * 60_000
        slot.keeper.renew()


def test_a_slot_without_streams_knows_when_the_first_lease_of_another_ends(slot: Slot) -> None:
    idle = Slot(slot.registry, "slot-b")
    assert idle.keeper.renew() == float("inf")
    add(slot, "a")
    slot.turn()
    assert 50.0 < idle.keeper.renew() <= 54.0 + look_after_end_s("slot-b", 0)
    idle.end()
