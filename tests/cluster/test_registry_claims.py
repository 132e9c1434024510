"""The policy by which slots take streams and give them up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.specs import QosClass
from cluster.registry import Lease, StreamRecord, plan_claims
from tests.cluster.builders import stream_record

RANK = list(QosClass)
STREAMS = [f"cam{number}" for number in range(12)]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, StreamRecord], dict[str, Lease]]:
    desired = {
        stream: stream_record(
            stream,
            enabled=draw(st.booleans()),
            pipeline=draw(st.sampled_from(["default", "night"])),
            qos={"class": draw(st.sampled_from(RANK))},
        )
        for stream in draw(st.sets(st.sampled_from(STREAMS)))
    }
    leased = draw(st.dictionaries(st.sampled_from(STREAMS), st.sampled_from("ab")))
    leases = {stream: Lease(slot, n) for n, (stream, slot) in enumerate(leased.items())}
    return desired, leases


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


@given(world=worlds(), capacity=st.integers(0, 8))
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    world: tuple[dict[str, StreamRecord], dict[str, Lease]], capacity: int
) -> None:
    desired, leases = world
    plan = plan_claims(desired, leases, "a", capacity)
    after = {stream: lease for stream, lease in leases.items() if stream not in plan.release}
    after |= {stream: Lease("a", 100) for stream in plan.claim}
    again = plan_claims(desired, after, "a", capacity)
    assert (again.claim, again.release) == ((), ())


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
