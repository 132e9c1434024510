"""Which streams of lower classes give way to one that fits nowhere, and on which slot. Pure.

A slot gives up as little as it can: the lowest classes that suffice, and of these as few streams
as it takes. None of them would fit again once the other has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cluster.placement.places import Places, Room, lower_load
from cluster.placement.values import NUM_RANKS, Need

Shortfall = tuple[float, float, int]

_ROUNDING = 1e-6


def displacement_order(need: Need, places: Places) -> list[str]:
    """Slots that could hold a stream without lower classes, the best first.

    Best is where only the lowest classes give way, then where the least is missing.
    """
    costs = []
    for room in places.rooms.values():
        if not room.suits(need):
            continue
        reach = _reach(room, need)
        if reach is not None:
            costs.append((-reach, _share_missing(room, need), room.name))
    return [name for _, _, name in sorted(costs)]


def victims(need: Need, room: Room, held: Iterable[Need]) -> tuple[Need, ...]:
    """The streams that make room for one; empty where all of lower classes would not do.

    Args:
        need: The stream that wants in.
        room: The slot.
        held: Streams that it holds.
    """
    short = room.shortfall(need)
    lower = [each for each in held if each.rank > need.rank]
    pool: list[Need] = []
    for rank in range(NUM_RANKS - 1, need.rank, -1):
        pool += [each for each in lower if each.rank == rank]
        if _covers(pool, short):
            return _fewest(pool, short)
    return ()


def _fewest(pool: Sequence[Need], short: Shortfall) -> tuple[Need, ...]:
    """Take what brings the most, again and again; then leave out what is not needed after all."""
    left, chosen = list(pool), list[Need]()
    while not _covers(chosen, short):
        missing = _missing(chosen, short)
        best = min(left, key=lambda each: (-_brings(each, missing), -each.rank, *_size(each)))
        left.remove(best)
        chosen.append(best)
    for each in sorted(chosen, key=lambda each: (each.rank, each.stream)):
        rest = [other for other in chosen if other is not each]
        if _covers(rest, short):
            chosen = rest
    return tuple(chosen)


def _size(need: Need) -> tuple[float, float, str]:
    return need.axes.decode_mpx_s, need.axes.infer_fps, need.stream


def _brings(need: Need, missing: Shortfall) -> float:
    """How much of what is missing a stream would free; one that frees all brings the most."""
    infer_fps, decode_mpx_s, num = missing
    return (
        (min(1.0, need.axes.infer_fps / infer_fps) if infer_fps > 0 else 0.0)
        + (min(1.0, need.axes.decode_mpx_s / decode_mpx_s) if decode_mpx_s > 0 else 0.0)
        + (1 / num if num > 0 else 0.0)
    )


def _missing(chosen: Sequence[Need], short: Shortfall) -> Shortfall:
    return (
        short[0] - sum(need.axes.infer_fps for need in chosen),
        short[1] - sum(need.axes.decode_mpx_s for need in chosen),
        short[2] - len(chosen),
    )


def _covers(chosen: Sequence[Need], short: Shortfall) -> bool:
    infer_fps, decode_mpx_s, num = _missing(chosen, short)
    return infer_fps <= _ROUNDING and decode_mpx_s <= _ROUNDING and num <= 0


def _reach(room: Room, need: Need) -> int | None:
    """The highest class that must give way for a stream, by rank; None where that is too little."""
    short = room.shortfall(need)
    for rank in range(NUM_RANKS - 2, need.rank - 1, -1):
        lower = lower_load(room.load, rank)
        if all(has + _ROUNDING >= wants for has, wants in zip(lower, short, strict=True)):
            return rank + 1
    return None


def _share_missing(room: Room, need: Need) -> float:
    """How full the slot would be with the stream and without anybody giving way."""
    return round(room.fullness_with(need), 6)
