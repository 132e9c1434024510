"""How many slots are wanted, and why, in words with figures. Pure: time is an argument.

Up at once, or after a stated delay, where the streams need more than what is planned of the slots,
or some fit nowhere. Down only after a stated time in which fewer slots would have done all along,
with a margin, so that what comes and goes does not take slots with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from cluster.autoscaling.demand import Demand
from cluster.placement import limits

_DOWN_MARGIN = 0.9
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the policy is told.

    Attributes:
        min_slots: No fewer, whatever is needed.
        max_slots: No more.
        headroom: Share of a slot's capacity up to which it is planned.
        upscale_delay_s: For how long more must be wanted before more are asked for.
        downscale_delay_s: For how long fewer must do before fewer are asked for.
    """

    min_slots: int = 1
    max_slots: int = 1
    headroom: float = 0.8
    upscale_delay_s: float = 0.0
    downscale_delay_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """What the policy remembers.

    Attributes:
        more_since: Since when more slots have been wanted; None where they are not.
        fewer_since: Since when fewer would have done.
        most: The most that would have done since then.
    """

    more_since: float | None = None
    fewer_since: float | None = None
    most: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the policy wants.

    Attributes:
        number: Slots.
        reason: Why, for people.
        state: What it remembers.
    """

    number: int
    reason: str
    state: Hysteresis


@dataclass(frozen=True, slots=True)
class _Rule:
    number: int
    reason: str


def wanted_slots(
    demand: Demand, current: int, bounds: Bounds, state: Hysteresis, now: float
) -> Wanted:
    """Decide.

    Args:
        demand: What the streams need, and what a slot can do.
        current: How many slots are asked for now; some may be on their way.
        bounds: Floor, ceiling, headroom and delays.
        state: What was remembered last.
        now: Seconds, never going back.
    """
    up = _needed(demand, bounds, bounds.headroom)
    if up.number > current:
        since = now if state.more_since is None else state.more_since
        is_due = now - since >= bounds.upscale_delay_s
        return Wanted(
            up.number if is_due else current,
            up.reason if is_due else _later(up, current, since + bounds.upscale_delay_s - now),
            Hysteresis() if is_due else Hysteresis(more_since=since),
        )
    down = _needed(demand, bounds, bounds.headroom * _DOWN_MARGIN)
    if down.number >= current:
        held = _Rule(current, up.reason if up.number == current else _margin(up, current, bounds))
        return Wanted(held.number, held.reason, Hysteresis())
    return _fewer(down, current, bounds, state, now)


def _fewer(down: _Rule, current: int, bounds: Bounds, state: Hysteresis, now: float) -> Wanted:
    if state.fewer_since is None:
        state = Hysteresis(fewer_since=now)
    since = now if state.fewer_since is None else state.fewer_since
    state = replace(state, most=max(state.most, down.number))
    left_s = since + bounds.downscale_delay_s - now
    if left_s <= 0:
        why = down.reason if state.most == down.number else f"{state.most} were needed lately"
        return Wanted(state.most, why, Hysteresis())
    return Wanted(current, _later(down, current, left_s), state)


def _later(rule: _Rule, current: int, left_s: float) -> str:
    return f"goes from {current} to {rule.number} in {math.ceil(left_s)} s, if it stays: " + (
        rule.reason
    )


def _margin(up: _Rule, current: int, bounds: Bounds) -> str:
    return (
        f"{current} stay, since {up.number} would be fuller than "
        f"{bounds.headroom * _DOWN_MARGIN:.0%}: {up.reason}"
    )


def _needed(demand: Demand, bounds: Bounds, headroom: float) -> _Rule:
    """The rule that asks for the most slots, within floor and ceiling."""
    rules = [*_by_axis(demand, headroom), *_by_pending(demand, headroom)]
    most = max(rules, key=lambda rule: rule.number, default=_Rule(0, "no stream needs a slot"))
    if most.number < bounds.min_slots:
        return _Rule(bounds.min_slots, f"no fewer than min_slots; {most.reason}")
    if most.number > bounds.max_slots:
        why = f"{most.number} would be needed, max_slots is {bounds.max_slots}: {most.reason}"
        return _Rule(bounds.max_slots, why)
    return most


def _by_axis(demand: Demand, headroom: float) -> list[_Rule]:
    """What the sum of all needs asks for, on each axis and by number."""
    most, shape = limits(demand.shape.capacity), demand.shape
    figures = (
        ("frames/s of floors", demand.axes.infer_fps, most.infer_fps),
        ("Mpx/s of decoding", demand.axes.decode_mpx_s, most.decode_mpx_s),
        ("streams", float(demand.num_streams), float(shape.max_streams or math.inf)),
    )
    rules = []
    for what, need, has in figures:
        number = math.ceil(need / (has * headroom) - _ROUNDING)
        if number > 0:
            why = f"need {need:.4g} {what}, a slot has {has:.4g} and is planned to {headroom:.0%}"
            rules.append(_Rule(number, why))
    return rules


def _by_pending(demand: Demand, headroom: float) -> list[_Rule]:
    """What streams ask for that fit on no slot: those that are ready, and others for them."""
    if not demand.num_pending:
        return []
    besides = replace(demand, num_streams=demand.num_pending, axes=demand.pending, num_pending=0)
    more = max((rule.number for rule in _by_axis(besides, headroom)), default=1)
    number = demand.num_ready + max(1, more)
    streams = "stream fits" if demand.num_pending == 1 else "streams fit"
    why = (
        f"{demand.num_pending} {streams} on none of {demand.num_ready} ready slots, and need "
        f"{demand.pending.infer_fps:.4g} frames/s and {demand.pending.decode_mpx_s:.4g} Mpx/s"
    )
    return [_Rule(number, why)]
