"""The demo's report: what was decoded, inferred, dropped and seen, and whether it was right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.demo.feeds import Feed
from cluster.demo.rtsp.process import ServedCamera
from cluster.demo.scoring import Happening, Match, Score, match, reported_event, true_events
from cluster.demo.streaming import is_balanced
from cluster.demo.world import Truth

if TYPE_CHECKING:
    from cluster.demo.session import Watched


def build_report(
    feeds: Sequence[Feed], cameras: Mapping[str, ServedCamera], seen: Watched, setup_s: float
) -> dict[str, Any]:
    """The report as JSON values; times in seconds, from the process's start without set-up."""
    classes = {feed.name: feed.qos_class for feed in feeds}
    first_event_s = None if seen.first_event is None else seen.first_event - seen.began
    return {
        "setup_s": round(setup_s, 2),
        "submitted_s": round(seen.submitted - seen.began, 2),
        "first_event_s": None if first_event_s is None else round(first_event_s, 2),
        "watched_s": round(seen.span[1] - seen.span[0], 2),
        "streams": [_stream(stats, classes[stats["id"]]) for stats in seen.streams],
        "events": dict(sorted(Counter(e["type"] for e in seen.events).items())),
        "tracks": _num_tracks(seen.events),
        "ledger_balanced": all(is_balanced(stats) for stats in seen.streams),
        "truth": _truth(feeds, cameras, seen),
    }


def _stream(stats: dict[str, Any], qos_class: str) -> dict[str, Any]:
    keys = ("decoded", "inferred", "dropped", "analysed", "reconnects", "latency_ms", "source")
    return {
        "id": stats["id"],
        "class": qos_class,
        **{key: stats[key] for key in keys},
    }


def _num_tracks(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many different objects of each class events speak of."""
    tracks = {(e["stream"], e["track"], e["class"]) for e in events if e.get("class")}
    return dict(sorted(Counter(str(label) for _, _, label in tracks).items()))


def _truth(
    feeds: Sequence[Feed], cameras: Mapping[str, ServedCamera], seen: Watched
) -> dict[str, Any] | None:
    """Precision and recall of line crossings, and each that was not right; None without a truth."""
    found = {
        feed.name: _match(feed.name, feed.truth, cameras[feed.name].epoch, seen)
        for feed in feeds
        if feed.truth is not None
    }
    if not found:
        return None
    epochs = {name: camera.epoch for name, camera in cameras.items()}
    return {
        **_as_dict(sum((one.score for one in found.values()), Score(0, 0, 0, 0))),
        "cameras": {name: _as_dict(one.score) for name, one in found.items()},
        "wrong": [_told(each, epochs) for one in found.values() for each in one.wrong],
        "missed": [_told(each, epochs) for one in found.values() for each in one.missed],
    }


def _told(crossing: Happening, epochs: Mapping[str, float]) -> dict[str, Any]:
    """``at_s`` is since the camera's first picture; its film begins anew again and again."""
    at_s = round(crossing.at_s - epochs[crossing.camera], 2)
    where = {"camera": crossing.camera, "rule": crossing.rule}
    return {**where, "direction": crossing.direction, "at_s": at_s}


def _match(camera: str, truth: Truth, epoch: float, seen: Watched) -> Match:
    reported = [
        reported_event(camera, event, truth, epoch, seen.span)
        for event in seen.events
        if event["type"] == "line_cross" and event["stream"] == camera
    ]
    return match(true_events(camera, truth, epoch, seen.span), reported)


def _as_dict(value: Score) -> dict[str, float]:
    return {
        "precision": round(value.precision, 4),
        "recall": round(value.recall, 4),
        "happened": value.num_true,
        "reported": value.num_reported,
        "found": value.num_found,
    }
