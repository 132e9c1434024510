"""What a stream asks of the slots, against what they measured: deadline, floor and decoding.

Streams of lower classes take nothing from a new one, since they give way. Where slots follow the
streams, those that could still be started count as well: their streams wait for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from actors.specs import StreamSpec
from cluster.errors import CapacityError, FieldFault, InvalidError
from cluster.placement import NUM_RANKS, RANK, SlotLoad, assumed_mpx_s, decoding_words
from cluster.registry import Registry, SlotInfo, SlotState, StreamRecord


@dataclass(frozen=True, slots=True)
class _Slots:
    """The ready slots that may run a stream, and how many more there could be."""

    ready: Sequence[SlotInfo]
    num_more: int = 0

    def sum(self, figures: Iterable[float]) -> float:
        """Of all slots; one that could be started counts as the median."""
        known = list(figures)
        return sum(known) + self.num_more * median(known)

    @property
    def words(self) -> str:
        """What they are called in messages."""
        return f"ready slots and {self.num_more} more" if self.num_more else "ready slots"


def require_admissible(registry: Registry, spec: StreamSpec, before: StreamSpec | None) -> None:
    """Refuse what no slot could keep; what a change leaves as it was is not looked at again.

    Slots that have not measured anything yet refuse nothing.

    Raises:
        InvalidError: The deadline is shorter than one batch.
        CapacityError: The floor is more than one slot infers, the floors of all streams are more
            than all slots can infer, or the stream is more than they can still decode.
    """
    ran = before is not None and before.enabled and before.pipeline == spec.pipeline
    was = before if ran else None
    is_elsewhere = was is None or was.placement.labels != spec.placement.labels
    is_tighter = is_elsewhere or was is None or _deadline_ms(spec) < _deadline_ms(was)
    is_higher = is_elsewhere or was is None or spec.floor_fps > was.floor_fps
    is_other = is_elsewhere or was is None or was.url != spec.url
    if not spec.enabled or not (is_tighter or is_higher or is_other):
        return
    slots = _suitable(registry, spec)
    if is_tighter:
        _require_deadline(spec, slots.ready)
    if is_higher:
        _require_floor(spec, slots, registry)
    if is_other:
        _require_decoding(spec, before, slots, registry)


def _suitable(registry: Registry, spec: StreamSpec) -> _Slots:
    """Where there are none yet, nothing is known of them and nothing is refused."""
    wanted = spec.placement.labels.items()
    ready = [
        slot
        for slot in registry.slots.all().values()
        if slot.state is SlotState.READY
        and spec.pipeline in slot.pipelines
        and wanted <= slot.labels.items()
    ]
    scaling = registry.scaling.get()
    return _Slots(ready, 0 if scaling is None else max(0, scaling.max_slots - len(ready)))


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


def _require_floor(spec: StreamSpec, slots: _Slots, registry: Registry) -> None:
    """A floor of nothing takes nothing from others, so it is never refused."""
    known = [slot.admission_fps for slot in slots.ready]
    if not known or min(known) <= 0 or spec.floor_fps == 0:
        return
    capacity = slots.sum(known)
    floors = _floors_beside(spec, registry.streams.all())
    asked = sum(floors) + spec.floor_fps
    if asked > capacity:
        says = (
            f"the floors of {len(floors) + 1} streams ask for {asked:.1f} frames/s, the "
            f"{slots.words} infer {capacity:.1f}"
        )
        raise _no_room(spec, says, capacity - sum(floors))
    if spec.floor_fps > max(known):
        says = (
            f"{spec.floor_fps:.1f} frames/s are asked of one slot, the largest of the ready slots "
            f"infers {max(known):.1f}"
        )
        raise _no_room(spec, says, max(known))


def _no_room(spec: StreamSpec, says: str, room_fps: float) -> CapacityError:
    return CapacityError(
        f"no room for the floor of stream '{spec.id}'",
        FieldFault("qos.min_fps", says, _remedy(room_fps), f"{spec.floor_fps:g}"),
    )


def _floors_beside(spec: StreamSpec, records: Mapping[str, StreamRecord]) -> list[float]:
    """Of streams that compete with the new one: none that may run elsewhere or would give way."""
    wanted = spec.placement.labels.items()
    return [
        record.spec.floor_fps
        for stream, record in records.items()
        if stream != spec.id
        and record.spec.enabled
        and record.spec.pipeline == spec.pipeline
        and RANK[record.spec.qos.class_name] <= RANK[spec.qos.class_name]
        and wanted <= record.spec.placement.labels.items()
    ]


def _remedy(room_fps: float) -> str:
    most = math.floor(room_fps * 10) / 10
    here = f"give min_fps or max_fps of at most {most:g}, or " if most > 0 else ""
    return f"{here}lower min_fps of other streams, disable one, or add a slot"


def _require_decoding(
    spec: StreamSpec, before: StreamSpec | None, slots: _Slots, registry: Registry
) -> None:
    """Streams whose source no slot knows yet count as nothing here: the slots see to them.

    Only the new one counts as what streams are taken for, unless it was decoded lately.
    """
    if not slots.ready or any(slot.decode_admission_mpx_s <= 0 for slot in slots.ready):
        return
    last = registry.leases.statuses([spec.id]).get(spec.id) if before is not None else None
    lately = None if last is None else last.decode_mpx_s
    is_same = before is not None and before.url == spec.url
    loads = _loads(registry)
    known = lately if is_same else None
    mpx_s = assumed_mpx_s(loads.values()) if known is None else known
    freed = (lately or 0.0) if before is not None and before.enabled else 0.0
    freed += _lower_mpx_s(spec, slots.ready, loads)
    load = max(0.0, sum(slot.decode_load_mpx_s for slot in slots.ready) - freed)
    limit = slots.sum(slot.decode_admission_mpx_s for slot in slots.ready)
    if load + mpx_s > limit:
        raise _cannot_decode(spec, mpx_s, load, slots, is_guess=known is None)


def _loads(registry: Registry) -> dict[str, SlotLoad]:
    """What the slots say of themselves; what cannot be read is left out."""
    texts = registry.slots.loads().items()
    return {name: load for name, text in texts if (load := SlotLoad.from_json(text)) is not None}


def _lower_mpx_s(
    spec: StreamSpec, ready: Iterable[SlotInfo], loads: Mapping[str, SlotLoad]
) -> float:
    """What decoding the streams takes that would give way to the new one."""
    own = [loads[slot.name] for slot in ready if slot.name in loads]
    lower = range(RANK[spec.qos.class_name] + 1, NUM_RANKS)
    return sum(load.by_rank[rank].decode_mpx_s for load in own for rank in lower)


def _cannot_decode(
    spec: StreamSpec, mpx_s: float, load: float, slots: _Slots, *, is_guess: bool
) -> CapacityError:
    limit = slots.sum(slot.decode_admission_mpx_s for slot in slots.ready)
    measured = slots.sum(slot.decode_mpx_s for slot in slots.ready)
    return CapacityError(
        f"no room to decode stream '{spec.id}'",
        FieldFault(
            "url",
            f"{decoding_words(mpx_s, is_assumed=is_guess)}; the {slots.words} do "
            f"{measured:.1f}, take streams up to {limit:.1f} and have {load:.1f}",
            "disable a stream, give cameras' sub-streams (a smaller picture, fewer frames a "
            "second), or add cores or a slot",
        ),
    )
