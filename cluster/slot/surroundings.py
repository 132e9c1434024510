"""What a slot knows beyond itself: what the other slots say of their load, which streams wait."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable

from cluster.placement import Free, SlotLoad, assumed_mpx_s
from cluster.registry import FOR_SLOT, FreeStream, Registry
from cluster.slot.timetable import LOOK_AT_MOST_EVERY_S

_PAGE = 128
_MAX_PAGE = 1024
_MAX_LOOKS_S = 200.0
_WAIT_FOR_OTHERS_S = 0.25
_MAX_LOOKS_AT_AN_END_S = 1000.0
_ENDED_FOR_S = 0.01  # the server ends leases by the millisecond


class Surroundings:
    """Reads what a decision is made from. What it costs does not grow with the number of streams.

    Args:
        registry: Where slots and streams are.
        name: The slot's.
        pipelines: Those that it serves: streams of others are none of its business.

    Attributes:
        num_others: Other slots that were alive when they were read last.
        assumed_mpx_s: What decoding streams takes whose sources are not known, as all slots that
            read the same would say.
    """

    def __init__(self, registry: Registry, name: str, pipelines: Collection[str]) -> None:
        self._registry = registry
        self._name = name
        self._pipelines = pipelines
        self._offset = 0
        self._page = _PAGE
        self._is_full = False
        self.num_others = 0
        self.assumed_mpx_s = assumed_mpx_s(())
        self._known_mpx_s: dict[str, float | None] = {}

    def others(self) -> list[SlotLoad]:
        """The other slots that are alive; what cannot be read is left out."""
        texts = self._registry.slots.loads()
        loads = [load for load in map(SlotLoad.from_json, texts.values()) if load is not None]
        self.assumed_mpx_s = assumed_mpx_s(loads)
        others = [load for load in loads if load.name != self._name]
        self.num_others = len(others)
        return others

    def tell(self, load: SlotLoad, ttl_ms: int) -> None:
        """Let the others know what this slot has."""
        self._registry.slots.publish_load(self._name, load.to_json(), ttl_ms)

    def free(self) -> list[Free]:
        """The most important of the streams that wait, and some of the others, in turn.

        So streams that fit nowhere hide no others for long, and new important ones are seen at
        once.
        """
        found = self._registry.leases.free(self._page)
        self._is_full = len(found) == self._page
        if self._is_full:
            found += self._next_page()
        else:
            self._offset = 0
        served = [each for each in found if each.wanted.pipeline in self._pipelines]
        self._known_mpx_s = {each.stream: each.decode_mpx_s for each in served}
        return [each.free(self.assumed_mpx_s) for each in served]

    def known_mpx_s(self, stream: str) -> float | None:
        """What decoding a stream took that was free when that was asked last; None if unknown."""
        return self._known_mpx_s.get(stream)

    def claimed(self, num: int) -> None:
        """So many of them were claimed: where more wait than were read, twice as many are next.

        Else all slots would look at the same few of thousands that are added at once.
        """
        self._page = min(2 * self._page, _MAX_PAGE) if num and self._is_full else _PAGE

    def _next_page(self) -> list[FreeStream]:
        self._offset += self._page
        page = self._registry.leases.free(self._page, self._offset)
        if len(page) < self._page:
            self._offset = 0
        return page


def look_after_s(name: str, changed: Iterable[str], num_others: int) -> float | None:
    """How long after the last look at what is free a wake-up call makes a slot look again.

    All slots hear of each stream that is added, and each look is work for the server: together
    they look 200 times a second at most. A slot that was given a stream looks at once.

    Args:
        name: The slot's.
        changed: What the call named.
        num_others: Slots beside it.

    Returns:
        Seconds; None where all of it is for others.
    """
    calls = set(changed)
    if FOR_SLOT + name in calls:
        return LOOK_AT_MOST_EVERY_S
    if all(call.startswith(FOR_SLOT) for call in calls):
        return None
    return max(LOOK_AT_MOST_EVERY_S, (num_others + 1) / _MAX_LOOKS_S)


def look_after_end_s(name: str, num_others: int) -> float:
    """How long after the end of a lease that nobody has renewed a slot looks.

    All slots know that moment, and what all of them see then they divide among them. Of very many
    each looks at another time, so that the server is never asked more than it is at rest.
    """
    place = zlib.crc32(name.encode()) / 2**32
    return _ENDED_FOR_S + place * (num_others + 1) / _MAX_LOOKS_AT_AN_END_S


def wait_for_others_s(num_others: int) -> float:
    """How long a slot waits for another to take a stream that it would take next."""
    return max(_WAIT_FOR_OTHERS_S, (num_others + 1) / _MAX_LOOKS_S)
