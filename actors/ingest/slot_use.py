"""The slots of an ingest actor's lease: one that is being filled, and where all are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from actors.pools import Pool


class Slot(NamedTuple):
    """A slot that is being filled; of no use any more once the pool has been replaced."""

    pool: Pool
    number: int


@dataclass(frozen=True, slots=True)
class SlotUse:
    """Which slots are where; each slot of the lease is in exactly one of the sets."""

    free: frozenset[int]
    held: frozenset[int]
    waiting: frozenset[int]
    outstanding: frozenset[int]
