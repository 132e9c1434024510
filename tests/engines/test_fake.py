"""The engine that is shipped for tests of everything around it."""

import numpy as np
import pytest

from engines.errors import EngineFailedError
from engines.fake import CostModel, FakeEngine, VirtualClock, bright_box
from tests.engines.builders import grey_frame

FRAME = grey_frame(80, 40)


def test_a_batch_costs_what_the_size_that_holds_it_costs() -> None:
    clock = VirtualClock(5.0)
    engine = FakeEngine(cost=CostModel(fixed_ms=4, per_frame_ms=2), spend=clock.advance)
    engine.load()
    engine.infer([FRAME] * 3)
    assert clock() == pytest.approx(5.012)


def test_boxes_move_the_same_way_every_time() -> None:
    runs = []
    for _ in range(2):
        engine = FakeEngine()
        engine.load()
        runs.append([found.xyxy for found in engine.infer([FRAME] * 3)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert runs[0][0][0, 0] < runs[0][1][0, 0] < runs[0][2][0, 0]


def test_bright_box_finds_what_is_bright_in_source_pixels() -> None:
    engine = FakeEngine(detect=bright_box)
    engine.load()
    lit, dark = engine.infer([grey_frame(80, 40, bright=[(10, 5, 20, 15)]), FRAME])
    assert lit.xyxy.tolist() == [[10, 5, 20, 15]]
    assert len(dark) == 0


def test_it_fails_for_good_after_so_many_batches() -> None:
    engine = FakeEngine(max_batches=2)
    engine.load()
    engine.infer([FRAME])
    engine.infer([FRAME])
    for _ in range(2):
        with pytest.raises(EngineFailedError, match="after 2 batches"):
            engine.infer([FRAME])


def test_it_must_be_loaded_and_keeps_to_its_batch_sizes() -> None:
    engine = FakeEngine(batch_sizes=(1, 2))
    with pytest.raises(EngineFailedError, match="not loaded"):
        engine.infer([FRAME])
    engine.load()
    assert engine.infer([]) == []
    with pytest.raises(ValueError, match="at most 2"):
        engine.infer([FRAME] * 3)
