"""The TCP connection with a camera and the buffer into which it is read.

One system call reads what has come, usually a whole picture. Python's own time-outs would add
another, so those of the socket are used. A thread has one buffer for all its connections, so that
it stays in the processor's cache.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from actors.ingest.rtsp.messages import END_OF_HEAD, MAX_HEAD_BYTES, Message, parse_head
from actors.ingest.rtsp.unfamiliar import UnfamiliarError
from actors.ingest.source_errors import broken_open, connection_error, failure, timed_out

_BUFFER_BYTES = 256 * 1024
_TIMEVAL = struct.Struct("ll")


class _Inbox(threading.local):
    def __init__(self) -> None:
        self.buffer = bytearray(_BUFFER_BYTES)  # three times the longest packet or message
        self.view = memoryview(self.buffer)


_INBOX = _Inbox()


class Wire:
    """A connection; ``buffer[begin:end]`` is what has come and was not yet taken.

    The buffer is that of the thread which has filled it, and ``keep`` makes room for others.

    Args:
        url: Of the camera, for messages.
        address: Host and port.
        deadline: Monotonic time at which the camera has to be open.

    Raises:
        SourceError: if there is no connection by then.
    """

    def __init__(self, url: str, address: tuple[str, int], deadline: float) -> None:
        self.buffer = bytearray()
        self.begin = self.end = 0
        self._url = url
        self._deadline: float | None = deadline
        self._is_closed = False
        self._receiving = threading.Lock()
        try:
            self._socket = socket.create_connection(address, max(deadline - time.monotonic(), 1e-3))
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as error:  # the latter from host names that cannot be
            raise connection_error(error, url) from None
        self._limit(deadline - time.monotonic())

    def fileno(self) -> int:
        """Of the socket."""
        return self._socket.fileno()

    def play(self, read_timeout_s: float) -> None:
        """The camera is open: from now on each wait for bytes has a limit of its own."""
        self._deadline = None
        self._limit(read_timeout_s)

    def send(self, data: bytes) -> None:
        """Send a message.

        Raises:
            SourceError: if the connection is broken, or the camera reads nothing.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._broken(error) from None

    def fill(self) -> None:
        """Wait until more has come; what was not yet taken moves to the front.

        Raises:
            SourceError: if nothing comes in time, or the connection ends.
        """
        if self._deadline is not None:
            self._limit(self._deadline - time.monotonic())
        buffer, view, num_bytes = _INBOX.buffer, _INBOX.view, self.end - self.begin
        if num_bytes:
            view[:num_bytes] = self.buffer[self.begin : self.end]
            view = view[num_bytes:]
        try:
            with self._receiving:
                count = self._socket.recv_into(view)
        except OSError as error:
            raise self._broken(error) from None
        if count == 0:
            is_opening = self._deadline is not None
            ended = failure(self._url, "disconnected", "ended the stream")
            raise broken_open(self._url) if is_opening else ended
        self.buffer, self.begin, self.end = buffer, 0, num_bytes + count

    def keep(self) -> None:
        """Put what was not yet taken aside: others may use the buffer now."""
        self.buffer = self.buffer[self.begin : self.end]
        self.begin, self.end = 0, len(self.buffer)

    def take_message(self) -> Message | None:
        """The message that begins the buffer; None where it is not yet complete.

        Raises:
            UnfamiliarError: if it is none.
        """
        while self.begin < self.end and self.buffer[self.begin] in b"\r\n":
            self.begin += 1
        limit = min(self.end, self.begin + MAX_HEAD_BYTES)
        stop = self.buffer.find(END_OF_HEAD, self.begin, limit)
        if stop < 0:
            if limit < self.end:
                raise UnfamiliarError("sends what is neither RTP nor RTSP")
            return None
        message, num_bytes = parse_head(bytes(self.buffer[self.begin : stop]))
        stop += len(END_OF_HEAD)
        if self.end - stop < num_bytes:
            return None
        body = bytes(self.buffer[stop : stop + num_bytes])
        self.begin = stop + num_bytes
        return Message(message.status, message.method, message.headers, body)

    def close(self, farewell: bytes = b"") -> None:
        """Hang up; ends a call of another thread that waits. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):
            if farewell:
                self._socket.send(farewell, socket.MSG_DONTWAIT)
            self._socket.shutdown(socket.SHUT_RDWR)
        with self._receiving:
            self._socket.close()

    def _limit(self, timeout_s: float) -> None:
        if timeout_s <= 0:
            raise timed_out(self._url)
        seconds = int(timeout_s)
        value = _TIMEVAL.pack(seconds, max(int((timeout_s - seconds) * 1e6), 1))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def _broken(self, error: OSError) -> Exception:
        if self._is_closed:
            return failure(self._url, "disconnected", "was closed here")
        if isinstance(error, BlockingIOError):
            return timed_out(self._url)
        is_opening = self._deadline is not None
        return broken_open(self._url) if is_opening else connection_error(error, self._url)
