"""Why a stream has no slot, in words with figures and the remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from actors.specs import QosClass, StreamSpec
from cluster.placement import HEADROOM, RANK, Axes, Need, decoding_words, room
from cluster.redaction import redacted
from cluster.registry.records import SlotInfo, SlotState


def why_pending(spec: StreamSpec, need: Need, slots: Sequence[SlotInfo]) -> tuple[str, str]:
    """A short word and a message.

    Args:
        spec: Of the stream.
        need: What it asks of its slot.
        slots: All that are alive.
    """
    if not slots:
        return "no_slot", "no slot is alive: start one with `sightline up`"
    serving = [slot for slot in slots if spec.pipeline in slot.pipelines]
    if not serving:
        return "no_pipeline", f"no slot serves the pipeline '{spec.pipeline}': choose another"
    ready = [slot for slot in serving if slot.state is SlotState.READY]
    if not ready:
        first = serving[0]
        about = f" ({redacted(first.message)})" if first.message else ""
        return "no_slot_ready", f"no slot is ready: {first.name} is {first.state.value}{about}"
    suitable = [slot for slot in ready if need.labels.items() <= slot.labels.items()]
    if not suitable:
        return "labels", _without_labels(need.labels, ready)
    return _why_no_room(need, suitable)


def room_of(slot: SlotInfo) -> Axes:
    """What is left of a slot on each axis; infinite where it is not measured yet."""
    capacity = Axes(slot.admission_fps, slot.decode_admission_mpx_s)
    return room(capacity, Axes(slot.floors_fps, slot.decode_load_mpx_s))


def _why_no_room(need: Need, slots: Sequence[SlotInfo]) -> tuple[str, str]:
    free = [slot for slot in slots if slot.num_streams < slot.max_streams]
    above = _higher_classes(need, slots)
    if not free:
        most = sum(slot.max_streams for slot in slots)
        whose = f" with its labels, {_words(need.labels)}," if need.labels else ""
        return "full", f"all slots{whose} are full ({most} streams{above}): " + (
            "add a slot or remove a stream"
        )
    if any(need.axes.fits(room_of(slot)) for slot in free):
        return "unclaimed", "waits for a slot to claim it"
    roomiest = max(free, key=lambda slot: room_of(slot).infer_fps)
    if room_of(roomiest).infer_fps < need.axes.infer_fps:
        return "capacity", _over_capacity(need.axes.infer_fps, roomiest, above)
    widest = max(free, key=lambda slot: room_of(slot).decode_mpx_s)
    if room_of(widest).decode_mpx_s < need.axes.decode_mpx_s:
        return "decoding", _over_decoding(need, widest, above)
    return "capacity", _on_no_one_slot(need, roomiest, widest)


def _without_labels(labels: Mapping[str, str], slots: Iterable[SlotInfo]) -> str:
    has = sorted({_words(slot.labels) or "none" for slot in slots})
    return (
        f"no ready slot has the labels {_words(labels)}; those of the ready slots are: "
        f"{'; '.join(has)}: change placement.labels, or add a slot with slots.labels or on a "
        "machine with these labels"
    )


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _higher_classes(need: Need, slots: Iterable[SlotInfo]) -> str:
    """Who cannot be made to give way: how many streams of higher classes these slots hold."""
    counts = {
        qos: sum(load.num_streams for s in slots for q, load in s.classes.items() if q is qos)
        for qos in QosClass
        if RANK[qos] < need.rank
    }
    found = [f"{num} {qos.value}" for qos, num in counts.items() if num]
    return f"; {' and '.join(found)} come before it" if found else ""


def _over_capacity(floor_fps: float, slot: SlotInfo, above: str) -> str:
    return (
        f"the floors of {slot.num_streams + 1} streams ask for {slot.floors_fps + floor_fps:.1f} "
        f"frames/s, slot {slot.name} infers {slot.admission_fps:.1f} and promises "
        f"{HEADROOM:.0%} of them{above}: lower min_fps or max_fps, disable a stream, or add a slot"
    )


def _decoding(need: Need) -> str:
    return decoding_words(need.axes.decode_mpx_s, is_assumed=need.is_assumed)


def _over_decoding(need: Need, slot: SlotInfo, above: str) -> str:
    return (
        f"{_decoding(need)}; slot {slot.name} takes streams up to "
        f"{slot.decode_admission_mpx_s:.1f} and has {slot.decode_load_mpx_s:.1f}{above}: give a "
        "smaller picture or fewer frames a second (a camera's sub-stream), disable a stream, or "
        "add cores or a slot"
    )


def _on_no_one_slot(need: Need, roomiest: SlotInfo, widest: SlotInfo) -> str:
    return (
        f"it needs {need.axes.infer_fps:.1f} frames/s, and {_decoding(need)}, on one slot: "
        f"{roomiest.name} has {room_of(roomiest).infer_fps:.1f} and "
        f"{room_of(roomiest).decode_mpx_s:.1f} left, {widest.name} has "
        f"{room_of(widest).infer_fps:.1f} and {room_of(widest).decode_mpx_s:.1f}: "
        "lower min_fps, give a smaller picture, or add a slot"
    )
