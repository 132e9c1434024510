"""The arithmetic of the cluster benchmark; how fast slots come is not tested."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.bench.claims import all_hold
from cluster.bench.scaling.figures import claims_of, percentiles_s, placement_of
from cluster.bench.scaling.run import ScalingPlan


def slot(name: str, *actors: tuple[str, int, tuple[str, ...]]) -> dict[str, Any]:
    told = [{"name": actor, "pid": pid, "gpus": gpus} for actor, pid, gpus in actors]
    return {"name": name, "details": {"actors": told}}


ENGINE, INGEST, ANALYTICS = ("engine", 1, ("0",)), ("ingest-0", 2, ("0",)), ("analytics-0", 3, ())
FIRST = slot("s1", ENGINE, INGEST, ANALYTICS)
SECOND = slot("s2", ("engine", 4, ("0",)), ("ingest-0", 5, ("0",)))
NODES = {1: "node-a", 2: "node-a", 3: "node-a", 4: "node-b", 5: "node-b"}


def test_slots_are_told_with_their_node_and_the_gpus_that_ray_shows_their_actors() -> None:
    first, second = placement_of([FIRST, SECOND], NODES)
    assert first == {
        "slot": "s1",
        "nodes": ["node-a"],
        "gpus": [("node-a", "0")],
        "on_gpu": ["engine", "ingest-0"],
    }
    assert second["gpus"] == [("node-b", "0")]


def test_percentiles_are_of_all_cameras() -> None:
    assert percentiles_s([n / 100 for n in range(101)]) == {"p50": 0.5, "p95": 0.95, "max": 1.0}


@pytest.mark.parametrize(("cameras", "slots"), [(2, 1), (4, 1), (5, 2), (10, 3), (40, 3)])
def test_slots_are_wanted_for_four_fifths_of_what_each_can_hold(cameras: int, slots: int) -> None:
    assert ScalingPlan(num_cameras=cameras, num_machines=3, streams_a_slot=5).num_wanted == slots


def figures(**fields: Any) -> dict[str, Any]:
    return {
        "warm": {"first_detection_s": {"p50": 0.9, "p95": 1.9}},
        "together": {"first_detection_s": {"p50": 0.9, "p95": 1.9}},
        "up": {"running_slot_s": {"p50": 0.9, "p95": 1.9}},
        "placement": placement_of([FIRST, SECOND], NODES),
        "dropped": {"lost": 0, "closed": 3},
        "down": {"longest_silence_s": 0.4},
    } | fields


def test_all_claims_hold_where_each_figure_is_within_its_limit() -> None:
    assert all_hold(claims_of(figures()))


BROKEN = [
    figures(warm={"first_detection_s": {"p50": 1.1, "p95": 1.9}}),
    figures(warm={"first_detection_s": {"p50": 0.9, "p95": 2.1}}),
    figures(up={"running_slot_s": {"p50": 1.1, "p95": 1.9}}),
    figures(together={"first_detection_s": {"p50": 0.9, "p95": 2.1}}),
    figures(placement=placement_of([FIRST, FIRST], NODES)),
    figures(placement=placement_of([FIRST, SECOND], {**NODES, 4: "node-a", 5: "node-a"})),
    figures(placement=placement_of([FIRST, SECOND], {**NODES, 5: "node-a"})),
    figures(placement=placement_of([slot("s1", ENGINE, ("ingest-0", 2, ()))], NODES)),
    figures(placement=placement_of([slot("s1", ANALYTICS)], NODES)),
    figures(dropped={"lost": 1}),
    figures(down={"longest_silence_s": 2.5}),
]


@pytest.mark.parametrize("found", BROKEN)
def test_a_figure_beyond_its_limit_or_a_shared_gpu_breaks_a_claim(found: dict[str, Any]) -> None:
    assert not all_hold(claims_of(found))
