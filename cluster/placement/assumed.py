"""What streams are taken for on the decoding axis until their sources are known. Pure.

All at 1080p and 25 frames a second would fill a small slot with the first, so that of many cameras
that are added at once each waited for the one before. So they are taken for what those that run
take on average, by what all slots publish; those that then turn out not to fit go again.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.ingest.decode_cost import ASSUMED_MPX_S
from cluster.placement.values import SlotLoad

_LEAST_MPX_S = ASSUMED_MPX_S / 4


def assumed_mpx_s(loads: Iterable[SlotLoad]) -> float:
    """What a stream of unknown source is taken for, Mpx/s.

    Never more than 1080p at 25 frames a second, never less than a quarter of it, which is how far
    off a slot that takes several at once can be.

    Args:
        loads: Of all slots.
    """
    num, mpx_s = 0, 0.0
    for load in loads:
        num += load.num_known
        mpx_s += load.known_mpx_s
    if num == 0:
        return ASSUMED_MPX_S
    return min(ASSUMED_MPX_S, max(_LEAST_MPX_S, mpx_s / num))
