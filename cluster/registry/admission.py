"""Whether the floors of streams fit into what a slot's engine infers. Pure.

A floor is a promise, so floors are admitted up to nine tenths of the measured capacity; the rest
takes up the noise of the measurement and the costs of batches that are not full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cluster.registry.records import StreamRecord

HEADROOM = 0.9
_CLEARLY_OVER = 1.1


def room_fps(capacity_fps: float, floors_fps: float) -> float:
    """Floors that still fit beside those of ``floors_fps``; infinite while nothing is measured.

    Args:
        capacity_fps: Frames a second that the engine infers; 0 while that is unknown.
        floors_fps: Sum of the floors that it holds.
    """
    return max(0.0, capacity_fps * HEADROOM - floors_fps) if capacity_fps > 0 else float("inf")


def is_overcommitted(capacity_fps: float, floors_fps: float) -> bool:
    """Whether the floors are clearly above the capacity.

    Between this and the headroom lies a band in which a slot neither takes nor gives up streams:
    a capacity that moves by less than a fifth changes nothing.
    """
    return capacity_fps > 0 and floors_fps > capacity_fps * _CLEARLY_OVER


def fitting(records: Mapping[str, StreamRecord], streams: Iterable[str], room: float) -> list[str]:
    """Those of the streams whose floors fit together, first come first; others are passed over.

    Args:
        records: The streams' jobs by id.
        streams: Ids, the most important first.
        room: Frames a second for their floors.
    """
    taken = []
    for stream in streams:
        floor = records[stream].spec.floor_fps
        if floor <= room:
            taken.append(stream)
            room -= floor
    return taken


def floors_of(records: Iterable[StreamRecord]) -> float:
    """Sum of the floors, frames a second."""
    return sum(record.spec.floor_fps for record in records)
