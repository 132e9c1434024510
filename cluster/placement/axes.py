"""What streams need and slots have, on two axes: the engine and the decoder. Pure.

A floor is a promise, so floors are admitted up to nine tenths of what the engine was measured to
do; the rest takes up the noise of the measurement and the costs of batches that are not full.

Decoding is no promise but a bound above which every stream is late. It is counted as if nothing
else ran: on a CPU the engine's share of the cores is not subtracted, since it gives way by itself.
What decoders were measured to do is stretched by a tenth, so that its noise refuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HEADROOM = 0.9
_CLEARLY_OVER = 1.1
_DECODE_MARGIN = 1.1
_INFINITE = float("inf")
_ROUNDING = 1e-6  # figures are sums, which differ by the order in which they were added


@dataclass(frozen=True, slots=True)
class Axes:
    """A figure on each axis: what streams need, what a slot has, or what is left of it.

    Attributes:
        infer_fps: Frames a second of the engine; of a stream its floor.
        decode_mpx_s: Of the decoder, Mpx/s.
    """

    infer_fps: float = 0.0
    decode_mpx_s: float = 0.0

    def __add__(self, other: Axes) -> Axes:
        return Axes(self.infer_fps + other.infer_fps, self.decode_mpx_s + other.decode_mpx_s)

    def __sub__(self, other: Axes) -> Axes:
        return Axes(self.infer_fps - other.infer_fps, self.decode_mpx_s - other.decode_mpx_s)

    def fits(self, room: Axes) -> bool:
        """Whether it is no more than this, on both axes."""
        return (
            self.infer_fps <= room.infer_fps + _ROUNDING
            and self.decode_mpx_s <= room.decode_mpx_s + _ROUNDING
        )


NOTHING = Axes()
"""Also a slot of which nothing is measured yet; it refuses nothing."""


def decode_limit_mpx_s(measured_mpx_s: float) -> float:
    """Up to which a slot takes decoding, Mpx/s; 0 while nothing is measured."""
    return measured_mpx_s * _DECODE_MARGIN


def limits(capacity: Axes) -> Axes:
    """Up to what a slot takes streams; infinite on an axis that is not measured yet.

    Args:
        capacity: What its engine infers, and the limit of its decoding.
    """
    return Axes(
        capacity.infer_fps * HEADROOM if capacity.infer_fps > 0 else _INFINITE,
        capacity.decode_mpx_s if capacity.decode_mpx_s > 0 else _INFINITE,
    )


def room(capacity: Axes, taken: Axes) -> Axes:
    """What is left; infinite on an axis that is not measured yet.

    Args:
        capacity: What the slot has: what its engine infers, and the limit of its decoding.
        taken: What the streams need that it holds.
    """
    left = limits(capacity) - taken
    return Axes(max(0.0, left.infer_fps), max(0.0, left.decode_mpx_s))


def is_overcommitted(capacity: Axes, taken: Axes) -> bool:
    """Whether the floors of held streams are clearly above what the engine infers.

    Between this and the headroom lies a band in which a slot neither takes nor gives up streams:
    a capacity that moves by less than a fifth changes nothing. For decoding none is given up: the
    degrade ladder takes less from a stream than a slot that lets it go.
    """
    return 0 < capacity.infer_fps * _CLEARLY_OVER < taken.infer_fps


def fitting(needs: Mapping[str, Axes], streams: Iterable[str], left: Axes) -> list[str]:
    """Those of the streams that fit together, first come first; others are passed over.

    Args:
        needs: What each stream asks for, by id.
        streams: Ids, the most important first.
        left: Room for them.
    """
    taken = []
    for stream in streams:
        if needs[stream].fits(left):
            taken.append(stream)
            left -= needs[stream]
    return taken


def total(needs: Iterable[Axes]) -> Axes:
    """All of them together."""
    return sum(needs, NOTHING)
