"""A cluster on paper: slots that decide from the same or older facts, and a registry that obeys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cluster.placement import (
    HEADROOM,
    NOTHING,
    STEP_S,
    Axes,
    Decision,
    Free,
    Need,
    SlotLoad,
    decide,
    slot_load,
)

RESERVED_S = 3.0


def need(
    stream: str,
    rank: int = 2,
    floor_fps: float = 1.0,
    decode_mpx_s: float = 10.0,
    spread: str = "",
    **labels: str,
) -> Need:
    return Need(stream, rank, Axes(floor_fps, decode_mpx_s), labels, spread)


@dataclass
class Slot:
    """What a slot is, besides its streams."""

    name: str
    capacity: Axes = NOTHING
    max_streams: int = 64
    node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    is_draining: bool = False


@dataclass
class Cluster:
    """Slots that decide once a second, one after the other; ``owner`` is what the registry knows.

    Attributes:
        is_stale: Whether slots know the others and what is free as they were at the begin of the
            second, else as they are.
    """

    slots: dict[str, Slot]
    needs: dict[str, Need]
    owner: dict[str, str] = field(default_factory=dict)
    is_stale: bool = False
    now: float = 0.0
    free_since: dict[str, float] = field(default_factory=dict)
    reserved: dict[str, tuple[str, float]] = field(default_factory=dict)
    published: dict[str, SlotLoad] = field(default_factory=dict)
    moved: list[tuple[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)

    def held(self, slot: str) -> list[Need]:
        return [self.needs[stream] for stream, owner in self.owner.items() if owner == slot]

    def load(self, name: str) -> SlotLoad:
        slot = self.slots[name]
        return slot_load(
            name,
            self.held(name),
            max_streams=slot.max_streams,
            capacity=slot.capacity,
            node=slot.node or name,
            labels=slot.labels,
            is_draining=slot.is_draining,
        )

    def free(self) -> list[Free]:
        found = []
        for stream in self.needs.keys() - self.owner.keys():
            since = self.free_since.setdefault(stream, self.now)
            slot, until = self.reserved.get(stream, ("", 0.0))
            whose = slot if until > self.now else ""
            found.append(Free(self.needs[stream], self.now - since, whose))
        return found

    def decision(
        self,
        name: str,
        loads: Mapping[str, SlotLoad] | None = None,
        free: list[Free] | None = None,
    ) -> Decision:
        known = {each: self.load(each) for each in self.slots} if loads is None else loads
        others = [load for each, load in known.items() if each != name and each in self.slots]
        waiting = self.free() if free is None else free
        return decide(self.load(name), self.held(name), others, waiting)

    def round(self, order: Iterable[str] | None = None) -> bool:
        """All slots decide once; True where anything was done."""
        before = {name: self.load(name) for name in self.slots} if self.is_stale else None
        free = self.free() if self.is_stale else None
        has_acted = False
        for name in order or sorted(self.slots):
            decision = self.decision(name, before, free)
            has_acted |= decision != Decision()
            self.obey(name, decision)
            self.check()
        self.now += 1.0
        return has_acted

    def obey(self, name: str, decision: Decision) -> None:
        """As the registry does: who claims first has the stream."""
        for stream in decision.claim:
            assert self.is_stale or stream not in self.owner
            if stream in self.owner:
                continue
            self.owner[stream] = name
            self.free_since.pop(stream, None)
            self.reserved.pop(stream, None)
        for stream in (*decision.release, *decision.move):
            assert self.owner.pop(stream) == name, "only its owner lets go of a stream"
            self.free_since[stream] = self.now
        self.released += decision.release
        for stream, target in decision.move.items():
            assert target != name
            assert target in self.slots
            self.moved.append((stream, target))
            self.reserved[stream] = (target, self.now + RESERVED_S)

    def settle(self, max_rounds: int) -> int:
        """Rounds until nothing is done any more, not even when each slot has had its turn."""
        quiet = 0
        for each in range(max_rounds):
            quiet = 0 if self.round() else quiet + 1
            if quiet:
                self.now += STEP_S  # nothing but time passes
            if quiet == len(self.slots) + 3:
                return each + 1 - quiet
        raise AssertionError(f"still busy after {max_rounds} rounds: {self.moved[-6:]}")

    def check(self) -> None:
        """What holds at every moment."""
        for name, slot in self.slots.items():
            held = self.held(name)
            assert len(held) <= slot.max_streams
            for each in held:
                assert each.labels.items() <= slot.labels.items()
            assert self.is_within(slot, held)

    def is_within(self, slot: Slot, held: list[Need]) -> bool:
        floors = sum(each.axes.infer_fps for each in held)
        decoding = sum(each.axes.decode_mpx_s for each in held)
        most, limit = slot.capacity.infer_fps * HEADROOM, slot.capacity.decode_mpx_s
        return (not most or floors <= most + 1e-3) and (not limit or decoding <= limit + 1e-3)

    def could_hold(self, name: str, wanted: Need, without_lower: bool = False) -> bool:
        """Whether a stream fits on a slot, by sums of our own."""
        slot = self.slots[name]
        kept = [n for n in self.held(name) if not (without_lower and n.rank > wanted.rank)]
        return (
            not slot.is_draining
            and len(kept) < slot.max_streams
            and wanted.labels.items() <= slot.labels.items()
            and self.is_within(slot, [*kept, wanted])
        )

    def change(self, name: str, **values: object) -> None:
        self.slots[name] = dataclasses.replace(self.slots[name], **values)  # type: ignore[arg-type]

    def kill(self, name: str) -> set[str]:
        """A slot dies; its streams come free."""
        gone = {stream for stream, owner in self.owner.items() if owner == name}
        for stream in gone:
            del self.owner[stream]
            self.free_since[stream] = self.now
        del self.slots[name]
        return gone
