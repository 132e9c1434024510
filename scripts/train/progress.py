"""A progress bar: rich where it is installed, else a printed line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

try:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
except ImportError:
    RichProgress = None

PRINT_EVERY_S = 15.0


class Progress:
    """Shows how far a stage is: a bar on a terminal, lines in a log."""

    def __init__(self, stage: str, total: float) -> None:
        self._stage, self._total, self._done = stage, total, 0.0
        self._start = self._printed = time.monotonic()
        self._bar = _bar() if RichProgress and sys.stdout.isatty() else None
        self._task = self._bar.add_task(stage, total=total, note="") if self._bar else None

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()
        elapsed_s = time.monotonic() - self._start
        print(f"{self._stage}: {self._done:g} of {self._total:g} in {elapsed_s:.1f} s", flush=True)

    def advance(self, amount: float, note: str = "") -> None:
        """Count what is done; the note appears beside it."""
        self._done = round(self._done + amount, 3)
        if self._bar:
            self._bar.update(self._task, advance=amount, note=note)
            return
        now = time.monotonic()
        if now - self._printed >= PRINT_EVERY_S:
            self._printed = now
            done = f"{self._done:g} of {self._total:g}"
            print(f"{self._stage}: {done} after {now - self._start:.0f} s {note}", flush=True)


def _bar() -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:g} of {task.total:g}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
