"""Where streams run: what they need, what slots have, and what each slot does about it. Pure."""

from cluster.placement.assumed import assumed_mpx_s, decoding_words
from cluster.placement.axes import (
    HEADROOM,
    NOTHING,
    Axes,
    decode_limit_mpx_s,
    limits,
    room,
)
from cluster.placement.decide import STEP_S, decide
from cluster.placement.values import (
    NUM_RANKS,
    RANK,
    Decision,
    Free,
    Need,
    SlotLoad,
    need_of,
    slot_load,
)

__all__ = [
    "HEADROOM",
    "NOTHING",
    "NUM_RANKS",
    "RANK",
    "STEP_S",
    "Axes",
    "Decision",
    "Free",
    "Need",
    "SlotLoad",
    "assumed_mpx_s",
    "decide",
    "decode_limit_mpx_s",
    "decoding_words",
    "limits",
    "need_of",
    "room",
    "slot_load",
]
