"""The demo's report and its table tell what was seen, and how right it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cluster.client import ApiClient
from cluster.demo.feeds import Feed
from cluster.demo.report import build_report
from cluster.demo.rtsp.process import ServedCamera
from cluster.demo.session import Watched
from cluster.demo.streaming import is_balanced
from cluster.demo.table import render
from cluster.demo.watch import EventWatch
from cluster.demo.world import Scenario, Truth, TruthEvent
from cluster.embedded import free_port

EPOCH = 1_750_000_000.0
CLIP = Path("/clips/a.mp4")


def truth(*times_s: float) -> Truth:
    events = (TruthEvent("line_cross", "instant", "in", 1, 0, t, "forward") for t in times_s)
    return Truth(Scenario(seed=1, view="bridge", duration_s=40.0), (), tuple(events))


def feed(name: str, known: Truth | None = None, qos_class: str = "high") -> Feed:
    return Feed(name, CLIP, "", qos_class, (), known)


def crossing(camera: str, t_s: float, track: int = 1, label: str = "car") -> dict[str, Any]:
    return {
        "type": "line_cross",
        "stream": camera,
        "ts": round((EPOCH + t_s) * 1e3),
        "rule": "in",
        "track": track,
        "class": label,
        "data": {"direction": "forward"},
    }


def stats(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "state": "running",
        "reason": "",
        "fps": 25.0,
        "decoded": 100,
        "inferred": 40,
        "dropped": {"sampled": 60, "deadline": 0},
        "analysed": 40,
        "reconnects": 0,
        "latency_ms": {"p50": 12.345, "p95": 20.0, "p99": 30.0},
        "source": {"codec": "h264", "width": 640, "height": 360, "fps": 25.0},
        **fields,
    }


def report(feeds: list[Feed], seen: Watched) -> dict[str, Any]:
    cameras = {f.name: ServedCamera(f.name, "rtsp://h/x", EPOCH, 25.0, 40.0) for f in feeds}
    made = build_report(feeds, cameras, seen, setup_s=3.333)
    assert json.loads(json.dumps(made)) == made
    return made


@pytest.fixture
def seen() -> Watched:
    events = [
        crossing("a", 10.0),
        crossing("a", 20.1, track=2, label="lorry"),
        crossing("a", 25.0, track=2, label="lorry"),
        crossing("b", 10.0),
        {**crossing("b", 11.0, track=3), "type": "zone_exit"},
        {"type": "zone_enter", "stream": "b", "track": 1, "class": "car", "rule": "bay"},
        {"type": "stream_state", "stream": "a", "track": None, "class": ""},
    ]
    return Watched(
        began=EPOCH - 10,
        submitted=EPOCH - 4.5,
        span=(EPOCH + 1, EPOCH + 35),
        first_event=EPOCH + 2.125,
        streams=[stats("a"), stats("b")],
        events=events,
    )


def test_times_count_from_the_start_of_the_process(seen: Watched) -> None:
    made = report([feed("a"), feed("b")], seen)
    assert (made["setup_s"], made["submitted_s"]) == (3.33, 5.5)
    assert (made["first_event_s"], made["watched_s"]) == (12.12, 34.0)


def test_without_an_event_there_is_no_time_of_the_first(seen: Watched) -> None:
    made = report([feed("a"), feed("b")], replace(seen, first_event=None, events=[]))
    assert (made["first_event_s"], made["events"], made["tracks"]) == (None, {}, {})


def test_events_are_counted_by_type_and_objects_by_class(seen: Watched) -> None:
    made = report([feed("a"), feed("b")], seen)
    assert made["events"] == {"line_cross": 4, "stream_state": 1, "zone_enter": 1, "zone_exit": 1}
    assert made["tracks"] == {"car": 3, "lorry": 1}


def test_each_stream_is_told_with_its_class_and_counts(seen: Watched) -> None:
    first, second = report([feed("a"), feed("b", qos_class="low")], seen)["streams"]
    assert (first["id"], first["class"], second["class"]) == ("a", "high", "low")
    assert (first["decoded"], first["inferred"], first["dropped"]["sampled"]) == (100, 40, 60)


def test_one_stream_that_does_not_add_up_unbalances_the_ledger(seen: Watched) -> None:
    feeds = [feed("a"), feed("b")]
    assert report(feeds, seen)["ledger_balanced"] is True
    for wrong in (stats("b", decoded=101), stats("b", decoded=99)):
        assert not is_balanced(wrong)
        told = report(feeds, replace(seen, streams=[stats("a"), wrong]))
        assert told["ledger_balanced"] is False


def test_crossings_are_scored_by_camera_and_together(seen: Watched) -> None:
    made = report([feed("a", truth(10.0, 20.0, 30.0)), feed("b", truth(10.0))], seen)["truth"]
    assert made["cameras"]["a"] == {
        "precision": 0.6667,
        "recall": 0.6667,
        "happened": 3,
        "reported": 3,
        "found": 2,
    }
    assert made["cameras"]["b"]["precision"] == made["cameras"]["b"]["recall"] == 1.0
    assert (made["happened"], made["reported"], made["found"]) == (4, 4, 3)
    assert (made["precision"], made["recall"]) == (0.75, 0.75)
    where = {"camera": "a", "rule": "in", "direction": "forward"}
    assert made["wrong"] == [{**where, "at_s": 25.0}]
    assert made["missed"] == [{**where, "at_s": 30.0}]


def test_films_of_which_nothing_is_known_are_not_scored(seen: Watched) -> None:
    assert report([feed("a"), feed("b")], seen)["truth"] is None
    half = report([feed("a", truth(10.0)), feed("b")], seen)["truth"]
    assert list(half["cameras"]) == ["a"]


def test_the_table_has_a_line_for_each_camera() -> None:
    watch = EventWatch(ApiClient(f"http://127.0.0.1:{free_port()}"))
    streams = [
        stats("a"),
        stats("b", state="failed", reason="[refused]", latency_ms={}, dropped={"sampled": 0}),
    ]
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render([feed("a"), feed("b")], streams, watch, "http://x:8000", 12.0))
    watch.close()
    lines = console.export_text().splitlines()
    first = next(line for line in lines if " a " in line)
    second = next(line for line in lines if " b " in line)
    assert all(word in first for word in ("running", "25.0", "40", "sampled 60", "12.3", "20.0"))
    assert all(word in second for word in ("failed ([refused])", " - "))
    assert "http://x:8000" in lines[-1]
    assert "none yet" in lines[-1]
