"""Which streams a slot hands to another: all that it can while it drains, else few. Pure.

A move costs the stream a gap, so a slot moves streams only where the difference is clear, never so
that they would be moved back, at most two a decision, and only the fullest slots have their turn.
First it takes apart what should be kept apart (``spread``), then it evens out how full slots are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cluster.placement.places import Places
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
        target = places.best(need)
        if target is not None:
            moves[need.stream] = places.names[target]
            places.change(need, target)
    return moves


def rebalancing(
    own: int, labels: Mapping[str, str], held: Sequence[Need], places: Places
) -> dict[str, str]:
    """Streams to hand over, and to which slot; empty where nothing is clearly better.

    Args:
        own: The slot that asks.
        labels: Its labels.
        held: Its streams.
        places: All slots, as they will be when what is on its way has come.
    """
    turn = _turn(own, labels, places)
    if turn is None and not any(need.spread for need in held):
        return {}
    moves: dict[str, str] = {}
    # The least important first, and of these the heaviest: fewer have to go.
    left = sorted(held, key=lambda need: (-need.rank, -_weight(own, need, places), need.stream))
    while len(moves) < MAX_MOVES:
        found = _parting(own, left, places) or _levelling(own, turn, left, places)
        if found is None:
            break
        need, target = found
        places.change(need, own, -1)
        places.change(need, target)
        left.remove(need)
        moves[need.stream] = places.names[target]
        turn = _turn(own, labels, places)
    return moves


def _weight(own: int, need: Need, places: Places) -> float:
    """How much less full the slot is without a stream."""
    return round(places.fullness_of(own) - places.fullness_of(own, need, -1), 6)


def _turn(own: int, labels: Mapping[str, str], places: Places) -> int | None:
    """How many slots like this one may give streams before it; None where it keeps all."""
    full = places.fullness()
    if full[own] < _FULL_ENOUGH or full.min() > full[own] - _CLEARLY_LESS:
        return None
    alike = places.alike(labels)
    turn = int(((full > full[own]) & alike).sum() + ((full == full[own]) & alike)[:own].sum())
    return turn if turn < _MAX_GIVERS else None


def _parting(own: int, held: Iterable[Need], places: Places) -> tuple[Need, int] | None:
    """A stream whose group is less crowded elsewhere, even with it; the most crowded slot parts."""
    for need in held:
        if not need.spread or places.most_crowded(need) != own:
            continue  # slots take turns, so that not all of them move to the same place
        target = places.best(need)
        if target is None or target == own:
            continue
        if places.crowd_if_moved(need, own)[target] < places.crowd(need)[own]:
            return need, target
    return None


def _levelling(
    own: int, turn: int | None, held: Iterable[Need], places: Places
) -> tuple[Need, int] | None:
    """A stream that is clearly better off at another slot."""
    for need in held if turn is not None else ():
        target = _clearly_better(own, need, turn or 0, places)
        if target is not None and _weight(own, need, places) > _AT_ALL:
            return need, target
    return None


def _clearly_better(own: int, need: Need, turn: int, places: Places) -> int | None:
    """A slot where a stream leaves room even after what others may give to it meanwhile."""
    before, after = places.fullness(), places.fullness(need)
    expected = after + turn * MAX_MOVES * (after - before)
    scores = places.scores(need)
    able = (scores < np.inf) & (expected <= before[own] - _CLEARLY_LESS)
    if need.spread:
        able &= places.crowd_if_moved(need, own) <= places.crowd(need)[own]
    able[own] = False
    return int(np.where(able, scores, np.inf).argmin()) if able.any() else None
