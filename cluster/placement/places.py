"""The slots as a decision goes on: what each still has room for, and which is best for a stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from cluster.placement.axes import Axes, limits
from cluster.placement.values import NUM_RANKS, Need, SlotLoad

_ROUNDING = 1e-6
_INFINITE = float("inf")

Order = tuple[int, int, float, str]


class Room:
    """One slot: what it takes, and what it would hold after what was decided so far.

    Args:
        load: What it says of itself.
        typical: The capacity of slots like it, for comparison while its own is not known: it is
            neither preferred nor shunned for that, and still refuses nothing.

    Attributes:
        name: The slot's.
        node: Its machine.
        num: Streams that it holds.
        infer_fps: Floors of these.
        decode_mpx_s: What decoding them takes.
        groups: Streams that it holds, by ``spread``.
    """

    __slots__ = (
        "_most_decode_mpx_s",
        "_most_infer_fps",
        "_per_decode",
        "_per_infer",
        "_per_stream",
        "decode_mpx_s",
        "groups",
        "infer_fps",
        "load",
        "name",
        "node",
        "num",
    )

    def __init__(self, load: SlotLoad, typical: Axes) -> None:
        self.load = load
        self.name = load.name
        self.node = load.node
        self.num = load.num_streams
        self.infer_fps = load.taken.infer_fps
        self.decode_mpx_s = load.taken.decode_mpx_s
        self.groups = Counter(load.groups)
        most = limits(load.capacity)
        self._most_infer_fps = most.infer_fps + _ROUNDING
        self._most_decode_mpx_s = most.decode_mpx_s + _ROUNDING
        known = limits(
            Axes(
                load.capacity.infer_fps or typical.infer_fps,
                load.capacity.decode_mpx_s or typical.decode_mpx_s,
            )
        )
        self._per_infer = 1 / known.infer_fps
        self._per_decode = 1 / known.decode_mpx_s
        self._per_stream = 1 / load.max_streams if load.max_streams > 0 else _INFINITE

    @property
    def fullness(self) -> float:
        """Share that is taken, of the axis (or the number of streams) that is the fullest."""
        return max(
            self.infer_fps * self._per_infer,
            self.decode_mpx_s * self._per_decode,
            self.num * self._per_stream,
        )

    def fullness_with(self, need: Need, sign: int = 1) -> float:
        """The same after a stream has come; with ``sign`` of -1, after it has gone."""
        axes = need.axes
        return max(
            (self.infer_fps + sign * axes.infer_fps) * self._per_infer,
            (self.decode_mpx_s + sign * axes.decode_mpx_s) * self._per_decode,
            (self.num + sign) * self._per_stream,
        )

    def fits(self, need: Need) -> bool:
        """Whether it has the labels, and room on both axes and for one more stream."""
        axes = need.axes
        return (
            self.num < self.load.max_streams
            and self.infer_fps + axes.infer_fps <= self._most_infer_fps
            and self.decode_mpx_s + axes.decode_mpx_s <= self._most_decode_mpx_s
            and self.suits(need)
        )

    def suits(self, need: Need) -> bool:
        """Whether it has the labels."""
        if not need.labels:
            return True
        own = self.load.labels
        return all(own.get(key) == value for key, value in need.labels.items())

    def shortfall(self, need: Need) -> tuple[float, float, int]:
        """What must go for a stream: frames/s, Mpx/s, and streams; 0 where there is room."""
        return (
            max(0.0, self.infer_fps + need.axes.infer_fps - self._most_infer_fps),
            max(0.0, self.decode_mpx_s + need.axes.decode_mpx_s - self._most_decode_mpx_s),
            max(0, self.num + 1 - self.load.max_streams),
        )

    def change(self, need: Need, sign: int) -> None:
        """Count a stream in (1) or out (-1)."""
        self.num += sign
        self.infer_fps += sign * need.axes.infer_fps
        self.decode_mpx_s += sign * need.axes.decode_mpx_s
        if need.spread:
            self.groups[need.spread] += sign


class Places:
    """All slots that take streams.

    Args:
        loads: Of all slots; those that are not ready, or draining, are left out.
    """

    def __init__(self, loads: Iterable[SlotLoad]) -> None:
        ready = [load for load in loads if load.is_ready and not load.is_draining]
        typical = _typical(ready)
        self.rooms = {load.name: Room(load, typical) for load in ready}
        self._on_node: Counter[tuple[str, str]] = Counter()
        for load in ready:
            for group, num in load.groups.items():
                self._on_node[load.node, group] += num

    def order(self, need: Need, room: Room) -> Order:
        """By which slots are compared for a stream; the least is the best."""
        fullness = room.fullness_with(need)
        if not need.spread:
            return (0, 0, fullness, room.name)
        return (*self.crowd(need, room), fullness, room.name)

    def crowd(self, need: Need, room: Room) -> tuple[int, int]:
        """How many of the stream's group are on a slot's machine, and on the slot."""
        return self._on_node[room.node, need.spread], room.groups[need.spread]

    def fitting(self, need: Need) -> list[Order]:
        """The slots where a stream fits, unsorted."""
        order = self.order
        return [order(need, room) for room in self.rooms.values() if room.fits(need)]

    def change(self, need: Need, room: Room, sign: int = 1) -> None:
        """Count a stream in (1) or out (-1) at a slot."""
        room.change(need, sign)
        if need.spread:
            self._on_node[room.node, need.spread] += sign


def _typical(loads: Sequence[SlotLoad]) -> Axes:
    """The median of what slots know of their capacity; 0 on an axis that none knows."""
    infer = [load.capacity.infer_fps for load in loads if load.capacity.infer_fps > 0]
    decode = [load.capacity.decode_mpx_s for load in loads if load.capacity.decode_mpx_s > 0]
    return Axes(median(infer) if infer else 0.0, median(decode) if decode else 0.0)


def lower_load(load: SlotLoad, rank: int) -> tuple[float, float, int]:
    """What streams of lower classes than a rank take: frames/s, Mpx/s, and how many they are."""
    lower = range(rank + 1, NUM_RANKS)
    return (
        sum(load.by_rank[each].infer_fps for each in lower),
        sum(load.by_rank[each].decode_mpx_s for each in lower),
        sum(load.num_by_rank[each] for each in lower),
    )
