"""Slots that leave or die at the same moment, in every order and in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cluster.bench.simulator.cameras import camera
from cluster.bench.simulator.crowd import Crowd
from cluster.bench.simulator.paper import Note
from cluster.bench.simulator.timeline import Timeline
from cluster.embedded import EmbeddedRedis
from cluster.registry.store import connect
from cluster.slot.timetable import LOOK_EVERY_S

TTL_S = 5.0
ENDS_AFTER_S = 0.3
KEPT_S = 1.0
AT_ONCE_S = ENDS_AFTER_S + 0.2 * LOOK_EVERY_S
"""Seldom would a slot look so soon that nobody has called."""


class Scene:
    """Slots in virtual time, cameras whose frames take a while to end, and who had which when."""

    def __init__(self, url: str, slots: str, num_cameras: int) -> None:
        client = connect(url)
        client.flushall()
        client.close()
        self.crowd = Crowd(url, TTL_S, ENDS_AFTER_S)
        self.crowd.start(slots)
        self.crowd.run(2.0)
        for number in range(num_cameras):
            self.crowd.registry.streams.create(camera(number))
        self.crowd.run(3.0)
        self.streams = {camera(number).id for number in range(num_cameras)}
        self.timeline = Timeline()
        self.timeline.add(self.crowd.notes())
        self.began = self.crowd.now
        self.notes: list[Note] = []

    def until(self, has_come: Callable[[], bool]) -> None:
        assert self.crowd.run(30.0, has_come)
        self.notes += self.crowd.notes()

    def is_chosen(self) -> bool:
        """Whether some camera is being closed, for another slot."""
        self.notes += self.crowd.notes()
        return any(not note.is_open for note in self.notes)

    def is_reserved(self) -> bool:
        store = self.crowd.registry._store
        return bool(store.command("HLEN", store.key("moves")))

    def is_claimed(self) -> bool:
        return self.crowd.counts()["b"] > 0

    @property
    def openers(self) -> list[str]:
        return [note.slot for note in self.notes if note.is_open]

    def leave(self, order: str, ahead_s: float) -> None:
        """Two slots are told to leave, the first so much before the second."""
        first, second = tuple(order)
        self.crowd.drain(first)
        self.crowd.run(ahead_s)
        self.crowd.drain(second)

    def gaps_s(self, dead: str = "") -> list[float]:
        """How long streams had nobody. Each had one owner at a time, who knew what was before."""
        self.timeline.add(self.notes)
        assert self.timeline.num_overlaps(dead) == 0
        assert self.timeline.num_with_state(self.began) == len(self.openers)
        assert self.crowd.registry.leases.free(1_000) == []
        return self.timeline.gaps_s(self.streams, self.began)


@pytest.fixture
def three(server: EmbeddedRedis) -> Iterator[Scene]:
    """Slot a has the only stream and would give it to b, and b to c."""
    scene = Scene(server.url, "abc", 1)
    assert scene.crowd.counts() == {"a": 1, "b": 0, "c": 0}
    yield scene
    scene.crowd.close()


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("ahead_s", [0.0, 0.02, 0.2])
def test_a_stream_of_slots_that_leave_together_moves_once_whichever_begins(
    three: Scene, order: str, ahead_s: float
) -> None:
    three.leave(order, ahead_s)
    three.until(lambda: three.crowd.counts() == {"c": 1})
    assert three.openers == ["c"]
    assert max(three.gaps_s()) < AT_ONCE_S


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("ahead_s", [0.26, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0])
def test_a_stream_waits_for_no_slot_whichever_begins_to_leave_first(
    three: Scene, order: str, ahead_s: float
) -> None:
    three.leave(order, ahead_s)
    three.until(lambda: three.crowd.counts() == {"c": 1})
    assert max(three.gaps_s()) < AT_ONCE_S


@pytest.mark.parametrize(
    ("stage", "openers"),
    [(Scene.is_chosen, ["c"]), (Scene.is_reserved, ["c"]), (Scene.is_claimed, ["b", "c"])],
)
def test_a_stream_goes_on_at_once_where_the_slot_leaves_that_it_goes_to(
    three: Scene, stage: Callable[[Scene], bool], openers: list[str]
) -> None:
    three.crowd.drain("a")
    three.until(lambda: stage(three))
    three.crowd.drain("b")
    three.until(lambda: three.crowd.counts() == {"c": 1})
    assert three.openers == openers
    assert max(three.gaps_s()) < AT_ONCE_S


@pytest.mark.parametrize("ahead_s", [0.0, 0.5, 4.0])
def test_a_stream_that_goes_to_a_slot_that_was_dead_waits_for_no_lease(
    three: Scene, ahead_s: float
) -> None:
    three.crowd.stop("b")
    three.crowd.run(ahead_s)
    three.crowd.drain("a")
    three.until(lambda: three.crowd.counts() == {"c": 1})
    assert three.openers == ["c"]
    assert max(three.gaps_s()) < ENDS_AFTER_S + KEPT_S + 1.1 * LOOK_EVERY_S


@pytest.mark.parametrize("stage", [Scene.is_chosen, Scene.is_reserved])
def test_a_stream_waits_for_no_lease_of_a_slot_that_dies_before_it_has_it(
    three: Scene, stage: Callable[[Scene], bool]
) -> None:
    three.crowd.drain("a")
    three.until(lambda: stage(three))
    three.crowd.stop("b")
    three.until(lambda: three.crowd.counts() == {"c": 1})
    assert three.openers == ["c"]
    assert max(three.gaps_s()) < ENDS_AFTER_S + KEPT_S + 1.1 * LOOK_EVERY_S


def test_a_stream_of_a_slot_that_dies_once_it_has_it_has_another_within_the_lease(
    three: Scene,
) -> None:
    three.crowd.drain("a")
    three.until(three.is_claimed)
    died_at = three.crowd.stop("b")
    three.until(lambda: three.crowd.counts() == {"c": 1})
    *_, last = (note for note in three.notes if note.is_open)
    assert three.openers == ["b", "c"]
    assert last.at - died_at <= TTL_S


def test_many_streams_of_slots_that_leave_together_move_once_each_with_its_state(
    server: EmbeddedRedis,
) -> None:
    scene = Scene(server.url, "abcde", 60)
    leaving = "abcd"
    for slot in leaving:
        scene.crowd.drain(slot)
    scene.until(lambda: scene.crowd.counts() == {"e": 60})
    assert max(scene.gaps_s()) < AT_ONCE_S
    assert scene.openers == ["e"] * 48
    scene.crowd.close()
