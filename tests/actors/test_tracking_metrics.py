"""The scorer that tracking figures rest on, on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engines.detections import Detections
from tests.actors.mot_metrics import Boxes, Sequence, score

BOX = np.array([[0.0, 0, 10, 10]])
NOTHING = Boxes(np.empty(0), np.empty(0), np.empty((0, 4)))


def one_person(num_frames: int) -> Sequence:
    frames = np.arange(1, num_frames + 1)
    truth = Boxes(frames, np.full(num_frames, 7), np.repeat(BOX, num_frames, axis=0))
    return Sequence("hand", 10, num_frames, truth, NOTHING, ())


def tracks(*identities: int) -> Detections:
    num = len(identities)
    return Detections.of(
        np.repeat(BOX, num, axis=0), np.ones(num), np.zeros(num), np.array(identities, dtype=int)
    )


def test_perfect_tracks_score_a_hundred():
    result = score(one_person(4), {n: tracks(3) for n in range(1, 5)})
    assert (result.mota, result.idf1) == (100, 100)


def test_a_change_of_identity_costs_one_switch_and_half_the_identity():
    result = score(one_person(4), {1: tracks(3), 2: tracks(3), 3: tracks(5), 4: tracks(5)})
    # the first match of a truth is counted as no switch by the public scorers
    assert result.num_switches == 1
    assert result.mota == pytest.approx(75)
    assert result.idf1 == pytest.approx(50)


def test_misses_and_false_boxes_are_counted():
    result = score(one_person(4), {1: tracks(3), 2: tracks(), 3: tracks(3, 4), 4: tracks(3)})
    assert (result.num_found, result.num_false) == (3, 1)
    assert result.mota == pytest.approx(50)


def test_a_box_on_a_distractor_counts_neither_way():
    sequence = one_person(1)
    far = Boxes(np.array([1]), np.array([9]), BOX + 100)
    sequence = Sequence("hand", 10, 1, sequence.truth, far, ())
    found = Detections.of(np.vstack([BOX, BOX + 100]), np.ones(2), np.zeros(2), np.array([1, 2]))
    assert score(sequence, {1: found}).mota == 100
