"""Which streams a slot hands to another: all that it can while it drains, else few. Pure.

A move costs the stream a gap, so a slot moves streams only where the difference is clear, never so
that they would be moved back, at most two a decision, and only the fullest slots have their turn.
First it takes apart what should be kept apart (``spread``), then it evens out how full slots are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cluster.placement.places import Places, Room
from cluster.placement.values import Need

MAX_MOVES = 2

_CLEARLY_LESS = 0.2
_FULL_ENOUGH = 0.5
_MAX_GIVERS = 3
_AT_ALL = 1e-6


def evacuation(held: Iterable[Need], places: Places) -> dict[str, str]:
    """Where the streams of a slot that drains shall go; those that fit nowhere are left out."""
    moves = {}
    for need in sorted(held, key=lambda need: (need.rank, need.stream)):
        found = min(places.fitting(need), default=None)
        if found is not None:
            moves[need.stream] = found[-1]
            places.change(need, places.rooms[found[-1]])
    return moves


def rebalancing(own: Room, held: Iterable[Need], places: Places) -> dict[str, str]:
    """Streams to hand over, and to which slot; empty where nothing is clearly better."""
    moves: dict[str, str] = {}
    left = sorted(held, key=lambda need: (-need.rank, -_weight(own, need), need.stream))
    while len(moves) < MAX_MOVES:
        found = _parting(own, left, places) or _levelling(own, left, places)
        if found is None:
            break
        need, target = found
        places.change(need, own, -1)
        places.change(need, target)
        left.remove(need)
        moves[need.stream] = target.name
    return moves


def _weight(own: Room, need: Need) -> float:
    return own.fullness - own.fullness_with(need, -1)


def _parting(own: Room, held: Iterable[Need], places: Places) -> tuple[Need, Room] | None:
    """A stream whose group is two ahead here of what it is elsewhere; the most crowded slot parts.

    Two ahead, since with one nothing would be better afterwards.
    """
    for need in held:
        if not need.spread or not _is_most_crowded(own, need, places):
            continue
        found = min(places.fitting(need), default=None)
        if found is None or found[-1] == own.name:
            continue
        target = places.rooms[found[-1]]
        if _is_apart(places.crowd(need, own), places.crowd(need, target), own, target):
            return need, target
    return None


def _is_apart(here: tuple[int, int], there: tuple[int, int], own: Room, target: Room) -> bool:
    if own.node == target.node:
        return here[1] - there[1] >= 2
    return here[0] - there[0] >= 2


def _is_most_crowded(own: Room, need: Need, places: Places) -> bool:
    """Slots of a group take turns, so that not all of them move to the same place."""
    here = places.crowd(need, own)
    return all(
        (places.crowd(need, room), own.name) <= (here, room.name)
        for room in places.rooms.values()
        if room is not own and room.groups[need.spread]
    )


def _levelling(own: Room, held: Iterable[Need], places: Places) -> tuple[Need, Room] | None:
    """A stream that is better off at the emptiest slot that can have it."""
    if own.fullness < _FULL_ENOUGH:
        return None
    turn = _turn(own, places)
    if turn >= _MAX_GIVERS:
        return None
    needs = list(held)
    for target in _emptier(own, places):
        for need in needs:
            if _is_clear(own, target, need, turn, places):
                return need, target
    return None


def _turn(own: Room, places: Places) -> int:
    """How many slots of the same labels are fuller; those may give at the same time."""
    mine = (-own.fullness, own.name)
    alike = (room for room in places.rooms.values() if room.load.labels == own.load.labels)
    return sum((-room.fullness, room.name) < mine for room in alike)


def _emptier(own: Room, places: Places) -> Iterator[Room]:
    limit = own.fullness - _CLEARLY_LESS
    rooms = sorted((room.fullness, room.name) for room in places.rooms.values())
    return (places.rooms[name] for fullness, name in rooms if fullness < limit)


def _is_clear(own: Room, target: Room, need: Need, turn: int, places: Places) -> bool:
    """Whether it is still clear after what others may give to the same slot meanwhile."""
    after = target.fullness_with(need)
    others = turn * MAX_MOVES * (after - target.fullness)
    return (
        after + others <= own.fullness - _CLEARLY_LESS
        and _weight(own, need) > _AT_ALL
        and target.fits(need)
        and _keeps_apart(own, target, need, places)
    )


def _keeps_apart(own: Room, target: Room, need: Need, places: Places) -> bool:
    """Whether the stream's group is no more crowded there than it is here."""
    if not need.spread:
        return True
    on_node, on_slot = places.crowd(need, target)
    other = own.node != target.node
    return (on_node + other, on_slot + 1) <= places.crowd(need, own)
