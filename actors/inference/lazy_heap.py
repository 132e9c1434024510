"""A heap from which entries can be withdrawn, without ever growing past twice what it holds."""

from __future__ import annotations

import heapq
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Key = Any
"""A number, or a tuple of numbers; of one heap all alike."""

_SLACK = 32


class LazyHeap(Generic[T]):
    """Hashable items by a key; each item is in it at most once.

    A withdrawn entry stays in the heap until it comes to the top, or until such entries are half of
    the heap, which is then built anew: O(log n) for each call on average.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Key, int, T]] = []
        self._live: dict[T, int] = {}
        self._num_puts = 0

    def __len__(self) -> int:
        return len(self._live)

    @property
    def num_entries(self) -> int:
        """Entries held in memory, the withdrawn ones too."""
        return len(self._heap)

    def put(self, item: T, key: Key) -> None:
        """Add an item, or give it another key; of equal keys the one put first comes first."""
        self._num_puts = number = self._num_puts + 1
        heap, live = self._heap, self._live
        live[item] = number
        heapq.heappush(heap, (key, number, item))
        if len(heap) > 2 * len(live) + _SLACK:
            self._heap = [e for e in heap if live.get(e[2]) == e[1]]
            heapq.heapify(self._heap)

    def remove(self, item: T) -> None:
        """Withdraw an item; nothing happens where it is not there."""
        self._live.pop(item, None)
        if not self._live:
            self._heap.clear()

    def clear(self) -> list[T]:
        """Withdraw all items, and return them."""
        items = list(self._live)
        self._live.clear()
        self._heap.clear()
        return items

    def pop(self) -> T:
        """Withdraw the item with the lowest key.

        Raises:
            IndexError: if there is none.
        """
        heap, live = self._heap, self._live
        while True:
            _, number, item = heapq.heappop(heap)
            if live.get(item) == number:
                self.remove(item)
                return item

    def first(self) -> T | None:
        """The item with the lowest key; None where there is none."""
        heap, live = self._heap, self._live
        while heap:
            _, number, item = heap[0]
            if live.get(item) == number:
                return item
            heapq.heappop(heap)
        return None
