"""How long an object takes to come into sight and to go out of it, told from the frames of a truth.

One that drives in at the edge, or grows out of a speck far away, does not appear at a moment. It
comes from the first bit of it in the picture until it shows nearly as much of itself as it ever
does and is tall enough to tell what it is; it goes the same way backwards. A lorry of which two
fifths are in the picture may as well be a car, and so may one that is 12 px high.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from cluster.demo.world.truth import FrameTruth, TruthEvent

TELL_PX = 25.0
"""Lower boxes are left out of KITTI's benchmark at all its levels (Geiger et al., 2012)."""

_NEARLY = 0.9


@dataclass(frozen=True, slots=True)
class _Look:
    t_s: float
    visible: float
    height_px: float


def slack_s(event: TruthEvent, frames: Sequence[FrameTruth]) -> tuple[float, float]:
    """How much earlier and later than at its time an event may as well be reported, seconds.

    Args:
        event: Of an object that comes or goes; all other events have no slack.
        frames: The frames of its film, or every so manieth of them, in order.
    """
    if event.type != "object":
        return 0.0, 0.0
    before = (frame for frame in reversed(frames) if frame.t_s <= event.t_s)
    after = (frame for frame in frames if frame.t_s > event.t_s)
    looks = [*reversed(_looks(event.identity, before)), *_looks(event.identity, after)]
    if not looks:
        return 0.0, 0.0
    full_s = [look.t_s for look in looks if _is_full(look, looks)]
    span_s = looks[0].t_s, full_s[0]
    if event.phase == "end":
        span_s = full_s[-1], looks[-1].t_s
    return max(event.t_s - span_s[0], 0.0), max(span_s[1] - event.t_s, 0.0)


def _looks(identity: int, frames: Iterable[FrameTruth]) -> list[_Look]:
    """What shows of an object, for as long as it is in the picture."""
    there = takewhile(lambda frame: identity in frame.identity, frames)
    return [_look(frame, frame.identity.tolist().index(identity)) for frame in there]


def _look(frame: FrameTruth, row: int) -> _Look:
    _, top, _, bottom = frame.xyxy[row].tolist()
    return _Look(frame.t_s, float(frame.visible[row]), bottom - top)


def _is_full(look: _Look, looks: Sequence[_Look]) -> bool:
    most = max(each.visible for each in looks)
    tall_px = min(TELL_PX, max(each.height_px for each in looks if each.visible >= _NEARLY * most))
    return look.visible >= _NEARLY * most and look.height_px >= tall_px
