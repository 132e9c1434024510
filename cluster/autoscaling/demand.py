"""What all streams need and what slots can do, from what the slots and the registry say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from cluster.placement import NOTHING, STEP_S, Axes, Free, Need, SlotLoad, limits
from cluster.placement.axes import total
from cluster.placement.places import Places

_UNKNOWN = float("inf")


@dataclass(frozen=True, slots=True)
class SlotShape:
    """What one slot can do, as the median of those that know it; 0 where none does.

    Attributes:
        capacity: What its engine infers, and the limit of its decoding.
        max_streams: Streams that it can hold.
    """

    capacity: Axes = NOTHING
    max_streams: int = 0

    def or_else(self, other: SlotShape) -> SlotShape:
        """With the figures of another where its own are not known."""
        return SlotShape(
            Axes(
                self.capacity.infer_fps or other.capacity.infer_fps,
                self.capacity.decode_mpx_s or other.capacity.decode_mpx_s,
            ),
            self.max_streams or other.max_streams,
        )


@dataclass(frozen=True, slots=True)
class Demand:
    """What the streams need that should run.

    Attributes:
        num_streams: How many they are, waiting ones included.
        axes: What they need.
        num_pending: Those of them that fit on no slot, and would on another one.
        pending: What these need.
        num_ready: Slots that take streams.
        shape: What a slot can do.
    """

    num_streams: int = 0
    axes: Axes = NOTHING
    num_pending: int = 0
    pending: Axes = NOTHING
    num_ready: int = 0
    shape: SlotShape = SlotShape()


def demand_of(
    loads: Sequence[SlotLoad], free: Sequence[Free], last: SlotShape = SlotShape()
) -> Demand:
    """Put together what is known.

    Args:
        loads: Of all slots.
        free: Streams without a slot.
        last: What a slot could do when that was last known.
    """
    shape = _shape(loads).or_else(last)
    pending = [need for need in _unplaced(loads, free) if _is_helped(need, loads, shape)]
    return Demand(
        num_streams=sum(load.num_streams for load in loads) + len(free),
        axes=total([load.taken for load in loads]) + total(each.need.axes for each in free),
        num_pending=len(pending),
        pending=total(need.axes for need in pending),
        num_ready=sum(load.is_ready for load in loads),
        shape=shape,
    )


def _shape(loads: Iterable[SlotLoad]) -> SlotShape:
    known = list(loads)
    return SlotShape(
        Axes(
            _median(load.capacity.infer_fps for load in known),
            _median(load.capacity.decode_mpx_s for load in known),
        ),
        round(_median(load.max_streams for load in known)),
    )


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if value > 0]
    return median(known) if known else 0.0


def _unplaced(loads: Iterable[SlotLoad], free: Iterable[Free]) -> list[Need]:
    """Streams that have waited for a while and fit nowhere; others will be claimed in a moment."""
    places, unplaced = Places(loads), list[Need]()
    for each in sorted(free, key=lambda each: (each.need.rank, each.need.stream)):
        target = places.best(each.need)
        if target is not None:
            places.change(each.need, target)
        elif each.free_s >= STEP_S:
            unplaced.append(each.need)
    return unplaced


def _is_helped(need: Need, loads: Sequence[SlotLoad], shape: SlotShape) -> bool:
    """Whether an empty slot like the others could take a stream.

    One of a label that no slot has waits for people: a slot that is added is like the others.
    """
    if not need.axes.fits(limits(shape.capacity)):
        return False
    return not need.labels or any(need.labels.items() <= load.labels.items() for load in loads)
