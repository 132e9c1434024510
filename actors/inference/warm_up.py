"""What batches of a model cost before the first camera is there: measured when it is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import takewhile

import numpy as np

from engines.engine import Engine
from engines.frames import Frame, Picture

_BUDGET_S = 0.1
_NUM_RUNS = 3


def batch_costs_ms(
    engine: Engine, clock: Callable[[], float] = time.perf_counter
) -> dict[int, float]:
    """Milliseconds of a batch by its size, one batch at a time, the fastest of three.

    Sizes that double are tried while a tenth of a second lasts; the first is always.

    Args:
        engine: Loaded already.
        clock: Seconds.

    Raises:
        EngineFailedError: if the device failed.
    """
    image = engine.spec.input
    frame = _grey(Picture(image.width, image.height))
    began, costs = clock(), dict[int, float]()
    for size in takewhile(lambda _: not costs or clock() - began < _BUDGET_S, _doubling(engine)):
        runs = [_seconds(engine, [frame] * size, clock) for _ in range(_NUM_RUNS)]
        costs[size] = round(min(runs) * 1e3, 3)
    return costs


def _doubling(engine: Engine) -> list[int]:
    chosen = [engine.batch_sizes[0]]
    for size in engine.batch_sizes:
        if size >= 2 * chosen[-1]:
            chosen.append(size)
    return chosen


def _seconds(engine: Engine, frames: list[Frame], clock: Callable[[], float]) -> float:
    began = clock()
    engine.infer(frames)
    return clock() - began


def _grey(picture: Picture) -> Frame:
    planes = tuple(np.full(shape, 114, np.uint8) for shape in picture.stored_shapes)
    return Frame(picture, planes, picture.width, picture.height)
