"""What a slot claims, releases and hands over. Pure: every slot decides from the same facts.

Each slot plans for all of them, and carries out its own part of the plan. So they agree without a
leader as far as they know the same; where they do not, the registry gives a stream to one only,
and who came too late decides again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cluster.placement.axes import NOTHING, Axes, fitting, is_overcommitted, limits, room, total
from cluster.placement.balance import evacuation, rebalancing
from cluster.placement.displacement import displacement_order, victims
from cluster.placement.places import Places
from cluster.placement.values import Decision, Free, Need, SlotLoad

STEP_S = 2.0
"""After how long without an owner the next best slot may claim a stream, or make room for it."""

MAX_DISPLACED_FOR = 8
"""Streams for which a slot makes room at a time."""


def decide(
    own: SlotLoad, held: Sequence[Need], others: Sequence[SlotLoad], free: Sequence[Free]
) -> Decision:
    """Decide what a slot does next.

    A free stream goes to the slot that is best for it: it fits on both axes and has the labels;
    it holds the fewest of its ``spread``, on its machine and itself; it is the emptiest
    afterwards; its name comes first. The next best may claim it after ``STEP_S``, and so on, so
    that a slot which does not answer blocks nobody. What is not measured yet refuses nothing.

    A stream whose source is not known is taken for what others take (``assumed``); one that turns
    out not to fit is let go.

    Where a stream fits nowhere for ``STEP_S``, the best slot lets streams of lower classes go
    (``displacement``). Only where nothing is on its way are streams moved (``balance``).

    Args:
        own: The slot that asks. Streams that are being closed are not in it any more.
        held: Its streams; those that are being closed left out.
        others: The other slots, as they published themselves.
        free: Streams without an owner.
    """
    kept, released = _kept(own, held)
    places = Places([own, *(load for load in others if load.name != own.name)])
    if own.is_draining:
        _plan(None, places, free)
        return Decision(move=evacuation(held, places))
    mine = places.index.get(own.name)
    if mine is None:
        return Decision(release=tuple(need.stream for need in released))
    for need in released:
        places.change(need, mine, -1)
    claim, unplaced, is_moving = _plan(mine, places, free)
    displaced = _displaced(mine, kept, places, unplaced)
    is_calm = not (is_moving or released or displaced)
    return Decision(
        claim=tuple(claim),
        release=tuple(need.stream for need in (*released, *displaced)),
        move=rebalancing(mine, own.labels, kept, places) if is_calm else {},
        is_waiting=is_moving and any(not each.reserved_for for each in free),
    )


def _kept(own: SlotLoad, held: Sequence[Need]) -> tuple[list[Need], list[Need]]:
    """What may stay and what goes; once streams must go, so many that others need not follow."""
    labels = own.labels.items()
    able = [need for need in held if need.labels.items() <= labels]
    able.sort(key=lambda need: (need.rank, need.stream))
    stay = {need.stream for need in able}
    if is_overcommitted(own.capacity, total(need.axes for need in able)):
        needs = {need.stream: need.axes for need in able}
        stay = set(fitting(needs, needs, room(Axes(own.capacity.infer_fps), NOTHING)))
    kept = [need for need in able if need.stream in stay][: own.max_streams]
    kept = _without_misjudged(own.capacity, kept)
    names = {need.stream for need in kept}
    return kept, [need for need in held if need.stream not in names]


def _without_misjudged(capacity: Axes, kept: Sequence[Need]) -> list[Need]:
    """Of the streams that were taken by a guess, the least important go while all are too much."""
    excess = total(need.axes for need in kept) - limits(capacity)
    stay = list(kept)
    for need in reversed(kept):
        if excess.decode_mpx_s <= 0:
            break
        if need.is_on_trial and not need.is_assumed:
            stay.remove(need)
            excess -= need.axes
    return stay


def _plan(
    mine: int | None, places: Places, free: Iterable[Free]
) -> tuple[list[str], list[Free], bool]:
    """Place all free streams, the most important first.

    Returns:
        Those for this slot, those that fit nowhere, and whether any is on its way to a slot.
    """
    claim, unplaced, is_moving = [], list[Free](), False
    for each in sorted(free, key=lambda each: (each.need.rank, each.need.stream)):
        target = _target(each, mine, places)
        if target is None:
            unplaced.append(each)
            continue
        is_moving = True
        if each.reserved_for == places.names[target] and not places.fits(each.need, target):
            continue  # it has come too late, and is anybody's soon
        places.change(each.need, target)
        if target == mine:
            claim.append(each.need.stream)
    return claim, unplaced, is_moving


def _target(free: Free, mine: int | None, places: Places) -> int | None:
    """The slot that shall have a stream; this one as soon as it has its turn."""
    reserved = places.index.get(free.reserved_for)
    if reserved is not None:
        return reserved
    return places.choice(free.need, mine, int(free.free_s / STEP_S))


def _displaced(
    mine: int, held: Sequence[Need], places: Places, unplaced: Iterable[Free]
) -> list[Need]:
    """Streams that make room for higher classes, which are claimed once they are gone."""
    left, gone = list(held), list[Need]()
    planned: set[int] = set()
    num = 0
    for each in unplaced:
        turn = int(each.free_s / STEP_S)
        if turn == 0 or num == MAX_DISPLACED_FOR:
            continue
        order = [at for at in displacement_order(each.need, places) if at not in planned]
        if mine not in order[:turn]:
            planned.update(order[:1])
            continue
        going = victims(each.need, mine, places, left)
        if not going and not places.fits(each.need, mine):
            continue
        for need in going:
            places.change(need, mine, -1)
            left.remove(need)
        places.change(each.need, mine)
        gone += going
        num += 1
    return gone
