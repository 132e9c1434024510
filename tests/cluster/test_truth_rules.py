"""Every kind of event is right in the synthetic world, given true boxes of all that is there.

What hides each other, errors of boxes and the detector are measured by ``sightline bench events``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np

from actors.analytics.events import Event
from actors.analytics.pipeline import StreamPipeline
from actors.messages import FrameResult
from actors.specs import StreamSpec
from cluster.demo.scoring import (
    Happening,
    Score,
    reported_event,
    score_by_type,
    true_events,
)
from cluster.demo.truth_rules import truth_rules
from cluster.demo.world import CLASSES, VIEWS, FrameTruth, Scenario, Truth, World
from cluster.demo.world.truth import EventType
from engines.detections import Detections

FPS, LENGTH_S, EPOCH = 10, 30.0, 1_750_000_000.0
TOLERANCE_S = 0.3
LEAST = 0.97
TYPES: tuple[EventType, ...] = (
    *("line_cross", "zone_enter", "zone_exit", "wrong_way", "illegal_parking"),
    *("loitering", "overcrowding", "speed", "object"),
)
SEED = 21


def result(frame: FrameTruth, size: tuple[int, int]) -> FrameResult:
    seen = ~frame.ignore
    found = Detections.of(frame.xyxy[seen], np.full(seen.sum(), 0.9), frame.class_id[seen])
    t_s = frame.t_s
    return FrameResult(
        "cam", 1, frame.index, t_s, EPOCH + t_s, 500 + t_s, size, "true", found, 500.1 + t_s
    )


def reported(truth: Truth) -> list[Event]:
    view, size = truth.scenario.view, (truth.scenario.width, truth.scenario.height)
    spec = StreamSpec.model_validate(
        {"id": "cam", "url": "rtsp://h/x", "rules": truth_rules(VIEWS[view])}
    )
    pipeline = StreamPipeline(spec, CLASSES)
    events = [
        event for frame in truth.frames for event in pipeline.process(result(frame, size)) or []
    ]
    return events + pipeline.close()


@cache
def open_truth(view: str) -> Truth:
    return World(Scenario(seed=SEED, view=view, fps=FPS, duration_s=LENGTH_S)).open_truth()


def both(truth: Truth) -> tuple[list[Happening], list[Happening]]:
    """What happened, and what was reported."""
    watched = (EPOCH, EPOCH + LENGTH_S - 1e-3)
    events = reported(truth)
    camera = f"{truth.scenario.view}-{truth.scenario.seed}"
    return true_events(camera, truth, EPOCH, watched, TYPES), [
        reported_event(camera, event.to_dict(), truth, EPOCH, watched) for event in events
    ]


def total(truths: Sequence[Truth]) -> dict[str, Score]:
    pairs = [both(truth) for truth in truths]
    true = [each for some, _ in pairs for each in some]
    said = [each for _, some in pairs for each in some]
    return score_by_type(true, said, TOLERANCE_S)


def assert_right(scores: dict[str, Score]) -> None:
    """Each type at least 0.97, or one slip of a track where there are few; all together in full."""
    everything = sum(scores.values(), Score(0, 0, 0, 0))
    assert everything.precision >= LEAST
    assert everything.recall >= LEAST
    wrong = {t: s for t, s in scores.items() if s.num_reported - s.num_right > allowed(s)}
    missed = {t: s for t, s in scores.items() if s.num_true - s.num_found > allowed(s)}
    assert (wrong, missed) == ({}, {})


def allowed(score: Score) -> float:
    return max(1.0, (1 - LEAST) * score.num_true)


def test_every_type_of_event_is_right_and_in_time_where_nothing_is_hidden():
    scores = total([open_truth(view) for view in VIEWS])
    assert set(scores) == set(TYPES)
    assert min(s.num_true for s in scores.values()) >= 5
    assert_right(scores)


def test_replaying_a_world_gives_the_same_events_and_none_twice():
    truth = open_truth("junction")
    first, again = (reported(truth) for _ in range(2))
    assert [e.to_json() for e in first] == [e.to_json() for e in again]
    assert max(Counter(e.id for e in first).values()) == 1
    phases = Counter(e.phase.value for e in first)
    assert phases["begin"] == phases["end"] > 0
