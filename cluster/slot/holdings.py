"""The streams that a slot holds: their leases, their ledger rows, and who works on them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.messages import Assignment
from cluster.registry import StreamRecord

PIPELINE = "default"


def is_ours(record: StreamRecord | None) -> bool:
    """Whether a stream is to run here: it is there, enabled, and of the pipeline served."""
    return record is not None and record.spec.enabled and record.spec.pipeline == PIPELINE


@dataclass(frozen=True, slots=True)
class Holding:
    """One stream of a slot.

    Attributes:
        assignment: What its actors were told.
        ingest: Number of the ingest actor that has its camera.
        closing: True from the moment that its actors were told to end it.
        is_far: Whether its camera is held on another machine; then ``ingest`` counts those there.
    """

    assignment: Assignment
    ingest: int
    closing: bool = False
    is_far: bool = False

    @property
    def token(self) -> int:
        """Fencing token of its lease."""
        return self.assignment.token


class Holdings:
    """Streams by id. Gives each a free ledger row and the ingest actor with the fewest cameras.

    Args:
        num_rows: Streams at most.
        num_ingests: Ingest actors on the slot's machine.
        num_far: Those on other machines.
    """

    def __init__(self, num_rows: int, num_ingests: int, num_far: int = 0) -> None:
        self._free_rows = list(range(num_rows - 1, -1, -1))
        self._num_ingests = {False: num_ingests, True: num_far}
        self._held: dict[str, Holding] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, stream: str) -> bool:
        return stream in self._held

    def __getitem__(self, stream: str) -> Holding:
        return self._held[stream]

    @property
    def room(self) -> int:
        """How many more streams can be added."""
        return len(self._free_rows)

    @property
    def floors_fps(self) -> float:
        """Frames a second that their floors ask for, all together."""
        return sum(holding.assignment.spec.floor_fps for holding in self._held.values())

    def items(self) -> list[tuple[str, Holding]]:
        """All streams with their holdings."""
        return list(self._held.items())

    def of_ingest(self, number: int, *, is_far: bool = False) -> list[Holding]:
        """What an ingest actor works on; streams that are being ended are left out."""
        return [
            holding
            for holding in self._held.values()
            if (holding.ingest, holding.is_far) == (number, is_far) and not holding.closing
        ]

    def tokens(self) -> dict[str, int]:
        """The fencing token of each stream."""
        return {stream: holding.token for stream, holding in self._held.items()}

    def add(self, record: StreamRecord, token: int, *, is_far: bool = False) -> Holding:
        """Take a stream whose lease was won; there must be ``room``.

        Args:
            record: The stream.
            token: Of the lease.
            is_far: Whether another machine shall hold its camera, if there is one.
        """
        is_far = is_far and self._num_ingests[True] > 0
        loads = [0] * self._num_ingests[is_far]
        for holding in self._held.values():
            if holding.is_far == is_far:
                loads[holding.ingest] += 1
        assignment = Assignment(record.spec, token, self._free_rows.pop(), record.generation)
        holding = Holding(assignment, loads.index(min(loads)), is_far=is_far)
        self._held[record.spec.id] = holding
        return holding

    def update(self, record: StreamRecord) -> Holding:
        """Take over a changed spec."""
        before = self._held[record.spec.id]
        assignment = replace(before.assignment, spec=record.spec, generation=record.generation)
        self._held[record.spec.id] = replace(before, assignment=assignment)
        return self._held[record.spec.id]

    def close(self, stream: str) -> None:
        """Mark a stream as ending; it stays held until ``drop``."""
        self._held[stream] = replace(self._held[stream], closing=True)

    def drop(self, stream: str) -> None:
        """Forget a stream; its ledger row is free again."""
        self._free_rows.append(self._held.pop(stream).assignment.ledger_row)
