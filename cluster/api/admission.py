"""What a stream asks of the slots, against what they measured: deadline, floor and decoding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from actors.ingest.decode_cost import ASSUMED_MPX_S
from actors.specs import StreamSpec
from cluster.errors import CapacityError, FieldFault, InvalidError
from cluster.registry import Registry, SlotInfo, SlotState, StreamRecord


def require_admissible(registry: Registry, spec: StreamSpec, before: StreamSpec | None) -> None:
    """Refuse what no slot could keep; what a change leaves as it was is not looked at again.

    Slots that have not measured anything yet refuse nothing.

    Raises:
        InvalidError: The deadline is shorter than one batch.
        CapacityError: The floors of all streams are more than all slots can infer, or the stream
            more than they can still decode.
    """
    ran = before is not None and before.enabled and before.pipeline == spec.pipeline
    was = before if ran else None
    is_tighter = was is None or _deadline_ms(spec) < _deadline_ms(was)
    is_higher = was is None or spec.floor_fps > was.floor_fps
    is_other = was is None or was.url != spec.url
    if not spec.enabled or not (is_tighter or is_higher or is_other):
        return
    slots = _ready(registry.slots.all().values(), spec.pipeline)
    if is_tighter:
        _require_deadline(spec, slots)
    if is_higher:
        _require_floor(spec, slots, registry)
    if is_other:
        _require_decoding(spec, before, slots, registry)


def _ready(slots: Iterable[SlotInfo], pipeline: str) -> list[SlotInfo]:
    return [s for s in slots if s.state is SlotState.READY and pipeline in s.pipelines]


def _deadline_ms(spec: StreamSpec) -> float:
    return spec.qos.resolved().deadline_ms


def _require_deadline(spec: StreamSpec, slots: Sequence[SlotInfo]) -> None:
    measured = [slot for slot in slots if slot.frame_ms > 0]
    fastest = min(measured, key=lambda slot: slot.frame_ms, default=None)
    if fastest is None or _deadline_ms(spec) >= fastest.frame_ms:
        return
    is_given = spec.qos.deadline_ms is not None
    whose = "" if is_given else f", the default of class {spec.qos.class_name.value},"
    fault = FieldFault(
        "qos.deadline_ms",
        f"{_deadline_ms(spec):g} ms{whose} is shorter than one batch of {fastest.model}, "
        f"{fastest.frame_ms:.1f} ms",
        f"give at least {math.ceil(fastest.frame_ms)}",
    )
    raise InvalidError([fault])


def _require_floor(spec: StreamSpec, slots: Sequence[SlotInfo], registry: Registry) -> None:
    """A floor of nothing takes nothing from others, so it is never refused."""
    if not slots or any(slot.admission_fps <= 0 for slot in slots) or spec.floor_fps == 0:
        return
    capacity = sum(slot.admission_fps for slot in slots)
    floors = _floors_beside(spec, registry.streams.all())
    asked = sum(floors) + spec.floor_fps
    if asked > capacity:
        raise CapacityError(
            f"no room for the floor of stream '{spec.id}'",
            FieldFault(
                "qos.min_fps",
                f"the floors of {len(floors) + 1} streams ask for {asked:.1f} frames/s, the ready "
                f"slots infer {capacity:.1f}",
                _remedy(capacity - sum(floors)),
                f"{spec.floor_fps:g}",
            ),
        )


def _floors_beside(spec: StreamSpec, records: Mapping[str, StreamRecord]) -> list[float]:
    return [
        record.spec.floor_fps
        for stream, record in records.items()
        if stream != spec.id and record.spec.enabled and record.spec.pipeline == spec.pipeline
    ]


def _remedy(room_fps: float) -> str:
    most = math.floor(room_fps * 10) / 10
    here = f"give min_fps or max_fps of at most {most:g}, or " if most > 0 else ""
    return f"{here}lower min_fps of other streams, disable one, or add a slot"


def _require_decoding(
    spec: StreamSpec, before: StreamSpec | None, slots: Sequence[SlotInfo], registry: Registry
) -> None:
    """Streams whose source no slot knows yet count as nothing here; the slots take them one by one.

    Only the new one counts as what streams are taken for, unless it was decoded lately.
    """
    if not slots or any(slot.decode_admission_mpx_s <= 0 for slot in slots):
        return
    last = registry.leases.statuses([spec.id]).get(spec.id) if before is not None else None
    lately = None if last is None else last.decode_mpx_s
    is_same = before is not None and before.url == spec.url
    mpx_s = lately if is_same and lately is not None else ASSUMED_MPX_S
    freed = (lately or 0.0) if before is not None and before.enabled else 0.0
    load = max(0.0, sum(slot.decode_load_mpx_s for slot in slots) - freed)
    limit = sum(slot.decode_admission_mpx_s for slot in slots)
    if load + mpx_s > limit:
        raise _cannot_decode(spec, mpx_s, load, slots)


def _cannot_decode(
    spec: StreamSpec, mpx_s: float, load: float, slots: Sequence[SlotInfo]
) -> CapacityError:
    limit = sum(slot.decode_admission_mpx_s for slot in slots)
    measured = sum(slot.decode_mpx_s for slot in slots)
    about = ", as 1080p at 25 frames/s until it is known" if mpx_s == ASSUMED_MPX_S else ""
    return CapacityError(
        f"no room to decode stream '{spec.id}'",
        FieldFault(
            "url",
            f"decoding it takes {mpx_s:.1f} Mpx/s{about}; the ready slots do {measured:.1f}, take "
            f"streams up to {limit:.1f} and have {load:.1f}",
            "disable a stream, give cameras' sub-streams (a smaller picture, fewer frames a "
            "second), or add cores or a slot",
        ),
    )
