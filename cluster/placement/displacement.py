"""Which streams of lower classes give way to one that fits nowhere, and on which slot. Pure.

A slot gives up as little as it can: the lowest classes that suffice, and of these as few streams
as it takes. None of them would fit again once the other has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cluster.placement.places import Floats, Places
from cluster.placement.values import NUM_RANKS, Need

_ROUNDING = 1e-6


def displacement_order(need: Need, places: Places) -> list[int]:
    """Slots that could hold a stream without lower classes, the best first.

    Best is where only the lowest classes give way, then where the least is missing.
    """
    short = places.shortfall(need)
    reach = np.zeros(len(places.names), np.intp)
    for rank in range(need.rank, NUM_RANKS - 1):  # the lowest class that suffices comes last
        suffices = (places.lower_load(rank) + _ROUNDING >= short).all(axis=1)
        reach[suffices] = rank + 1
    able = np.flatnonzero(places.suitable(need) & (reach > 0))
    full = places.fullness(need).round(6)
    order = np.lexsort((able, full[able], -reach[able]))
    return [int(at) for at in able[order]]


def victims(need: Need, at: int, places: Places, held: Iterable[Need]) -> tuple[Need, ...]:
    """The streams that make room for one; empty where all of lower classes would not do.

    Args:
        need: The stream that wants in.
        at: The slot.
        places: The slots.
        held: Streams that it holds.
    """
    short = places.shortfall(need)[at]
    lower = [each for each in held if each.rank > need.rank]
    pool: list[Need] = []
    for rank in range(NUM_RANKS - 1, need.rank, -1):
        pool += [each for each in lower if each.rank == rank]
        if _covers(pool, short):
            return _fewest(pool, short)
    return ()


def _fewest(pool: Sequence[Need], short: Floats) -> tuple[Need, ...]:
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


def _brings(need: Need, missing: Floats) -> float:
    """How much of what is missing a stream would free; one that frees all brings the most."""
    brings = (need.axes.infer_fps, need.axes.decode_mpx_s, 1.0)
    pairs = zip(brings, map(float, missing), strict=True)
    return sum(min(1.0, gives / wants) for gives, wants in pairs if wants > _ROUNDING)


def _missing(chosen: Sequence[Need], short: Floats) -> Floats:
    infer_fps = sum(need.axes.infer_fps for need in chosen)
    decode_mpx_s = sum(need.axes.decode_mpx_s for need in chosen)
    missing: Floats = short - np.array((infer_fps, decode_mpx_s, len(chosen)))
    return missing


def _covers(chosen: Sequence[Need], short: Floats) -> bool:
    return bool((_missing(chosen, short) <= _ROUNDING).all())
