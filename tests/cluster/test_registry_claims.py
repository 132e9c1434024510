"""The policy by which slots take streams and give them up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.ingest.decode_cost import ASSUMED_MPX_S
from actors.specs import QosClass
from cluster.registry import Lease, StreamRecord, plan_claims
from cluster.registry.admission import HEADROOM, Axes, fitting, is_overcommitted, room, total
from tests.cluster.builders import stream_record

RANK = list(QosClass)
STREAMS = [f"cam{number}" for number in range(12)]
FLOORS = st.sampled_from([0, 0.5, 1, 2, 8])
CAPACITIES = st.sampled_from([0, 5, 10, 20, 40])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, StreamRecord], dict[str, Lease]]:
    desired = {
        stream: stream_record(
            stream,
            enabled=draw(st.booleans()),
            pipeline=draw(st.sampled_from(["default", "night"])),
            qos={"class": draw(st.sampled_from(RANK)), "min_fps": draw(FLOORS)},
        )
        for stream in draw(st.sets(st.sampled_from(STREAMS)))
    }
    leased = draw(st.dictionaries(st.sampled_from(STREAMS), st.sampled_from("ab")))
    leases = {stream: Lease(slot, n) for n, (stream, slot) in enumerate(leased.items())}
    return desired, leases


def streams(*floors: float, qos: str = "normal") -> dict[str, StreamRecord]:
    """Streams ``a``, ``b``, ... with these floors."""
    return {
        name: stream_record(name, qos={"class": qos, "min_fps": floor})
        for name, floor in zip("abcdefgh", floors, strict=False)
    }


def held(*names: str) -> dict[str, Lease]:
    return {name: Lease("slot", 1) for name in names}


@given(world=worlds(), capacity=st.integers(0, 8))
def test_a_plan_never_breaks_the_rules(
    world: tuple[dict[str, StreamRecord], dict[str, Lease]], capacity: int
) -> None:
    desired, leases = world
    plan = plan_claims(desired, leases, "a", capacity, {"default"})
    held = {stream for stream, lease in leases.items() if lease.slot == "a"}
    kept = held - set(plan.release)
    runnable = {
        stream
        for stream, record in desired.items()
        if record.spec.enabled and record.spec.pipeline == "default"
    }
    assert set(plan.release) <= held
    assert not set(plan.claim) & set(leases)
    assert kept | set(plan.claim) <= runnable
    assert len(kept) + len(plan.claim) <= capacity
    waiting = runnable - set(leases) - set(plan.claim)
    assert not waiting or len(kept) + len(plan.claim) == capacity
    assert len(kept) == min(capacity, len(held & runnable))
    order = [RANK.index(desired[stream].spec.qos.class_name) for stream in plan.claim]
    assert order == sorted(order)
    assert all(
        RANK.index(desired[stream].spec.qos.class_name) >= max(order, default=0)
        for stream in waiting
        if plan.claim
    )


@given(world=worlds(), max_streams=st.integers(0, 8), capacity_fps=CAPACITIES)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    world: tuple[dict[str, StreamRecord], dict[str, Lease]], max_streams: int, capacity_fps: float
) -> None:
    desired, leases = world
    plan = plan_claims(desired, leases, "a", max_streams, None, Axes(capacity_fps))
    after = {stream: lease for stream, lease in leases.items() if stream not in plan.release}
    after |= {stream: Lease("a", 100) for stream in plan.claim}
    again = plan_claims(desired, after, "a", max_streams, None, Axes(capacity_fps))
    assert (again.claim, again.release) == ((), ())


@given(world=worlds(), capacity_fps=CAPACITIES.filter(bool))
def test_what_is_claimed_fits_and_what_waits_does_not(
    world: tuple[dict[str, StreamRecord], dict[str, Lease]], capacity_fps: float
) -> None:
    desired, leases = world
    plan = plan_claims(desired, leases, "a", 99, None, Axes(capacity_fps))
    mine = {s for s, lease in leases.items() if lease.slot == "a"} - set(plan.release)
    floors = sum(desired[stream].spec.floor_fps for stream in mine | set(plan.claim))
    if any(desired[stream].spec.floor_fps for stream in plan.claim):
        assert floors <= capacity_fps * HEADROOM
    runnable = {stream for stream, record in desired.items() if record.spec.enabled}
    for stream in runnable - set(leases) - set(plan.claim):
        assert floors + desired[stream].spec.floor_fps > capacity_fps * HEADROOM


def test_the_most_important_are_claimed_first_and_equals_by_id() -> None:
    desired = {
        stream: stream_record(stream, qos={"class": qos})
        for stream, qos in [("a", "low"), ("d", "high"), ("c", "high"), ("b", "critical")]
    }
    assert plan_claims(desired, {}, "slot", 3).claim == ("b", "c", "d")


def test_above_capacity_the_least_important_are_given_up() -> None:
    desired = {
        stream: stream_record(stream, qos={"class": qos})
        for stream, qos in [("a", "low"), ("b", "normal"), ("c", "critical")]
    }
    leases = {stream: Lease("slot", 1) for stream in desired}
    assert plan_claims(desired, leases, "slot", 2).release == ("a",)


def test_floors_are_claimed_up_to_nine_tenths_of_the_capacity() -> None:
    desired = streams(4, 4, 1, 1)
    plan = plan_claims(desired, {}, "slot", 9, None, Axes(10))
    assert plan.claim == ("a", "b", "c")


def test_a_floor_that_does_not_fit_makes_smaller_ones_not_wait() -> None:
    desired = streams(20, qos="critical") | {"z": stream_record("z", qos={"min_fps": 1})}
    assert plan_claims(desired, {}, "slot", 9, None, Axes(10)).claim == ("z",)


def test_the_floor_of_a_slow_stream_is_no_more_than_it_may_infer() -> None:
    desired = {
        name: stream_record(name, max_fps=1, qos={"class": "critical"}) for name in "abcdefgh"
    }
    assert len(plan_claims(desired, {}, "slot", 9, None, Axes(10)).claim) == 8


def test_as_long_as_nothing_is_measured_no_floor_is_refused() -> None:
    assert len(plan_claims(streams(900, 900), {}, "slot", 9, None, Axes(0)).claim) == 2


def test_a_capacity_that_moves_by_a_tenth_around_its_mean_changes_nothing() -> None:
    desired = streams(2, 2, 2, 2, 1, 1)
    mine = held(*plan_claims(desired, {}, "slot", 9, None, Axes(11)).claim)
    for capacity_fps in (9, 10, 11, 9.5, 9):
        plan = plan_claims(desired, mine, "slot", 9, None, Axes(capacity_fps))
        assert (plan.claim, plan.release) == ((), ())


def test_when_the_capacity_falls_for_good_the_least_important_go_and_stay_away() -> None:
    desired = streams(4, 4, 4)
    desired["a"] = stream_record("a", qos={"class": "low", "min_fps": 4})
    plan = plan_claims(desired, held("a", "b", "c"), "slot", 9, None, Axes(9))
    assert (plan.claim, plan.release) == ((), ("a",))
    for capacity_fps in (9, 10, 11, 13):
        assert plan_claims(desired, held("b", "c"), "slot", 9, None, Axes(capacity_fps)).claim == ()


def test_streams_without_a_floor_are_never_given_up_for_floors() -> None:
    desired = streams(8, 8, 0, 0)
    assert plan_claims(desired, held(*"abcd"), "slot", 9, None, Axes(9)).release == ("b",)


COSTS = st.dictionaries(st.sampled_from(STREAMS), st.sampled_from([0.0, 5.0, 11.5, 57.6, 230.0]))
BOTH = st.builds(Axes, CAPACITIES, st.sampled_from([0, 40, 100, 400]))
NEEDS = st.builds(Axes, FLOORS, st.sampled_from([0.0, 5.0, 57.6]))


@given(world=worlds(), max_streams=st.integers(0, 8), capacity=BOTH, costs=COSTS)
def test_a_plan_by_both_axes_that_was_carried_out_leaves_nothing_to_do(
    world: tuple[dict[str, StreamRecord], dict[str, Lease]],
    max_streams: int,
    capacity: Axes,
    costs: dict[str, float],
) -> None:
    desired, leases = world
    plan = plan_claims(desired, leases, "a", max_streams, None, capacity, costs)
    after = {stream: lease for stream, lease in leases.items() if stream not in plan.release}
    after |= {stream: Lease("a", 100) for stream in plan.claim}
    again = plan_claims(desired, after, "a", max_streams, None, capacity, costs)
    assert (again.claim, again.release) == ((), ())


@given(world=worlds(), decode_mpx_s=st.sampled_from([40, 100, 400]), costs=COSTS)
def test_what_is_claimed_can_be_decoded_and_what_waits_cannot(
    world: tuple[dict[str, StreamRecord], dict[str, Lease]],
    decode_mpx_s: float,
    costs: dict[str, float],
) -> None:
    desired, leases = world
    plan = plan_claims(desired, leases, "a", 99, None, Axes(0, decode_mpx_s), costs)
    mine = {s for s, lease in leases.items() if lease.slot == "a"} - set(plan.release)
    load = sum(costs.get(stream, ASSUMED_MPX_S) for stream in mine | set(plan.claim))
    if any(costs.get(stream, ASSUMED_MPX_S) for stream in plan.claim):
        assert load <= decode_mpx_s
    runnable = {stream for stream, record in desired.items() if record.spec.enabled}
    for stream in runnable - set(leases) - set(plan.claim):
        assert load + costs.get(stream, ASSUMED_MPX_S) > decode_mpx_s


@given(
    needs=st.lists(NEEDS, max_size=8).map(lambda needs: dict(zip(STREAMS, needs, strict=False))),
    capacity=BOTH,
    taken=st.builds(Axes, st.integers(0, 50), st.integers(0, 500)),
)
def test_what_fits_never_exceeds_the_room_and_passes_over_only_what_does_not_fit(
    needs: dict[str, Axes], capacity: Axes, taken: Axes
) -> None:
    left = room(capacity, taken)
    chosen = fitting(needs, needs, left)
    sum_ = total(needs[stream] for stream in chosen)
    assert sum_.infer_fps <= left.infer_fps + 1e-6
    assert sum_.decode_mpx_s <= left.decode_mpx_s + 1e-6
    for stream in set(needs) - set(chosen):
        before = [each for each in chosen if STREAMS.index(each) < STREAMS.index(stream)]
        assert not needs[stream].fits(left - total(needs[each] for each in before))


@given(capacity=BOTH, taken=st.builds(Axes, st.integers(0, 60), st.integers(0, 600)))
def test_streams_go_only_for_floors_of_which_there_are_clearly_too_many(
    capacity: Axes, taken: Axes
) -> None:
    is_clear = 0 < capacity.infer_fps * 1.1 < taken.infer_fps
    assert is_overcommitted(capacity, taken) == is_clear


def test_streams_of_unknown_source_are_claimed_as_1080p_until_they_are_known() -> None:
    desired = streams(1, 1, 1, 1)
    first = plan_claims(desired, {}, "slot", 9, None, Axes(0, 130)).claim
    assert first == ("a", "b")
    known = dict.fromkeys(first, 11.5)
    rest = plan_claims(desired, held(*first), "slot", 9, None, Axes(0, 130), known)
    assert (rest.claim, rest.release) == (("c",), ())


def test_nothing_that_is_held_is_given_up_for_its_decoding() -> None:
    desired = streams(*[1] * 8)
    costs = dict.fromkeys("abcd", 230.0)
    plan = plan_claims(desired, held(*"abcdefg"), "slot", 9, None, Axes(0, 100), costs)
    assert (plan.claim, plan.release) == ((), ())


def test_a_sub_stream_fits_where_the_main_stream_does_not() -> None:
    desired = streams(1, 1)
    costs = {"a": 230.0, "b": 11.5}
    assert plan_claims(desired, {}, "slot", 9, None, Axes(0, 100), costs).claim == ("b",)
