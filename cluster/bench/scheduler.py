"""What a decision of the batch scheduler costs, by the number of streams."""

from __future__ import annotations

import gc
import math
import time
from typing import Any

from actors.inference.policy import SchedulerConfig
from actors.inference.scheduler import Scheduler
from actors.messages import Ticket
from actors.specs import CLASS_DEFAULTS, QosClass, QosSpec
from engines.frames import Picture

_SIZES = (10, 100, 1000, 10_000)
_NUM_FRAMES = 40_000
_NUM_TRIALS = 3
_BATCH_SIZES = (1, 2, 4, 8)
_BATCH_S = 0.004


def measure_scheduler() -> dict[str, Any]:
    """Microseconds of CPU a frame for submit, next_batch and complete together.

    The engine is always busy and is asked for twice what it can do, so that half of the frames are
    superseded or late; the figure is by frame that came. The best of three trials counts. Also what
    a snapshot takes, and how the cost of a decision grows against log n from 10 streams on: 1 is
    as fast as log n.
    """
    costs = {n: min(_us_per_frame(n) for _ in range(_NUM_TRIALS)) for n in _SIZES}
    first = _SIZES[0]
    growth = {n: costs[n] / costs[first] for n in _SIZES[1:]}
    return {
        "us_per_frame": {str(n): round(cost, 2) for n, cost in costs.items()},
        "growth": {str(n): round(ratio, 2) for n, ratio in growth.items()},
        "growth_over_log_n": {
            str(n): round(ratio / (math.log(n) / math.log(first)), 2) for n, ratio in growth.items()
        },
        "snapshot_ms": {str(n): round(_snapshot_ms(n), 2) for n in _SIZES},
    }


def _us_per_frame(num_streams: int) -> float:
    scheduler, names = _opened(num_streams)
    per_second = 2.0 * _BATCH_SIZES[-1] / _BATCH_S
    spent, now, number = 0.0, 0.0, 0
    gc.collect()
    while number < _NUM_FRAMES:
        come = range(number, number + 2 * _BATCH_SIZES[-1])
        tickets = [_ticket(names, i, i / per_second) for i in come]
        number, now = come.stop, tickets[-1].arrival
        began = time.thread_time()
        scheduler.submit(tickets, now)
        batch = scheduler.next_batch(now).batch
        if batch is not None:
            scheduler.complete(batch, now + _BATCH_S * len(batch.tickets) / _BATCH_SIZES[-1])
        spent += time.thread_time() - began
    return spent / number * 1e6


def _snapshot_ms(num_streams: int) -> float:
    scheduler, names = _opened(num_streams)
    scheduler.submit([_ticket(names, i, 0.0) for i in range(num_streams)], 0.0)
    began = time.thread_time()
    scheduler.snapshot()
    return (time.thread_time() - began) * 1e3


def _opened(num_streams: int) -> tuple[Scheduler, list[str]]:
    scheduler = Scheduler(SchedulerConfig(_BATCH_SIZES))
    names = [f"stream-{i}" for i in range(num_streams)]
    for i, name in enumerate(names):
        scheduler.open(name, QosSpec(class_name=_class_of(i)), 0.0)
    return scheduler, names


def _class_of(number: int) -> QosClass:
    classes = list(QosClass)
    return classes[number % len(classes)]


def _ticket(names: list[str], number: int, now: float) -> Ticket:
    stream = number % len(names)
    return Ticket(
        stream=names[stream],
        session=1,
        index=number // len(names),
        slot=0,
        picture=Picture(640, 360),
        source_size=(640, 360),
        pts_s=now,
        ts=now,
        arrival=now,
        deadline=now + CLASS_DEFAULTS[_class_of(stream)].deadline_ms / 1e3,
        ready=now,
    )
