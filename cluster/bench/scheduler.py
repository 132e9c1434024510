"""What a decision of the batch scheduler costs, by the number of streams."""

from __future__ import annotations

import time
from typing import Any

from actors.inference.scheduler import Scheduler, SchedulerConfig
from actors.messages import Ticket
from actors.specs import QosClass, QosSpec
from engines.frames import Picture

_SIZES = (10, 100, 1000)
_NUM_ROUNDS = 30_000
_BATCH_SIZES = (1, 2, 4, 8)


def measure_scheduler() -> dict[str, Any]:
    """Microseconds a frame for submit, next_batch and complete together, engine always busy."""
    return {"us_per_frame": {str(n): round(_us_per_frame(n), 2) for n in _SIZES}}


def _us_per_frame(num_streams: int) -> float:
    scheduler = Scheduler(SchedulerConfig(_BATCH_SIZES))
    classes = list(QosClass)
    names = [f"stream-{i}" for i in range(num_streams)]
    for i, name in enumerate(names):
        scheduler.open(name, QosSpec(class_name=classes[i % len(classes)]), 0.0)
    rounds = max(1, _NUM_ROUNDS // num_streams)
    spent, now, num_frames = 0.0, 0.0, 0
    for number in range(rounds):
        tickets = [_ticket(name, number, now) for name in names]
        began = time.perf_counter()
        scheduler.submit(tickets, now)
        while (batch := scheduler.next_batch(now).batch) is not None:
            now += 0.001
            scheduler.complete(batch, now)
        spent += time.perf_counter() - began
        num_frames += num_streams
        now += 0.01
    return spent / num_frames * 1e6


def _ticket(stream: str, index: int, now: float) -> Ticket:
    return Ticket(
        stream=stream,
        session=1,
        index=index,
        slot=0,
        picture=Picture(640, 360),
        source_size=(640, 360),
        pts_s=now,
        ts=now,
        arrival=now,
        deadline=now + 60.0,
    )
