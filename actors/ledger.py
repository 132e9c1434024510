"""The frame ledger: where each decoded frame ended, in memory that outlives the counting process.

One row a stream in a shared file, written by the stream's ingest actor (``analysed`` and ``events``
by its analytics actor), read by the slot. ``decoded = inferred + sum(dropped by reason)`` once
nothing is in flight; when an ingest actor dies, the slot books the difference as ``lost``.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.latency import NUM_BUCKETS, bucket_of, counts_by_ms, percentiles_ms
from actors.messages import DropReason
from engines.frames import shared_memory_dir

_REASONS = tuple(DropReason)


class _Column(IntEnum):
    DECODED = 0
    INFERRED = 1
    ANALYSED = 2
    EVENTS = 3
    RECONNECTS = 4
    DECODE_ERRORS = 5
    ON_TIME = 6
    SKIPPED = 7
    WHOSE = 8


_DECODED, _INFERRED, _ON_TIME = (
    int(column) for column in (_Column.DECODED, _Column.INFERRED, _Column.ON_TIME)
)  # of which each frame counts in some: members of an Enum take three times as long to look up
_WRITTEN_HERE = (_Column.ANALYSED, _Column.EVENTS, _Column.WHOSE)
_FIRST_REASON = 9
_DROP_COLUMN = {reason: _FIRST_REASON + i for i, reason in enumerate(_REASONS)}
_NUM_COUNTERS = _FIRST_REASON + len(_REASONS)
_NUM_COLUMNS = _NUM_COUNTERS + NUM_BUCKETS


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The counts of one stream.

    Attributes:
        decoded: Pictures that came out of the decoder.
        inferred: Of these, how many went through the model.
        dropped: Of these, how many did not, by reason.
        analysed: Of the inferred, how many went through tracker and rules.
        events: Events written for the stream.
        reconnects: Times that the camera was opened again.
        decode_errors: Packets that the decoder refused.
        latency_ms: p50, p95, p99 from arrival to detections; empty before the first frame.
            Error at most 1.5 % (logarithmic buckets of 3 %).
        latency_counts: Inferred frames by latency, each bucket by its middle in ms; empty ones
            are left out.
        on_time: Of the inferred, how many were so before their deadline.
        skipped: Packets that were not decoded: to catch up with the camera where processor time is
            short, or because the degrade ladder leaves key frames only.
    """

    decoded: int
    inferred: int
    dropped: dict[DropReason, int]
    analysed: int
    events: int
    reconnects: int
    decode_errors: int
    latency_ms: dict[str, float]
    latency_counts: dict[float, int] = field(default_factory=dict)
    on_time: int = 0
    skipped: int = 0

    @property
    def in_flight(self) -> int:
        """Decoded frames that have not ended yet."""
        return self.decoded - self.inferred - sum(self.dropped.values())


class LedgerRow:
    """One stream's counters. Each column has a single writer, so no lock is needed.

    Args:
        cells: int64 in shared memory; a memoryview counts five times as fast as a NumPy array.
    """

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells

    def begin(self, stream: str) -> None:
        """Say whose row this is, before anybody counts in it."""
        self._cells[_Column.WHOSE] = stream_key(stream)

    def count_decoded(self) -> None:
        """A picture came out of the decoder."""
        self._cells[_DECODED] += 1

    def count_inferred(self, latency_s: float, *, is_on_time: bool) -> None:
        """A frame went through the model, ``latency_s`` after its arrival."""
        cells = self._cells
        cells[_INFERRED] += 1
        if is_on_time:
            cells[_ON_TIME] += 1
        cells[_NUM_COUNTERS + bucket_of(latency_s)] += 1

    def count_dropped(self, reason: DropReason, num: int = 1) -> None:
        """Frames ended before the model."""
        self._cells[_DROP_COLUMN[reason]] += num

    def count_analysed(self) -> None:
        """A frame went through tracker and rules."""
        self._cells[_Column.ANALYSED] += 1

    def count_events(self, num: int) -> None:
        """Events were made, by a frame or by the end of the stream."""
        self._cells[_Column.EVENTS] += num

    def count_reconnect(self) -> None:
        """The camera was opened again."""
        self._cells[_Column.RECONNECTS] += 1

    def count_decode_error(self) -> None:
        """The decoder refused a packet."""
        self._cells[_Column.DECODE_ERRORS] += 1

    def count_skipped(self) -> None:
        """A packet was not decoded."""
        self._cells[_Column.SKIPPED] += 1

    def settle(self) -> int:
        """Book all that is in flight as lost, because its holder is dead; returns how many."""
        num_lost = self.read().in_flight
        self.count_dropped(DropReason.LOST, num_lost)
        return num_lost

    def counts(self) -> bytes:
        """A copy of the row, for ``take`` on another machine."""
        return self._cells.tobytes()

    def take(self, counts: bytes) -> None:
        """Take over what an ingest actor on another machine has counted for the row's stream.

        What analytics and the slot write here stays as it is.
        """
        own = {column: self._cells[column] for column in _WRITTEN_HERE}
        self._cells[:] = memoryview(counts).cast("q")
        for column, value in own.items():
            self._cells[column] = value

    def clear(self) -> None:
        """Start at zero for another stream."""
        self._cells[:] = memoryview(bytes(self._cells.nbytes)).cast("q")

    def read(self) -> LedgerEntry:
        """A copy of the counts, outcomes first, so that nothing seems to have ended twice."""
        cells = self._cells
        on_time = cells[_Column.ON_TIME]  # read first: never more than inferred
        dropped = {reason: cells[column] for reason, column in _DROP_COLUMN.items()}
        inferred = cells[_Column.INFERRED]
        # Others count meanwhile, and NumPy raises where what it counts changes under its hands.
        latencies = counts_by_ms(np.frombuffer(cells, np.int64)[_NUM_COUNTERS:].copy())
        return LedgerEntry(
            decoded=cells[_Column.DECODED],
            inferred=inferred,
            dropped=dropped,
            analysed=cells[_Column.ANALYSED],
            events=cells[_Column.EVENTS],
            reconnects=cells[_Column.RECONNECTS],
            decode_errors=cells[_Column.DECODE_ERRORS],
            latency_ms=percentiles_ms(latencies),
            latency_counts=latencies,
            on_time=on_time,
            skipped=cells[_Column.SKIPPED],
        )


class Ledger:
    """A shared table of ledger rows."""

    def __init__(self, path: str, memory: mmap.mmap) -> None:
        self.path = path
        self._cells = memoryview(memory).cast("q")

    @classmethod
    def create(cls, num_rows: int, *, name: str = "ledger") -> Ledger:
        """Make a table of zeros in shared memory; the file's name begins with ``name``."""
        handle, path = tempfile.mkstemp(prefix=f"sightline-{name}-", dir=shared_memory_dir())
        os.truncate(path, num_rows * _NUM_COLUMNS * 8)
        os.close(handle)
        return cls.attach(path)

    @classmethod
    def attach(cls, path: str) -> Ledger:
        """Map a table that another process made."""
        with open(path, "r+b") as file:
            return cls(path, mmap.mmap(file.fileno(), 0))

    def row(self, number: int) -> LedgerRow:
        """The row with this number."""
        return LedgerRow(self._cells[number * _NUM_COLUMNS : (number + 1) * _NUM_COLUMNS])

    @property
    def num_rows(self) -> int:
        """How many streams the table can hold."""
        return len(self._cells) // _NUM_COLUMNS

    def progress(self) -> NDArray[np.int64]:
        """Of each row ``stream_key`` (0: it is free), analysed frames and events, (rows, 3)."""
        return self._table[:, (_Column.WHOSE, _Column.ANALYSED, _Column.EVENTS)]

    def frames(self, but: Iterable[DropReason] = ()) -> NDArray[np.int64]:
        """Of each row decoded frames, without those dropped for such reasons, and inferred ones.

        All rows in one pass: (rows, 2).
        """
        table = self._table
        left_out = table[:, [_DROP_COLUMN[reason] for reason in but]].sum(axis=1)
        return np.stack([table[:, _Column.DECODED] - left_out, table[:, _Column.INFERRED]], axis=1)

    @property
    def _table(self) -> NDArray[np.int64]:
        return np.frombuffer(self._cells, np.int64).reshape(self.num_rows, _NUM_COLUMNS)

    def unlink(self) -> None:
        """Remove the file."""
        Path(self.path).unlink(missing_ok=True)


def stream_key(stream: str) -> int:
    """By which a row names its stream; 1 or more."""
    return zlib.crc32(stream.encode()) + 1
