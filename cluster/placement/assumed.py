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


def decoding_words(mpx_s: float, *, is_assumed: bool) -> str:
    """What decoding a stream takes, for messages; what is a guess is called one.

    Args:
        mpx_s: The figure, Mpx/s.
        is_assumed: Whether it is what streams of unknown source are taken for.
    """
    if not is_assumed:
        return f"decoding it takes {mpx_s:.1f} Mpx/s"
    like = "1080p at 25 frames/s takes" if mpx_s == ASSUMED_MPX_S else "others take on average"
    return f"decoding it counts as {mpx_s:.1f} Mpx/s until its source is known, what {like}"
