"""A bounded queue of lines on disk, for events whose server is away; survives a restart.

A folder of numbered segment files to which lines are appended, and a small file that says how far
they were taken. When the folder is full the oldest segment goes, and its lines count as dropped.
Lines are safe from the end of the process, not from that of the machine: nothing is fsynced.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from actors.errors import SinkError

_NUM_SEGMENTS = 16
_SUFFIX = ".jsonl"


@dataclass(slots=True)
class _Segment:
    """A file of lines; ``num_lines`` and ``num_bytes`` from ``taken_bytes`` on are still wanted."""

    path: Path
    num_bytes: int = 0
    num_lines: int = 0
    taken_bytes: int = 0

    @property
    def number(self) -> int:
        return int(self.path.stem)


class Spool:
    """Lines in order, first in, first out. For one thread of one process.

    Attributes:
        num_dropped: Lines that were lost because the spool, or the disk, was full.

    Raises:
        BlockingIOError: if another process holds the folder.
        SinkError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.num_dropped = 0
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_segment_bytes = max(max_bytes // _NUM_SEGMENTS, 1)
        self._lock_fd = _lock(folder)
        self._position_fd = os.open(folder / "position", os.O_RDWR | os.O_CREAT, 0o600)
        self._next_number, taken_bytes = self._read_position()
        self._segments = self._recover(taken_bytes)
        self._tail: IO[bytes] | None = None

    @classmethod
    def claim(cls, root: Path, max_bytes: int) -> Spool:
        """Take a folder under ``root`` that no process holds, one with lines left if there is any.

        So the heir of a process that died delivers what that one could not.

        Raises:
            SinkError: if the folder cannot be written.
        """
        numbers = sorted(int(path.name) for path in root.glob("[0-9]*"))
        free = [s for n in numbers if (s := cls._open_free(root / str(n), max_bytes))]
        chosen = next((spool for spool in free if len(spool)), free[0] if free else None)
        for spool in free:
            if spool is not chosen:
                spool.close()
        new = itertools.count(numbers[-1] + 1 if numbers else 0)
        while chosen is None:
            chosen = cls._open_free(root / str(next(new)), max_bytes)
        return chosen

    def __len__(self) -> int:
        """Lines that wait."""
        return sum(segment.num_lines for segment in self._segments)

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines, each with its newline; what does not fit costs the oldest."""
        for line in lines:
            self._append(line)
        while len(self._segments) > 1 and self._num_bytes() > self._max_bytes:
            self.num_dropped += self._segments[0].num_lines
            self._remove_first()

    def peek(self, max_lines: int) -> list[bytes]:
        """The oldest lines, at least one if there are any; they stay until ``commit``."""
        if not self._segments:
            return []
        first = self._segments[0]
        with first.path.open("rb") as file:
            file.seek(first.taken_bytes)
            return list(itertools.islice(file, max_lines))

    def commit(self, lines: Sequence[bytes]) -> None:
        """Take away what the last ``peek`` returned; nothing may have been appended since."""
        if not lines:
            return
        first = self._segments[0]
        first.taken_bytes += sum(map(len, lines))
        first.num_lines -= len(lines)
        if first.num_lines == 0:
            self._remove_first()
        else:
            self._write_position(first.number, first.taken_bytes)

    def close(self) -> None:
        """Let go of the folder; the lines stay."""
        self._close_tail()
        os.close(self._position_fd)
        os.close(self._lock_fd)

    @classmethod
    def _open_free(cls, folder: Path, max_bytes: int) -> Spool | None:
        try:
            return cls(folder, max_bytes)
        except BlockingIOError:
            return None

    def _append(self, line: bytes) -> None:
        try:
            tail = self._open_tail()
            segment = self._segments[-1]
            if tail.write(line) != len(line):
                os.ftruncate(tail.fileno(), segment.num_bytes)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self.num_dropped += 1
            return
        segment.num_bytes += len(line)
        segment.num_lines += 1

    def _open_tail(self) -> IO[bytes]:
        """The file of the last segment; a new one where that is full."""
        if self._tail is not None and self._segments[-1].num_bytes < self._max_segment_bytes:
            return self._tail
        self._close_tail()
        path = self._folder / f"{self._next_number:010d}{_SUFFIX}"
        self._tail = path.open("ab", buffering=0)
        self._segments.append(_Segment(path))
        self._next_number += 1
        return self._tail

    def _remove_first(self) -> None:
        """The position moves on first, so that a crash in between brings no line back."""
        first = self._segments.pop(0)
        self._write_position(first.number + 1, 0)
        if not self._segments:
            self._close_tail()
        first.path.unlink(missing_ok=True)

    def _close_tail(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _num_bytes(self) -> int:
        return sum(segment.num_bytes for segment in self._segments)

    def _recover(self, taken_bytes: int) -> list[_Segment]:
        """The segments that a process left; each last line is whole again, or gone."""
        segments: list[_Segment] = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            segment = _Segment(path)
            if segment.number < self._next_number:
                path.unlink()
                continue
            is_first = segment.number == self._next_number and not segments
            if _measure(segment, taken_bytes if is_first else 0):
                segments.append(segment)
        if segments:
            self._next_number = segments[-1].number + 1
        return segments

    def _read_position(self) -> tuple[int, int]:
        """Number of the first segment and how many of its bytes were taken."""
        words = os.pread(self._position_fd, 64, 0).split()
        return (int(words[0]), int(words[1])) if len(words) == 2 else (1, 0)

    def _write_position(self, number: int, taken_bytes: int) -> None:
        os.pwrite(self._position_fd, f"{number:20d} {taken_bytes:20d}\n".encode(), 0)


def _lock(folder: Path) -> int:
    """A descriptor that holds the folder until it is closed or the process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SinkError(
            f"sinks: spool_dir: cannot write '{folder}': {error.strerror}; name another folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def _measure(segment: _Segment, taken_bytes: int) -> bool:
    """Cut off a torn last line and count the rest; whether lines are left, else it is removed."""
    content = segment.path.read_bytes()
    segment.num_bytes = content.rfind(b"\n") + 1
    segment.taken_bytes = min(taken_bytes, segment.num_bytes)
    segment.num_lines = content.count(b"\n", segment.taken_bytes)
    os.truncate(segment.path, segment.num_bytes)
    if segment.num_lines == 0:
        segment.path.unlink()
    return segment.num_lines > 0
