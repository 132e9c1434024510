"""Results of a call arrive as they were sent, in the other process as a plain tuple."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest

from actors.messages import FrameResult
from actors.result_batch import ResultBatch
from engines.detections import Detections

_SIZE = (1920, 1080)


def result(number: int, num_objects: int) -> FrameResult:
    rng = np.random.default_rng(number)
    found = Detections.of(
        rng.uniform(0, 500, (num_objects, 4)),
        rng.random(num_objects),
        rng.integers(0, 9, num_objects),
        rng.integers(-1, 9, num_objects),
    )
    stream = f"cam{number}"
    return FrameResult(stream, 7, number, 0.1, 1.7e9, 100.0, _SIZE, "model", found, 100.1)


@pytest.mark.parametrize("nums", [(), (0,), (3,), (2, 0, 5), (0, 0)])
def test_results_arrive_as_they_were_sent(nums: tuple[int, ...]) -> None:
    sent = ResultBatch(result(number, num) for number, num in enumerate(nums))
    got = pickle.loads(pickle.dumps(sent))
    assert type(got) is tuple
    assert len(got) == len(sent)
    for one, other in zip(sent, got, strict=True):
        assert type(other) is FrameResult
        for name in (each.name for each in fields(FrameResult) if each.name != "detections"):
            assert getattr(one, name) == getattr(other, name)
        for part in (each.name for each in fields(Detections)):
            before, after = getattr(one.detections, part), getattr(other.detections, part)
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)
