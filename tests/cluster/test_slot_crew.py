"""Changes of streams go to the shard that has the stream, and wait for one that is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError

from actors.analytics.status import AnalyticsStatus
from actors.analytics.stream_state import StateChange
from actors.inference.actor import shard_of
from actors.messages import DegradeStep, StreamState
from cluster.slot import child as child_module
from cluster.slot.child import Child
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings
from cluster.slot.role import Role
from tests.cluster.builders import stream_record

NUM_SHARDS = 2


def change(stream: str) -> StateChange:
    running, none = StreamState.RUNNING, DegradeStep.NONE
    return StateChange(stream, "1.0", 5.0, running, "", "", none, None, None)


def shard(number: int, heard: list[StateChange]) -> Child:
    """An analytics actor that answers, and notes what it is told."""
    handle: Any = SimpleNamespace(report_states=SimpleNamespace(remote=heard.extend))
    made = Child(f"analytics-{number}", handle, lambda _: None)
    made.status = AnalyticsStatus("a", {}, (), 0)
    return made


def test_each_change_goes_to_the_shard_of_its_stream() -> None:
    heard: list[list[StateChange]] = [[], []]
    crew = Crew.__new__(Crew)
    crew._shards = Role([shard(number, notes) for number, notes in enumerate(heard)])
    changes = [change(f"cam{number}") for number in range(8)]
    assert sorted(c.stream for c in crew.report_states(changes)) == [c.stream for c in changes]
    for number, notes in enumerate(heard):
        assert notes == [c for c in changes if shard_of(c.stream, NUM_SHARDS) == number]
        assert notes


def test_what_a_shard_that_is_away_should_hear_is_not_taken_as_told() -> None:
    heard: list[list[StateChange]] = [[], []]
    crew = Crew.__new__(Crew)
    crew._shards = Role([shard(number, notes) for number, notes in enumerate(heard)])
    crew.shards[1].status = None
    changes = [change(f"cam{number}") for number in range(8)]
    assert crew.report_states(changes) == heard[0]
    assert heard[1] == []
    assert len(heard[0]) < len(changes)


def test_a_stream_whose_shard_died_moves_without_what_was_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[bytes] = [b"state"]

    def get(_: object) -> bytes:
        if not answers:
            raise RayActorError
        return answers.pop()

    monkeypatch.setattr(ray, "get", get)
    crew = Crew.__new__(Crew)
    assert crew.exported("reference") == b"state"
    assert crew.exported("reference") == b""
    assert "moves without" in caplog.text


def test_a_shard_that_comes_back_is_not_given_streams_that_leave() -> None:
    opened: list[str] = []

    class Shard(Child):
        def call(self, method: str, *args: Any) -> Any:
            opened.extend(a.spec.id for a in args if method == "open_stream")

    crew = Crew.__new__(Crew)
    crew._holdings, crew._model, crew._shard_addresses = Holdings(4, 1), None, {}
    crew._shards = Role([Shard("analytics-0", None, lambda _: None)])
    for stream in ("stays", "leaves"):
        crew._holdings.add(stream_record(stream), 1)
    crew._holdings.close("leaves")
    crew._shard_started(crew.shards[0])
    assert opened == ["stays"]


class Asked:
    """The handle of an actor that counts how often it is asked; an answer is there at once."""

    def __init__(self) -> None:
        self.num = 0
        self.status = SimpleNamespace(remote=self._ask)

    def _ask(self) -> tuple[str, int]:
        self.num += 1
        return "the status number", self.num


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers were looked for at once, of a Ray that is played."""
    seen: list[int] = []

    def wait(references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        seen.append(len(references))
        return references, []

    def get(reference: tuple[str, int]) -> AnalyticsStatus:
        return AnalyticsStatus("a", {}, (), reference[1])

    monkeypatch.setattr(child_module, "ray", SimpleNamespace(wait=wait, get=get))
    monkeypatch.setattr(Child, "_started", lambda _: None)
    return seen


def crew_of(*handles: Any) -> Crew:
    crew = Crew.__new__(Crew)
    children = [Child(f"analytics-{n}", each, lambda _: None) for n, each in enumerate(handles)]
    crew._shards, crew._engines, crew._ingests = Role(children), Role([]), Role([])
    return crew


def test_actors_that_are_not_ready_are_asked_until_they_are(
    looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crew, "ready", property(lambda crew: all(c.ready for c in crew.all)))
    actors = Asked(), Asked()
    crew = crew_of(*actors)
    for now in range(6):
        crew.poll(float(now), is_asking=False)
    assert [each.num for each in actors] == [1, 1]
    assert crew.ready
    assert looks == [2]


def test_a_crew_that_is_complete_is_asked_only_where_somebody_wants_to_know(
    looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crew, "ready", True)
    actors = Asked(), Asked()
    crew = crew_of(*actors)
    for now, is_asking in enumerate((True, False, False, False, True, False)):
        crew.poll(float(now), is_asking=is_asking)
    assert [each.num for each in actors] == [2, 2]
    assert [child.status for child in crew.all] == [AnalyticsStatus("a", {}, (), 2)] * 2
    assert looks == [2, 2]
