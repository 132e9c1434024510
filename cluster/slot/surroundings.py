"""What a slot knows beyond itself: what the other slots say of their load, which streams wait."""

from __future__ import annotations

from collections.abc import Collection

from cluster.placement import Free, SlotLoad
from cluster.registry import FreeStream, Registry

_PAGE = 128
_MAX_PAGE = 1024


class Surroundings:
    """Reads what a decision is made from. What it costs does not grow with the number of streams.

    Args:
        registry: Where slots and streams are.
        name: The slot's.
        pipelines: Those that it serves: streams of others are none of its business.
    """

    def __init__(self, registry: Registry, name: str, pipelines: Collection[str]) -> None:
        self._registry = registry
        self._name = name
        self._pipelines = pipelines
        self._offset = 0
        self._page = _PAGE
        self._is_full = False

    def others(self) -> list[SlotLoad]:
        """The other slots that are alive; what cannot be read is left out."""
        texts = self._registry.slots.loads()
        loads = [SlotLoad.from_json(text) for name, text in texts.items() if name != self._name]
        return [load for load in loads if load is not None]

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
        return [each.free for each in found if each.wanted.pipeline in self._pipelines]

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
