"""The ingest actor on another machine than its slot: its counts and pictures travel."""

from __future__ import annotations

from dataclasses import replace

from actors.ingest.actor import IngestActor
from actors.ingest.config import IngestConfig
from actors.ingest.far import FarConfig, FarRoute
from actors.ingest.status import IngestStatus
from actors.ledger import Ledger
from actors.messages import Assignment


class FarIngestActor(IngestActor):
    """Cameras on a machine without the slot's GPU; wrap with ``ray.remote``.

    Args:
        num_rows: Of the slot's ledger, for one of the same shape.
        config: Time-outs.
        far: How pictures travel.
    """

    def __init__(self, num_rows: int, config: IngestConfig, far: FarConfig) -> None:
        self._ledger = Ledger.create(num_rows, name="far-ledger")
        super().__init__(self._ledger.path, config, FarRoute(far))
        self._rows: dict[str, int] = {}

    def begin(self, name: str) -> None:
        """Take the place of this name, unique at its engine; once."""
        super().begin(name)
        self._ledger.unlink()  # it is mapped by now, and no file is left behind

    def open_stream(self, assignment: Assignment, counts: bytes = b"") -> None:
        """Take a stream on, and go on counting from ``counts``: its row in the slot's ledger."""
        stream = assignment.spec.id
        if stream not in self._rows and counts:
            self._ledger.row(assignment.ledger_row).take(counts)
        self._rows[stream] = assignment.ledger_row
        super().open_stream(assignment)

    def close_stream(self, stream: str) -> bytes:
        """Close a camera, wait until its frames have ended, and return its last counts."""
        super().close_stream(stream)
        number = self._rows.pop(stream, None)
        return b"" if number is None else self._ledger.row(number).counts()

    def status(self) -> IngestStatus:
        """What each stream is doing, with its counts so far."""
        counts = {name: self._ledger.row(row).counts() for name, row in self._rows.items()}
        return replace(super().status(), counts=counts)
