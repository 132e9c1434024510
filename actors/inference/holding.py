"""Who is held back where floors are broken: of each ingest actor as many as needed, in turns.

Decoders are short where they are: each ingest actor has a thread or cores of its own. So each has a
stage. The first eight hold back an eighth of its streams of the lowest class more each, the next
eight those of the class above, and so on through the rungs that break floors.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from actors.inference.rungs import NUM_CAPPED, RUNGS, step_at
from actors.messages import DegradeStep
from actors.specs import QosClass

NUM_PARTS = 8
_NUM_STAGES = NUM_PARTS * (len(RUNGS) - NUM_CAPPED)

Group = tuple[str, QosClass]
Groups = Mapping[Group, Sequence[str]]
"""Ids of the streams that are here, sorted, by ingest actor and class; none is empty."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ladder stands.

    Attributes:
        num_capped: How many of the rungs that keep floors it has climbed.
        stages: How far it goes beyond them, by ingest actor; those that give nothing are left out.
    """

    num_capped: int = 0
    stages: Mapping[str, int] = field(default_factory=dict)

    @property
    def rung(self) -> int:
        """The highest rung of which anything is in force."""
        stage = max(self.stages.values(), default=0)
        return NUM_CAPPED + _rung(stage) if stage else self.num_capped

    @property
    def depth(self) -> int:
        """How much it takes; a step back makes it less."""
        return self.num_capped + sum(self.stages.values())

    def step_of_all(self, group: Group) -> DegradeStep:
        """What is taken from all of a group, whosever turn it is."""
        owner, name = group
        num_whole = self.stages.get(owner, 0) // NUM_PARTS
        return step_at(NUM_CAPPED + num_whole if num_whole else self.num_capped, name)

    def above(self, owners: Collection[str], groups: Groups) -> Place | None:
        """What comes next: for all a cap, else for those of these that have the lowest classes.

        Args:
            owners: Ingest actors that should give more, where floors have to be broken.
            groups: Of all streams.
        """
        present = {name for _, name in groups}
        for rung in range(self.num_capped, NUM_CAPPED):
            if RUNGS[rung][0] in present:
                return Place(rung + 1)
        more = {owner: _more(self.stages.get(owner, 0), owner, groups) for owner in owners}
        found = {owner: stage for owner, stage in more.items() if stage}
        first = min(map(_rung, found.values()), default=None)
        if first is None:
            return None
        found = {owner: stage for owner, stage in found.items() if _rung(stage) == first}
        return Place(NUM_CAPPED, {**self.stages, **found})

    def below(self, groups: Groups) -> Place:
        """The same with less of what was taken last; of each ingest actor."""
        less = {owner: _less(stage, owner, groups) for owner, stage in self.stages.items()}
        stages = {owner: stage for owner, stage in less.items() if stage}
        if stages:
            return Place(NUM_CAPPED, stages)
        present = {name for _, name in groups}
        here = [rung for rung in range(1, self.num_capped + 1) if RUNGS[rung - 1][0] in present]
        if not self.stages:
            here = here[:-1]
        return Place(here[-1] if here else 0)


class Turns:
    """Whose turn it is where a part of a group is held back: so many in the order of their ids."""

    def __init__(self) -> None:
        self._begins: dict[Group, str] = {}

    def steps(self, place: Place, groups: Groups) -> dict[str, DegradeStep]:
        """What is taken from each stream."""
        steps: dict[str, DegradeStep] = {}
        for group, streams in groups.items():
            steps.update(dict.fromkeys(streams, place.step_of_all(group)))
        for group, step, num in _parts(place, groups):
            steps.update(dict.fromkeys(self._in_order(group, groups)[:num], step))
        return steps

    def move_on(self, place: Place, groups: Groups) -> None:
        """It is the turn of those who come next."""
        for group, _, num in _parts(place, groups):
            order = self._in_order(group, groups)
            self._begins[group] = order[num % len(order)]

    def _in_order(self, group: Group, groups: Groups) -> Sequence[str]:
        streams = groups[group]
        first = bisect_left(streams, self._begins.get(group, ""))
        return [*streams[first:], *streams[:first]]


def _parts(place: Place, groups: Groups) -> Iterator[tuple[Group, DegradeStep, int]]:
    """Groups of which a part is held back, at which step, and how many."""
    for owner, stage in place.stages.items():
        num = _num_held(stage, owner, groups)
        if num and stage % NUM_PARTS:
            name, step = _taking(stage)
            yield (owner, name), step, num


def _rung(stage: int) -> int:
    """Of the rungs that break floors, counted from 1."""
    return (stage - 1) // NUM_PARTS + 1


def _taking(stage: int) -> tuple[QosClass, DegradeStep]:
    """From whom a stage takes something, and what."""
    return RUNGS[NUM_CAPPED + _rung(stage) - 1]


def _num_held(stage: int, owner: str, groups: Groups) -> int:
    """From how many streams the rung of a stage takes something; at least one if there is any."""
    name, _ = _taking(stage)
    part = (stage - 1) % NUM_PARTS + 1
    return -(-part * len(groups.get((owner, name), ())) // NUM_PARTS)


def _more(stage: int, owner: str, groups: Groups) -> int:
    """The next stage that holds back more; 0 where there is none."""
    num = _num_held(stage, owner, groups) if stage else 0
    for above in range(stage + 1, _NUM_STAGES + 1):
        if above % NUM_PARTS == 1:
            num = 0
        if _num_held(above, owner, groups) > num:
            return above
    return 0


def _less(stage: int, owner: str, groups: Groups) -> int:
    """The highest stage that holds back less."""
    while stage and not _num_held(stage, owner, groups):
        stage -= 1
    num = _num_held(stage, owner, groups) if stage else 0
    for below in range(stage - 1, 0, -1):
        left = _num_held(below, owner, groups)
        if left < num if _rung(below) == _rung(stage) else left:
            return below
    return 0
