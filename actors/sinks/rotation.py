"""A file of lines that several processes append to, and that makes room for itself.

When it is full it is renamed to ``<name>.<number>``, higher is newer, and begun anew; the oldest
go. Writers take turns by a lock on the file itself. Every line that is there is whole, but for the
last one of a process that died while it wrote; the next writer takes that away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_TAIL_BYTES = 2**20  # a torn line is no longer


class RotatingFile:
    """Appends whole lines. For one thread at a time, and any number of processes.

    Args:
        path: The file; its folder is made if need be. Something else than a file, as a pipe, is
            written to and never renamed.
        max_bytes: It is renamed before it would be larger.
        max_files: Files that are kept, the one that is written included.
        compress: Whether to compress the others, in a thread of its own.

    Raises:
        OSError: if the file cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int, max_files: int, *, compress: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._max_bytes, self._max_files = path, max_bytes, max_files
        self._compress = compress
        self._compressor: threading.Thread | None = None
        self._fd = self._open()

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines, each with its newline.

        Raises:
            PartialWriteError: if the disk took none or not all of them.
        """
        num_written = 0
        try:
            with self._locked():
                while num_written < len(lines):
                    num_written += self._append_some(lines[num_written:])
        except OSError as error:
            done = error.num_lines if isinstance(error, PartialWriteError) else 0
            raise PartialWriteError(error, num_written + done) from error

    def close(self, timeout_s: float) -> None:
        """Let go of the file, and wait a while for what is being compressed."""
        os.close(self._fd)
        if self._compressor is not None:
            self._compressor.join(timeout_s)

    def _append_some(self, lines: Sequence[bytes]) -> int:
        """Add as many as fit into the file, at least one; how many they were."""
        size_bytes = os.fstat(self._fd).st_size
        num, end_bytes = 0, size_bytes
        while num < len(lines) and end_bytes + len(lines[num]) <= self._max_bytes:
            end_bytes += len(lines[num])
            num += 1
        if num == 0 and size_bytes:
            self._rotate()
            return 0
        num = max(num, 1)
        self._write(lines[:num], size_bytes)
        return num

    def _write(self, lines: Sequence[bytes], size_bytes: int) -> None:
        data, num_bytes = b"".join(lines), 0
        try:
            num_bytes = os.write(self._fd, data)
            if num_bytes < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            whole_bytes = data.rfind(b"\n", 0, num_bytes) + 1
            with contextlib.suppress(OSError):  # the next writer will try again
                self._truncate(size_bytes + whole_bytes)
            raise PartialWriteError(error, data.count(b"\n", 0, whole_bytes)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The file of that name, which another process may have renamed, and no other writer."""
        while not (self._is_current() and self._is_locked()):
            os.close(self._fd)
            self._fd = self._open()
        try:
            self._mend()
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _is_locked(self) -> bool:
        """Lock it; whether it is the file of that name still."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self._is_current()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _mend(self) -> None:
        """Take away a line that its writer did not finish."""
        size_bytes = os.fstat(self._fd).st_size
        if size_bytes == 0 or os.pread(self._fd, 1, size_bytes - 1) == b"\n":
            return
        first = max(size_bytes - _TAIL_BYTES, 0)
        tail = os.pread(self._fd, _TAIL_BYTES, first)
        self._truncate(first + tail.rfind(b"\n") + 1)

    def _truncate(self, size_bytes: int) -> None:
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.ftruncate(self._fd, size_bytes)

    def _rotate(self) -> None:
        """Begin anew; the lock goes to the new file."""
        rotated = self._rotated()
        number = self._number(rotated[-1]) + 1 if rotated else 1
        target = self._path.with_name(f"{self._path.name}.{number:06d}")
        self._path.rename(target)
        for path in [*rotated, target][: -self._max_files + 1 or None]:
            path.unlink(missing_ok=True)
            _part_of(path).unlink(missing_ok=True)
        fresh = self._open()
        fcntl.flock(fresh, fcntl.LOCK_EX)
        os.close(self._fd)
        self._fd = fresh
        if self._compress:
            self._compress_others()

    def _rotated(self) -> list[Path]:
        """The other files, oldest first."""
        pattern = re.compile(re.escape(self._path.name) + r"\.\d{6,}(\.gz)?")
        found = [p for p in self._path.parent.iterdir() if pattern.fullmatch(p.name)]
        return sorted(found, key=self._number)

    def _number(self, rotated: Path) -> int:
        return int(rotated.name[len(self._path.name) + 1 :].removesuffix(".gz"))

    def _compress_others(self) -> None:
        if self._compressor is None or not self._compressor.is_alive():
            paths = [path for path in self._rotated() if path.suffix != ".gz"]
            self._compressor = threading.Thread(
                target=_compress_all, args=(paths,), name="sink-file-gzip", daemon=True
            )
            self._compressor.start()


class PartialWriteError(OSError):
    """The disk took none or not all lines.

    Attributes:
        num_lines: How many of them it took.
    """

    def __init__(self, cause: OSError, num_lines: int) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.num_lines = num_lines


def _compress_all(paths: Sequence[Path]) -> None:
    """What a full disk refuses stays as it is; the next rotation tries it again."""
    for path in paths:
        with contextlib.suppress(OSError):
            _compress_file(path)


def _compress_file(path: Path) -> None:
    """Replace a file by a compressed one; another process may be at it, or have removed it."""
    part = _part_of(path)
    with path.open("rb") as source:
        fcntl.flock(source, fcntl.LOCK_EX)
        if not path.exists():
            return
        try:
            with gzip.open(part, "wb") as packed:
                shutil.copyfileobj(source, packed, 2**20)
            part.rename(path.with_name(f"{path.name}.gz"))
        except OSError:
            part.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz.part")
