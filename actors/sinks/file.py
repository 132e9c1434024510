"""JSON lines in a file."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks.sink import SinkStatus


class FileSink:
    """Appends events to a file, one JSON object a line, at once.

    Raises:
        SinkError: if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise SinkError(
                f"sinks.file.path: cannot write '{path}': {error.strerror}; name another file"
            ) from error
        self._lock = threading.Lock()
        self._num_written = 0
        self._num_dropped = 0
        self._error = ""

    def write(self, events: Sequence[Event]) -> None:
        """Append; what a full disk refuses is dropped and counted."""
        lines = "".join(event.to_json() + "\n" for event in events).encode()
        with self._lock:
            try:
                self._file.write(lines)
                self._num_written += len(events)
                self._error = ""
            except OSError as error:
                self._num_dropped += len(events)
                self._error = str(error)

    def flush(self, timeout_s: float) -> bool:
        """Nothing waits."""
        return True

    def status(self) -> SinkStatus:
        """Counts so far."""
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
            self._file.close()
