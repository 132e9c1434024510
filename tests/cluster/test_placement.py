"""Where streams run: who takes a free one, who makes room, and what is moved."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from actors.ingest.decode_cost import ASSUMED_MPX_S
from actors.specs import StreamSpec
from cluster.placement import (
    STEP_S,
    Axes,
    Decision,
    SlotLoad,
    assumed_mpx_s,
    decide,
    need_of,
    slot_load,
)
from cluster.placement.axes import fitting, is_overcommitted, room
from tests.cluster.placement_model import Cluster, Slot, need

MUCH = Axes(100.0, 1000.0)


def cluster_of(*slots: Slot, **owned: str) -> Cluster:
    """Slots, and streams of one kind that they own: ``a="x y"``."""
    owner = {stream: slot for slot, streams in owned.items() for stream in streams.split()}
    return Cluster({s.name: s for s in slots}, {s: need(s) for s in owner}, owner)


def streams(num: int, **kind: object) -> dict[str, object]:
    return {f"cam{at:03d}": need(f"cam{at:03d}", **kind) for at in range(num)}  # type: ignore[arg-type]


def test_a_stream_needs_its_floor_its_decoding_and_the_labels_of_its_job() -> None:
    spec = StreamSpec.model_validate(
        {
            "id": "gate",
            "url": "rtsp://camera/1",
            "qos": {"class": "high", "min_fps": 7},
            "max_fps": 4,
            "placement": {"labels": {"site": "north"}, "spread": "entrance"},
        }
    )
    wanted = need_of(spec, None)
    assert (wanted.stream, wanted.rank, wanted.spread) == ("gate", 1, "entrance")
    assert wanted.axes == Axes(4, ASSUMED_MPX_S)
    assert wanted.labels == {"site": "north"}
    assert need_of(spec, 11.5).axes == Axes(4, 11.5)


def known(name: str, *mpx_s: float) -> SlotLoad:
    held = [need(f"{name}{at}", decode_mpx_s=each) for at, each in enumerate(mpx_s)]
    return slot_load(name, held, max_streams=9)


def test_a_stream_of_unknown_source_is_taken_for_what_the_others_take() -> None:
    assert assumed_mpx_s([]) == ASSUMED_MPX_S
    assert assumed_mpx_s([known("s1", 20.0, 40.0), known("s2", 24.0)]) == pytest.approx(28.0)


def test_it_is_taken_for_a_quarter_of_1080p_at_the_least_and_for_1080p_at_the_most() -> None:
    assert assumed_mpx_s([known("s1", 3.0)]) == ASSUMED_MPX_S / 4
    assert assumed_mpx_s([known("s1", 213.0)]) == ASSUMED_MPX_S


def test_cameras_that_do_not_open_and_guesses_teach_nothing() -> None:
    guess = dataclasses.replace(need("b", decode_mpx_s=14.4), is_assumed=True)
    load = slot_load("s1", [need("a", decode_mpx_s=0.0), guess], max_streams=9)
    assert (load.num_known, load.known_mpx_s) == (0, 0.0)
    assert load.taken.decode_mpx_s == 14.4
    assert assumed_mpx_s([load]) == ASSUMED_MPX_S


def test_streams_taken_by_a_guess_that_was_too_low_go_again_the_least_important_first() -> None:
    held = [
        need("sure", 3, decode_mpx_s=20.0),
        dataclasses.replace(need("a", 1, decode_mpx_s=58.0), is_on_trial=True),
        dataclasses.replace(need("b", 2, decode_mpx_s=58.0), is_on_trial=True),
        dataclasses.replace(need("c", 3, decode_mpx_s=14.0), is_assumed=True, is_on_trial=True),
    ]
    capacity = Axes(100.0, 100.0)
    load = slot_load("s1", held, max_streams=9, capacity=capacity)
    assert decide(load, held, [], []).release == ("b",)
    settled = [dataclasses.replace(each, is_on_trial=False) for each in held]
    assert decide(load, settled, [], []).release == ()
    unmeasured = slot_load("s1", held, max_streams=9)
    assert decide(unmeasured, held, [], []).release == ()


@pytest.mark.parametrize(
    "placement", [{"labels": {"": "x"}}, {"labels": {"a": "b c"}}, {"spread": "a b"}, {"pool": 1}]
)
def test_a_placement_that_means_nothing_is_refused(placement: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="placement"):
        StreamSpec.model_validate({"id": "a", "url": "rtsp://c/1", "placement": placement})


def test_a_load_survives_the_way_through_the_registry() -> None:
    held = [need("a", 0, 5.0, 57.6), need("b", 2, 1.0, 11.5, "gate"), need("c", 2, spread="gate")]
    load = slot_load(
        "s1", held, max_streams=9, capacity=MUCH, node="m1", labels={"pool": "x"}, is_draining=True
    )
    assert SlotLoad.from_json(load.to_json()) == load
    assert load.num_by_rank == (1, 0, 2, 0)
    assert load.groups == {"gate": 2}


def test_a_slot_sees_its_own_load_as_the_others_do() -> None:
    thirds = [need(f"s{number}", number % 4, 1 / 3, 57.6 / 7) for number in range(107)]
    capacity = Axes(4200.0 / 7, 9900.0 / 7)
    load = slot_load("a", thirds, max_streams=256, capacity=capacity)
    assert SlotLoad.from_json(load.to_json()) == load


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"name": "a", "capacity": 3}'])
def test_what_is_no_load_is_none(text: str) -> None:
    assert SlotLoad.from_json(text) is None


def test_a_load_of_another_version_is_read_as_far_as_it_goes() -> None:
    load = SlotLoad.from_json('{"name": "a", "later": [1], "max": 3, "taken": [[1, 2]]}')
    assert load == SlotLoad(
        "a", max_streams=3, taken=Axes(1, 2), by_rank=(Axes(1, 2), Axes(), Axes(), Axes())
    )


def test_the_emptiest_slot_takes_a_free_stream_and_the_others_leave_it_alone() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH), Slot("c", MUCH), a="x y", b="z")
    cluster.needs["new"] = need("new")
    assert cluster.decision("c") == Decision(claim=("new",))
    assert cluster.decision("a") == cluster.decision("b") == Decision()


def test_equals_are_chosen_by_name_and_a_smaller_slot_counts_as_fuller() -> None:
    cluster = cluster_of(Slot("a", Axes(20, 200)), Slot("b", MUCH), Slot("c", MUCH))
    cluster.needs["new"] = need("new")
    assert [cluster.decision(name).claim for name in "abc"] == [(), ("new",), ()]


def test_the_next_best_takes_over_step_by_step() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH), Slot("c", MUCH))
    cluster.needs["new"] = need("new")
    cluster.free()
    for seconds, claiming in ((0.0, "a"), (STEP_S, "ab"), (2 * STEP_S, "abc")):
        cluster.now = seconds
        found = [name for name in "abc" if cluster.decision(name).claim]
        assert found == list(claiming)


def test_the_most_important_are_claimed_first_and_equals_by_id() -> None:
    cluster = cluster_of(Slot("a", MUCH, max_streams=3))
    classes = {"a": 3, "d": 1, "c": 1, "b": 0}
    cluster.needs = {stream: need(stream, rank) for stream, rank in classes.items()}
    assert cluster.decision("a").claim == ("b", "c", "d")


def test_many_cameras_at_once_are_shared_evenly_in_one_round() -> None:
    cluster = cluster_of(*(Slot(f"s{at}", MUCH) for at in range(8)))
    cluster.needs = streams(80)  # type: ignore[assignment]
    cluster.round()
    assert set(Counter(cluster.owner.values()).values()) == {10}


def test_where_facts_are_old_no_more_than_one_owner_comes_of_it() -> None:
    cluster = cluster_of(*(Slot(f"s{at}", MUCH) for at in range(8)))
    cluster.is_stale = True
    cluster.needs = streams(80)  # type: ignore[assignment]
    assert cluster.settle(30) <= 3
    assert len(cluster.owner) == 80
    assert cluster.moved == cluster.released == []


def test_a_stream_runs_only_where_all_of_its_labels_are() -> None:
    north = {"site": "north", "pool": "gpu"}
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH, labels=north), Slot("c", MUCH))
    cluster.needs = {
        "near": need("near", site="north"),
        "far": need("far", site="north", pool="cpu"),
    }
    cluster.settle(20)
    assert cluster.owner == {"near": "b"}


def test_a_stream_whose_labels_its_slot_does_not_have_any_more_goes_where_they_are() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH, labels={"site": "north"}), a="x y")
    cluster.needs["x"] = need("x", site="north")
    assert cluster.decision("a").release == ("x",)


def test_a_group_is_spread_over_machines_first_and_then_over_their_slots() -> None:
    slots = [Slot(f"{m}{n}", MUCH, node=m) for m in "ab" for n in (1, 2)]
    cluster = cluster_of(*slots)
    cluster.needs = streams(6, spread="gate")  # type: ignore[assignment]
    cluster.settle(20)
    held = Counter(cluster.owner.values())
    assert Counter(cluster.slots[s].node for s in cluster.owner.values()) == {"a": 3, "b": 3}
    assert max(held.values()) - min(held.values()) == 1


def test_a_group_is_kept_together_rather_than_without_an_owner() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH, max_streams=0))
    cluster.needs = streams(3, spread="gate")  # type: ignore[assignment]
    cluster.settle(20)
    assert set(cluster.owner.values()) == {"a"}


def test_a_group_that_came_together_is_taken_apart_when_there_is_a_place() -> None:
    cluster = cluster_of(Slot("a", MUCH), a="x y z")
    cluster.needs = {s: need(s, spread="gate") for s in "xyz"}
    cluster.slots["b"] = Slot("b", MUCH)
    cluster.settle(20)
    assert Counter(cluster.owner.values()) == {"a": 2, "b": 1}
    assert len(cluster.moved) == 1


def test_what_is_not_measured_yet_refuses_nothing() -> None:
    cluster = cluster_of(Slot("a"))
    cluster.needs = streams(5, floor_fps=900.0, decode_mpx_s=9000.0)  # type: ignore[assignment]
    assert len(cluster.decision("a").claim) == 5


def test_a_slot_that_is_not_measured_yet_is_taken_for_one_like_the_others() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b"), Slot("c", MUCH))
    cluster.needs = streams(30)  # type: ignore[assignment]
    cluster.settle(30)
    assert set(Counter(cluster.owner.values()).values()) == {10}


def test_a_floor_that_does_not_fit_makes_smaller_ones_not_wait() -> None:
    cluster = cluster_of(Slot("a", Axes(10.0)))
    cluster.needs = {"big": need("big", 0, 20.0), "small": need("small", 2, 1.0)}
    assert cluster.decision("a").claim == ("small",)


def test_floors_are_claimed_up_to_nine_tenths_of_the_capacity_and_decoding_up_to_all_of_it() -> (
    None
):
    cluster = cluster_of(Slot("a", Axes(10.0, 100.0)))
    cluster.needs = streams(9, floor_fps=4.0, decode_mpx_s=1.0)  # type: ignore[assignment]
    assert len(cluster.decision("a").claim) == 2
    cluster.needs = streams(9, floor_fps=0.0, decode_mpx_s=25.0)  # type: ignore[assignment]
    assert len(cluster.decision("a").claim) == 4


def test_the_least_of_lower_classes_makes_room_for_a_stream_that_fits_nowhere() -> None:
    cluster = cluster_of(Slot("a", Axes(10.0, 100.0)))
    cluster.needs = {
        "low1": need("low1", 3, 1.0),
        "low2": need("low2", 3, 2.0),
        "low3": need("low3", 3, 4.0),
        "normal": need("normal", 2, 2.0),
    }
    cluster.owner = dict.fromkeys(cluster.needs, "a")
    cluster.needs["urgent"] = need("urgent", 0, 4.0)
    cluster.free()
    assert cluster.decision("a") == Decision(), "it may fit elsewhere in a moment"
    cluster.now = STEP_S
    assert cluster.decision("a").release == ("low3",)
    cluster.settle(20)
    assert cluster.owner["urgent"] == "a"
    assert cluster.released == ["low3"]


def test_equals_are_not_displaced_and_nobody_goes_for_what_would_not_fit_anyway() -> None:
    cluster = cluster_of(Slot("a", Axes(10.0)), a="x y z")
    cluster.needs |= {"equal": need("equal", 2, 9.0), "huge": need("huge", 0, 90.0)}
    cluster.settle(20)
    assert cluster.released == []


def test_streams_make_room_on_the_slot_where_only_the_lowest_class_has_to_go() -> None:
    cluster = cluster_of(Slot("a", Axes(10.0)), Slot("b", Axes(10.0)))
    cluster.needs = {
        "normal": need("normal", 2, 9.0),
        "low": need("low", 3, 9.0),
        "urgent": need("urgent", 1, 3.0),
    }
    cluster.owner = {"normal": "a", "low": "b"}
    cluster.settle(20)
    assert cluster.owner == {"normal": "a", "urgent": "b"}


def test_a_full_slot_displaces_by_number_too() -> None:
    cluster = cluster_of(Slot("a", MUCH, max_streams=3), a="x y z")
    cluster.needs["urgent"] = need("urgent", 0)
    cluster.settle(20)
    assert len(cluster.owner) == 3
    assert cluster.owner["urgent"] == "a"


def test_when_the_capacity_falls_for_good_the_least_important_go_and_stay_away() -> None:
    cluster = cluster_of(Slot("a", Axes(9.0)))
    cluster.needs = {s: need(s, rank, 4.0) for s, rank in (("a", 3), ("b", 2), ("c", 2))}
    cluster.owner = dict.fromkeys(cluster.needs, "a")
    assert cluster.decision("a") == Decision(release=("a",))
    del cluster.owner["a"]
    for capacity_fps in (9.0, 10.0, 11.0, 13.0):
        cluster.change("a", capacity=Axes(capacity_fps))
        assert cluster.decision("a") == Decision()


def test_a_capacity_that_moves_by_a_tenth_around_its_mean_changes_nothing() -> None:
    cluster = cluster_of(Slot("a", Axes(11.0)))
    cluster.needs = streams(12, floor_fps=1.0)  # type: ignore[assignment]
    cluster.settle(20)
    for capacity_fps in (9.0, 10.0, 11.0, 9.5, 9.0):
        cluster.change("a", capacity=Axes(capacity_fps))
        assert cluster.decision("a") == Decision()


def test_nothing_that_is_held_is_given_up_for_its_decoding_alone() -> None:
    cluster = cluster_of(Slot("a", Axes(0.0, 100.0)))
    cluster.needs = streams(8, decode_mpx_s=230.0)  # type: ignore[assignment]
    cluster.owner = dict.fromkeys(cluster.needs, "a")
    assert cluster.decision("a") == Decision()


def test_a_slot_that_joins_gets_few_streams_at_a_time_and_no_more_than_its_share() -> None:
    small = Axes(20.0, 200.0)
    cluster = cluster_of(*(Slot(f"s{at}", small) for at in range(9)))
    cluster.needs = streams(144)  # type: ignore[assignment]
    cluster.settle(30)
    cluster.slots["new"] = Slot("new", small)
    gains = []
    for _ in range(60):
        before = len(cluster.moved)
        cluster.round()
        gains.append(len(cluster.moved) - before)
    assert max(gains) <= 6
    assert len(cluster.held("new")) == len(cluster.moved) <= 144 // 10
    assert len(cluster.held("new")) >= 10
    assert cluster.decision("new") == Decision()


def test_slots_that_are_not_half_full_keep_what_they_have() -> None:
    cluster = cluster_of(Slot("a", Axes(100.0, 1000.0)))
    cluster.needs = streams(31)  # type: ignore[assignment]
    cluster.settle(20)
    cluster.slots["b"] = Slot("b", MUCH)
    cluster.settle(20)
    assert cluster.moved == []


def test_the_least_important_and_the_heaviest_are_moved() -> None:
    cluster = cluster_of(Slot("a", Axes(20.0, 2000.0)), Slot("b", Axes(20.0, 2000.0)))
    cluster.needs = {
        "urgent": need("urgent", 0, 5.0),
        "light": need("light", 3, 1.0),
        "heavy": need("heavy", 3, 4.0),
        "normal": need("normal", 2, 5.0),
    }
    cluster.owner = dict.fromkeys(cluster.needs, "a")
    assert dict(cluster.decision("a").move) == {"heavy": "b", "light": "b"}


def test_streams_on_their_way_are_waited_for_before_others_are_moved() -> None:
    cluster = cluster_of(Slot("a", Axes(20.0)), Slot("b", Axes(20.0)))
    cluster.needs = streams(17)  # type: ignore[assignment]
    cluster.owner = dict.fromkeys(cluster.needs, "a")
    first = cluster.decision("a")
    assert len(first.move) == 2
    cluster.obey("a", first)
    assert cluster.decision("a") == Decision()
    assert set(cluster.decision("b").claim) == set(first.move)


def test_a_reservation_is_kept_while_it_lasts_and_forgotten_with_its_slot() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH, max_streams=9), b="x y")
    cluster.needs["moved"] = need("moved")
    cluster.reserved["moved"] = ("b", 3.0)
    assert cluster.decision("a") == Decision()
    assert cluster.decision("b").claim == ("moved",)
    cluster.now = 3.0
    assert cluster.decision("a").claim == ("moved",)
    cluster.now = 0.0
    del cluster.slots["b"]
    assert cluster.decision("a").claim == ("moved",)


def test_a_slot_that_drains_takes_nothing_and_hands_all_over() -> None:
    cluster = cluster_of(Slot("a", MUCH), Slot("b", MUCH), Slot("c", MUCH), a="w x y z", b="v")
    cluster.change("a", is_draining=True)
    cluster.needs["new"] = need("new")
    decision = cluster.decision("a")
    assert decision.claim == ()
    assert Counter(decision.move.values()) == {"b": 2, "c": 2}
    cluster.settle(20)
    assert cluster.held("a") == []


def test_what_fits_never_exceeds_the_room() -> None:
    needs = {"a": Axes(4, 10), "b": Axes(4, 95), "c": Axes(1, 10)}
    assert fitting(needs, "abc", room(Axes(10, 100), Axes())) == ["a", "c"]
    assert fitting(needs, "abc", room(Axes(), Axes(900, 9000))) == ["a", "b", "c"]


@pytest.mark.parametrize(("floors", "is_clear"), [(10.0, False), (11.0, False), (11.1, True)])
def test_streams_go_only_for_floors_of_which_there_are_clearly_too_many(
    floors: float, is_clear: bool
) -> None:
    assert is_overcommitted(Axes(10.0, 1.0), Axes(floors, 99.0)) == is_clear
    assert not is_overcommitted(Axes(0.0, 1.0), Axes(floors, 99.0))
