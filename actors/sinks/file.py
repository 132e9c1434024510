"""JSON lines in a file that is renamed when it is full."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks.formats import to_text
from actors.sinks.rotation import PartialWriteError, RotatingFile
from actors.sinks.sink import SinkStatus
from actors.sinks.specs import FileSinkSpec


class FileSink:
    """Appends events to a file, one JSON object a line, at once.

    Raises:
        SinkError: if the file cannot be opened.
    """

    def __init__(self, spec: FileSinkSpec) -> None:
        try:
            self._file = RotatingFile(
                spec.path, spec.max_bytes, spec.max_files, compress=spec.compress
            )
        except OSError as error:
            raise SinkError(
                f"sinks.file.path: cannot write '{spec.path}': {error.strerror}; name another file"
            ) from error
        self._format = spec.format
        self._lock = threading.Lock()
        self._is_open = True
        self._num_written = 0
        self._num_dropped = 0
        self._error = ""

    def write(self, events: Sequence[Event]) -> None:
        """Append; what a full disk refuses is dropped and counted. Nothing after ``close``."""
        lines = [to_text(event, self._format).encode() + b"\n" for event in events]
        with self._lock:
            num_written = self._append(lines) if self._is_open else 0
            self._num_written += num_written
            self._num_dropped += len(lines) - num_written

    def flush(self, timeout_s: float) -> bool:
        """Nothing waits."""
        return True

    def status(self) -> SinkStatus:
        """Counts so far."""
        with self._lock:
            return SinkStatus(
                "file",
                is_connected=not self._error,
                num_written=self._num_written,
                num_dropped=self._num_dropped,
                error=self._error,
            )

    def close(self, timeout_s: float = 2.0) -> None:
        """Close the file."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._file.close(timeout_s)

    def _append(self, lines: Sequence[bytes]) -> int:
        """Append; how many lines the disk took."""
        try:
            self._file.append(lines)
        except PartialWriteError as error:
            self._error = f"{error.strerror}: make room, or let the file be smaller"
            return error.num_lines
        self._error = ""
        return len(lines)
