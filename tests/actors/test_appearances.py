"""Embeddings of a secondary engine reach the tracker: for some detections, at a bounded rate."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.analytics.appearances import Appearances
from actors.analytics.pipeline import StreamPipeline
from actors.analytics.tracking import make_tracker
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import CropAnswer, SecondaryModel
from engines.detections import Detections
from engines.readings import Embeddings
from tests.actors.builders import detections, frame_result, stream_spec
from tests.actors.rule_scenes import EVERY_KIND
from tests.actors.secondary_street import (
    DARK,
    LABELS,
    LIGHT,
    MakeStreet,
    embedding_model,
    shade_model,
)

NOBODY = Detections.empty()
EYE = np.eye(4, dtype=np.float32)


def appearances(**fields: Any) -> Appearances:
    given = {"name": "looks", "model": "m.yaml", "min_size_px": 10, "again_s": 0.5, **fields}
    return Appearances(SecondarySpec.model_validate(given), ("person", "car"))


def people(*tracks: int, size_px: float = 40, class_id: int = 0) -> Detections:
    boxes = np.array([[90 * n, 0, 90 * n + size_px, 60] for n in range(len(tracks))], float)
    num = len(tracks)
    return Detections.of(
        boxes.reshape(-1, 4), np.full(num, 0.9), np.full(num, class_id), np.array(tracks, int)
    )


def asked(wanted: Detections) -> list[int]:
    return [int(track) for track in wanted.track_id]


def test_a_track_is_asked_for_no_more_often_than_said_however_often_it_is_seen() -> None:
    looks, counts = appearances(again_s=0.5), Counter[int]()
    for n in range(100):
        counts.update(asked(looks.due(people(1, 2), NOBODY, n / 25)))
    assert counts == {1: 8, 2: 8}


def test_all_together_keep_to_the_rate_and_take_turns() -> None:
    looks, counts = appearances(again_s=0, max_rate=10), Counter[int]()
    for n in range(250):
        counts.update(asked(looks.due(people(1, 2, 3, 4, 5), NOBODY, n / 25)))
    assert 100 <= counts.total() <= 112
    assert max(counts.values()) - min(counts.values()) <= 1


def test_strangers_come_first_and_have_numbers_of_no_track() -> None:
    looks = appearances(max_rate=3, again_s=0)
    assert asked(looks.due(people(7), people(-1, -1), 0.0)) == [-1, -2, 7]
    assert asked(looks.due(people(7), people(-1, -1), 0.34)) == [-1]


def test_classes_and_sizes_that_are_not_asked_for_are_left_out() -> None:
    looks = appearances(classes=["person"], min_size_px=30)
    assert asked(looks.due(people(1, class_id=1), people(-1, class_id=1), 0.0)) == []
    assert asked(looks.due(people(1, size_px=29), people(-1, size_px=29), 0.0)) == []
    assert asked(looks.due(people(1, class_id=5), NOBODY, 0.0)) == []
    assert asked(looks.due(people(1, size_px=30), NOBODY, 0.0)) == [1]


def test_what_was_missed_is_due_at_once_and_who_has_ended_is_forgotten() -> None:
    looks = appearances(again_s=9)
    looks.due(people(1, 2), NOBODY, 0.0)
    looks.take([CropAnswer("looks", missed=(2, -1))], 2)
    assert asked(looks.due(people(1, 2), NOBODY, 0.1)) == [2]
    looks.forget([1])
    assert asked(looks.due(people(1, 2), NOBODY, 0.2)) == [1]


def test_detections_without_an_answer_have_nothing() -> None:
    looks = appearances()
    assert looks.take([], 3).shape == (3, 0)
    answers = [
        CropAnswer("looks", (5, -1), (2, 0), Embeddings(EYE[:2])),
        CropAnswer("shade", (5,), (1,), Embeddings(EYE[3:])),
    ]
    np.testing.assert_array_equal(looks.take(answers, 3), [EYE[1], 0 * EYE[0], EYE[0]])
    assert looks.take([], 2).shape == (2, 4)
    assert not looks.take([], 2).any()


def test_tracks_keep_their_looks_through_frames_without_embeddings() -> None:
    tracker = make_tracker("deepsort")
    pair = detections([(100, 200), (300, 200)], size=(30, 80))
    for n in range(4):
        tracker.update(pair, n / 10, EYE[:2])
    for n, embeddings in enumerate((None, np.empty((2, 0), np.float32), np.zeros((2, 4))), 4):
        tracker.update(pair, n / 10, embeddings)
        np.testing.assert_array_equal(tracker.state()["looks"], 127 * EYE[:2].T)


def identities(pipeline: StreamPipeline) -> set[int]:
    """Of one who walks, is hidden for long and comes back from where he went in, beside another.

    All embeddings that are asked for come, of most detections there is none.
    """
    names: set[int] = set()
    for n in range(40):
        is_hidden = 15 <= n < 27
        feet = [(600.0, 200.0)] + ([] if is_hidden else [(100.0 + 2.5 * min(n, 15), 200.0)])
        found = detections(feet, size=(30, 80), class_id=0)
        wanted = [each for each in pipeline.requests if each.secondary == "looks"]
        rows = [_row_of(request.box, found) for request in wanted]
        tracks = tuple(request.track for request in wanted)
        crops = (CropAnswer("looks", tracks, tuple(rows), Embeddings(EYE[rows])),) if rows else ()
        pipeline.process(frame_result(n, found, fps=10.0, crops=crops))
        tracked = pipeline.tracked
        names |= set(tracked.track_id[tracked.xyxy[:, 0] < 500].tolist())
    return names


def _row_of(box: tuple[float, ...], found: Detections) -> int:
    return int(np.abs(found.xyxy[:, 0] - box[0]).argmin())


def test_who_was_hidden_is_known_again_by_embeddings_of_a_few_detections(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = stream_spec(tracker="deepsort")
    models = [embedding_model(tmp_path, again_s=0.5)]
    others: list[list[SecondaryModel]] = [[], [shade_model(tmp_path)]]
    with caplog.at_level(logging.WARNING, logger="actors.analytics.tracking.tracker"):
        assert len(identities(StreamPipeline(spec, LABELS, secondaries=models))) == 1
        assert caplog.records == []
        assert [len(identities(StreamPipeline(spec, LABELS, "", 0, m))) for m in others] == [2, 2]
        assert len(caplog.records) == 2


def test_only_a_tracker_that_compares_looks_is_given_any(tmp_path: Path) -> None:
    models = [embedding_model(tmp_path)]
    pipeline = StreamPipeline(stream_spec(), LABELS, secondaries=models)
    found = detections([(100, 200)], size=(60, 60), class_id=0)
    for n in range(5):
        pipeline.process(frame_result(n, found, fps=10.0))
        assert pipeline.requests == []
    pipeline.replace_spec(stream_spec(tracker="deepsort"))
    pipeline.process(frame_result(5, found, fps=10.0))
    assert [request.secondary for request in pipeline.requests] == ["looks"]


def test_a_detection_is_asked_for_only_while_a_track_is_out_of_sight(tmp_path: Path) -> None:
    spec = stream_spec(tracker="deepsort")
    pipeline = StreamPipeline(spec, LABELS, secondaries=[embedding_model(tmp_path, again_s=60)])
    one, other = (100.0, 200.0), (500.0, 200.0)

    def see(numbers: range, *feet: tuple[float, float]) -> list[int]:
        tracks = []
        for n in numbers:
            found = detections(list(feet), size=(60, 60), class_id=0)
            pipeline.process(frame_result(n, found, fps=10.0))
            tracks += [request.track for request in pipeline.requests]
        return tracks

    assert see(range(5), one) == [1]
    assert see(range(5, 8), one, other) == [2]  # once it is a track
    assert see(range(8, 10), one) == []
    assert see(range(10, 12), one, (300.0, 400.0)) == [-1, -1]


def test_the_state_of_fifty_tracks_with_large_embeddings_fits_into_a_hundred_thousand_bytes(
    tmp_path: Path,
) -> None:
    rng, spec = np.random.default_rng(3), stream_spec(tracker="deepsort", rules=EVERY_KIND)
    models = [embedding_model(tmp_path, again_s=0, max_rate=1000)]
    pipeline = StreamPipeline(spec, LABELS, secondaries=models)
    boxes = [(90.0 * (n % 10) + 45, 90.0 * (n // 10) + 80) for n in range(50)]
    for n in range(20):
        found = detections(boxes, (60, 60), class_id=0)
        wanted = pipeline.requests
        rows = tuple(_row_at(request.box, found) for request in wanted)
        looks = Embeddings(rng.normal(0, 1, (len(rows), 512)).astype(np.float32))
        tracks = tuple(request.track for request in wanted)
        crops = (CropAnswer("looks", tracks, rows, looks),) if rows else ()
        pipeline.process(frame_result(n, found, fps=10.0, crops=crops))
    assert len(pipeline.tracked) == 50
    assert 25_000 < len(pipeline.state()) < 100_000


def _row_at(box: tuple[float, ...], found: Detections) -> int:
    return int(np.abs(found.xyxy - np.array(box)).sum(axis=1).argmin())


def test_embeddings_of_the_engine_reach_the_tracks_they_are_of(
    streets: MakeStreet, tmp_path: Path
) -> None:
    street = streets([embedding_model(tmp_path, again_s=0)])
    street.open("gate", tracker="deepsort")
    street.drive({0: LIGHT, 2: DARK}, last=10)
    answers = [a for result in street.results for a in result.crops if a.tracks]
    assert {track for answer in answers for track in answer.tracks} == {1, 2}
    pipeline = street.shard._streams["gate"].pipeline
    assert pipeline._session is not None
    looks = pipeline._session.tracker.state()["looks"].astype(np.float64)
    assert looks.shape == (2, 2)
    assert looks[0, 0] > 0.5 > -0.5 > looks[0, 1]
    assert street.events == []
