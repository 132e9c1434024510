"""What placement decides from and what it decides: streams' needs, slots' loads, a decision."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from actors.ingest.decode_cost import ASSUMED_MPX_S
from actors.specs import QosClass, StreamSpec
from cluster.placement.axes import NOTHING, Axes, total

NUM_RANKS = len(QosClass)
RANK = {qos: rank for rank, qos in enumerate(QosClass)}
"""0 is critical."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a stream asks of its slot.

    Attributes:
        stream: Its id.
        rank: Of its class; 0 is critical.
        axes: Its floor, and what decoding it takes.
        labels: What its slot must be labelled with.
        spread: Streams with the same word are kept apart where that can be; empty for none.
        is_assumed: Whether its source is not known yet, so that what decoding it takes is a guess.
        is_on_trial: Whether its slot took it by such a guess, and may find now that it was wrong.
    """

    stream: str
    rank: int
    axes: Axes
    labels: Mapping[str, str] = field(default_factory=dict)
    spread: str = ""
    is_assumed: bool = False
    is_on_trial: bool = False


@dataclass(frozen=True, slots=True)
class Free:
    """A stream without an owner.

    Attributes:
        need: What it asks for.
        free_s: How long it has had none.
        reserved_for: Slot that shall have it, as its last owner decided; empty for any.
    """

    need: Need
    free_s: float = 0.0
    reserved_for: str = ""


@dataclass(frozen=True, slots=True)
class SlotLoad:
    """What a slot has and what its streams take, as all slots may know it.

    Streams that are being closed count as gone already: their room is promised to others.

    Attributes:
        name: The slot's.
        node: Machine that it runs on.
        labels: By which streams choose it.
        is_ready: Whether it takes streams.
        capacity: What its engine infers, and the limit of its decoding; 0 where not known yet.
        max_streams: Streams that it can hold.
        num_streams: Streams that it holds.
        taken: What they need, together.
        by_rank: The same by class, the most important first.
        num_by_rank: Streams that it holds, by class.
        groups: Streams that it holds, by their ``spread``.
        is_draining: Whether it is about to end: it gives all its streams away.
        num_known: Streams of which it is known what decoding them takes, and that take anything.
        known_mpx_s: What they take, together.
    """

    name: str
    node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    is_ready: bool = True
    capacity: Axes = NOTHING
    max_streams: int = 0
    num_streams: int = 0
    taken: Axes = NOTHING
    by_rank: tuple[Axes, ...] = (NOTHING,) * NUM_RANKS
    num_by_rank: tuple[int, ...] = (0,) * NUM_RANKS
    groups: Mapping[str, int] = field(default_factory=dict)
    is_draining: bool = False
    num_known: int = 0
    known_mpx_s: float = 0.0

    def to_json(self) -> str:
        """A compact text, some 200 bytes."""
        return json.dumps(
            {
                "name": self.name,
                "node": self.node,
                "labels": dict(self.labels),
                "ready": self.is_ready,
                "draining": self.is_draining,
                "capacity": _pair(self.capacity),
                "max": self.max_streams,
                "streams": list(self.num_by_rank),
                "taken": [_pair(axes) for axes in self.by_rank],
                "groups": dict(self.groups),
                "known": [self.num_known, round(self.known_mpx_s, 3)],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> SlotLoad | None:
        """Read what any version wrote; what is left out has its default. None if it is no load."""
        return _parsed(text)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a slot does next.

    Attributes:
        claim: Free streams to take, the most important first.
        release: Streams to let go: above the capacity, of labels that the slot does not have, or
            displaced by a stream of a higher class.
        move: Streams to hand over, and the slot that shall have each.
        is_waiting: Whether slots should take free streams that are kept for none; where one does
            not, this slot may soon.
    """

    claim: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    move: Mapping[str, str] = field(default_factory=dict)
    is_waiting: bool = field(default=False, compare=False)


def need_of(
    spec: StreamSpec, decode_mpx_s: float | None, assumed_mpx_s: float = ASSUMED_MPX_S
) -> Need:
    """What a stream asks of its slot.

    Args:
        spec: Its job.
        decode_mpx_s: What decoding it takes; None while its source is not known.
        assumed_mpx_s: What it is taken for then.
    """
    decoding = assumed_mpx_s if decode_mpx_s is None else decode_mpx_s
    return Need(
        stream=spec.id,
        rank=RANK[spec.qos.class_name],
        axes=Axes(spec.floor_fps, decoding),
        labels=spec.placement.labels,
        spread=spec.placement.spread,
        is_assumed=decode_mpx_s is None,
    )


def slot_load(
    name: str,
    held: Iterable[Need],
    *,
    max_streams: int,
    capacity: Axes = NOTHING,
    node: str = "",
    labels: Mapping[str, str] | None = None,
    is_ready: bool = True,
    is_draining: bool = False,
) -> SlotLoad:
    """The load of a slot that holds these streams; arguments as in ``SlotLoad``.

    Its figures are rounded as others will read them: slots that are equally full must look so to
    each of themselves, too.
    """
    needs = list(held)
    known = [
        need.axes.decode_mpx_s
        for need in needs
        if need.axes.decode_mpx_s > 0 and not need.is_assumed
    ]
    ranks = range(NUM_RANKS)
    by_rank = tuple(
        _rounded(total(need.axes for need in needs if need.rank == rank)) for rank in ranks
    )
    return SlotLoad(
        name=name,
        node=node,
        labels=labels or {},
        is_ready=is_ready,
        is_draining=is_draining,
        capacity=_rounded(capacity),
        max_streams=max_streams,
        num_streams=len(needs),
        taken=total(by_rank),
        by_rank=by_rank,
        num_by_rank=tuple(sum(need.rank == rank for need in needs) for rank in ranks),
        groups=Counter(need.spread for need in needs if need.spread),
        num_known=len(known),
        known_mpx_s=round(sum(known), 3),
    )


def _rounded(axes: Axes) -> Axes:
    return Axes(*_pair(axes))


def _pair(axes: Axes) -> list[float]:
    return [round(axes.infer_fps, 3), round(axes.decode_mpx_s, 3)]


def _axes(pair: Any) -> Axes:
    infer_fps, decode_mpx_s = pair
    return Axes(float(infer_fps), float(decode_mpx_s))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> SlotLoad | None:
    """Most slots say the same again and again, and each of them reads what all say."""
    try:
        return _load_of(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _load_of(read: Mapping[str, Any]) -> SlotLoad:
    by_rank = (*(_axes(pair) for pair in read.get("taken", ())), *(NOTHING,) * NUM_RANKS)
    num_by_rank = (*(int(num) for num in read.get("streams", ())), *(0,) * NUM_RANKS)
    num_known, known_mpx_s = read.get("known", (0, 0))
    return SlotLoad(
        name=str(read["name"]),
        node=str(read.get("node", "")),
        labels={str(key): str(value) for key, value in read.get("labels", {}).items()},
        is_ready=bool(read.get("ready", True)),
        is_draining=bool(read.get("draining", False)),
        capacity=_axes(read.get("capacity", (0, 0))),
        max_streams=int(read.get("max", 0)),
        num_streams=sum(num_by_rank),
        taken=total(by_rank),
        by_rank=by_rank[:NUM_RANKS],
        num_by_rank=num_by_rank[:NUM_RANKS],
        groups={str(group): int(num) for group, num in read.get("groups", {}).items()},
        num_known=int(num_known),
        known_mpx_s=float(known_mpx_s),
    )
