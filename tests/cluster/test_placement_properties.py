"""Slots that decide each for itself: on clusters of any shape, from any state."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cluster.placement import STEP_S, Axes, Decision, Need
from tests.cluster.placement_model import RESERVED_S, Cluster, Slot, need

SITES = st.sampled_from([{}, {"site": "north"}, {"site": "south"}])
CAPACITIES = st.builds(
    Axes, st.sampled_from([0.0, 5.0, 12.0, 40.0]), st.sampled_from([0.0, 60.0, 130.0, 600.0])
)
FLOORS = st.sampled_from([0.0, 0.5, 1.0, 3.0, 8.0])
COSTS = st.sampled_from([0.0, 5.0, 11.5, 57.6])
SETTLED_AFTER = 120
SIMULATED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def clusters(draw: st.DrawFn, has_unknown: bool = True) -> Cluster:
    capacities = CAPACITIES
    if not has_unknown:
        capacities = CAPACITIES.filter(lambda axes: axes.infer_fps > 0 and axes.decode_mpx_s > 0)
    slots = {
        name: Slot(
            name,
            draw(capacities),
            draw(st.integers(0, 12)),
            node=draw(st.sampled_from(["m1", "m2", "m3"])),
            labels=draw(SITES),
        )
        for name in draw(st.sets(st.sampled_from("abcde"), min_size=1))
    }
    needs = {
        f"cam{at:02d}": Need(
            f"cam{at:02d}",
            draw(st.integers(0, 3)),
            Axes(draw(FLOORS), draw(COSTS)),
            draw(SITES),
            draw(st.sampled_from(["", "", "gate"])),
        )
        for at in range(draw(st.integers(0, 16)))
    }
    return Cluster(slots, needs, is_stale=draw(st.booleans()))


@st.composite
def running(draw: st.DrawFn) -> Cluster:
    """In any state that keeps the limits, however it came to be."""
    cluster = draw(clusters())
    for stream, wanted in cluster.needs.items():
        name = draw(st.sampled_from(["", *cluster.slots]))
        if name and cluster.could_hold(name, wanted):
            cluster.owner[stream] = name
    return cluster


def fits_somewhere(cluster: Cluster, wanted: Need) -> bool:
    return any(cluster.could_hold(name, wanted) for name in cluster.slots)


def waiting(cluster: Cluster) -> list[Need]:
    return [cluster.needs[stream] for stream in cluster.needs.keys() - cluster.owner.keys()]


@SIMULATED
@given(cluster=running())
def test_from_any_state_it_comes_to_rest_with_an_owner_for_each_stream_that_fits(
    cluster: Cluster,
) -> None:
    cluster.settle(SETTLED_AFTER)
    for wanted in waiting(cluster):
        assert not any(cluster.could_hold(name, wanted) for name in cluster.slots)


@SIMULATED
@given(cluster=running())
def test_nobody_waits_for_room_that_lower_classes_have(cluster: Cluster) -> None:
    cluster.settle(SETTLED_AFTER)
    for wanted in waiting(cluster):
        assert not any(cluster.could_hold(name, wanted, True) for name in cluster.slots)


@SIMULATED
@given(cluster=running())
def test_the_same_facts_give_the_same_decisions_in_whatever_order_they_are_told(
    cluster: Cluster,
) -> None:
    for name in cluster.slots:
        first = cluster.decision(name)
        cluster.needs = dict(reversed(cluster.needs.items()))
        cluster.owner = dict(reversed(cluster.owner.items()))
        loads = {each: cluster.load(each) for each in reversed(cluster.slots)}
        assert cluster.decision(name, loads) == first


@SIMULATED
@given(cluster=running())
def test_two_slots_that_know_the_same_never_want_the_same_stream_at_once(cluster: Cluster) -> None:
    wanted = [s for name in cluster.slots for s in cluster.decision(name).claim]
    assert len(wanted) == len(set(wanted))


@SIMULATED
@given(cluster=running(), silent=st.sampled_from("abcde"))
def test_a_slot_that_does_not_answer_keeps_no_stream_from_the_others_for_long(
    cluster: Cluster, silent: str
) -> None:
    """It is known to the others and holds what it has, but never decides."""
    assume(silent in cluster.slots and len(cluster.slots) > 1)
    others = [name for name in cluster.slots if name != silent]
    for _ in range(30):
        cluster.round(others)
    for wanted in waiting(cluster):
        waited_s = cluster.now - cluster.free_since[wanted.stream]
        could = any(cluster.could_hold(name, wanted) for name in others)
        assert not could or waited_s <= RESERVED_S + STEP_S * len(cluster.slots)


@SIMULATED
@given(cluster=running(), data=st.data())
def test_what_gives_way_is_of_a_lower_class_makes_room_and_is_not_one_too_many(
    cluster: Cluster, data: st.DataObject
) -> None:
    """For one stream that fits nowhere."""
    free = [wanted for wanted in waiting(cluster) if not fits_somewhere(cluster, wanted)]
    assume(free)
    wanted = data.draw(st.sampled_from(free))
    cluster.needs = {s: n for s, n in cluster.needs.items() if s in cluster.owner or n is wanted}
    cluster.free_since[wanted.stream] = -STEP_S
    releasing = {name: cluster.decision(name).release for name in cluster.slots}
    gone = [(name, stream) for name, streams in releasing.items() for stream in streams]
    able = any(cluster.could_hold(name, wanted, True) for name in cluster.slots)
    assert bool(gone) == able
    assert len({name for name, _ in gone}) <= 1, "one slot makes room"
    assert all(cluster.needs[stream].rank > wanted.rank for _, stream in gone)
    owner = dict(cluster.owner)
    for name, spared in gone:
        others = {stream for _, stream in gone} - {spared}
        cluster.owner = {s: slot for s, slot in owner.items() if s not in others}
        assert not cluster.could_hold(name, wanted)
        del cluster.owner[spared]
        assert cluster.could_hold(name, wanted)


@SIMULATED
@given(cluster=clusters(has_unknown=False), data=st.data())
def test_the_death_of_a_slot_moves_no_stream_of_another(
    cluster: Cluster, data: st.DataObject
) -> None:
    """Where there is room for all, of the same class: nobody has to give way."""
    cluster.needs = {s: need(s, decode_mpx_s=5.0) for s in cluster.needs}
    for name in cluster.slots:
        cluster.change(name, capacity=Axes(100, 1000), max_streams=40)
    cluster.settle(SETTLED_AFTER)
    cluster.moved.clear()
    before = dict(cluster.owner)
    gone = cluster.kill(data.draw(st.sampled_from(sorted(cluster.slots))))
    cluster.settle(SETTLED_AFTER)
    changed = {stream for stream, slot in before.items() if cluster.owner.get(stream) != slot}
    assert changed == gone
    assert cluster.moved == []


@SIMULATED
@given(cluster=running())
def test_once_at_rest_a_drained_slot_gives_away_all_that_fits_elsewhere(cluster: Cluster) -> None:
    cluster.settle(SETTLED_AFTER)
    name = min(cluster.slots)
    cluster.change(name, is_draining=True)
    decision = cluster.decision(name)
    assert (decision.claim, decision.release) == ((), ())
    for wanted in cluster.held(name):
        if wanted.stream not in decision.move:
            continue
        assert decision.move[wanted.stream] != name
        assert wanted.labels.items() <= cluster.slots[decision.move[wanted.stream]].labels.items()
    cluster.settle(SETTLED_AFTER)
    for wanted in cluster.held(name):
        assert not any(cluster.could_hold(other, wanted) for other in cluster.slots)


@SIMULATED
@given(cluster=running())
def test_a_decision_that_was_carried_out_leaves_the_slot_nothing_to_do_at_once(
    cluster: Cluster,
) -> None:
    for name in sorted(cluster.slots):
        first = cluster.decision(name)
        cluster.obey(name, Decision(first.claim, first.release, {}))
        again = cluster.decision(name)
        assert again.release == ()
        assert not set(again.claim) & set(first.claim)
