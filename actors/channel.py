"""Calls between two processes, many a second: a Unix socket and pickle.

A Ray call costs each side about a millisecond of processor, which on a small machine is as much as
a small model's inference. Actors find each other through Ray; what they say for each batch of
frames goes through a channel. Sockets lie in Linux's abstract namespace, so that no file is left.

Between machines the socket is TCP. Who calls must know the key, but nothing is encrypted: as with
Ray's own ports, only machines that trust each other may reach it.
"""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

logger = logging.getLogger(__name__)

_BACKLOG = 16
_READ_BYTES = 1 << 16
_LENGTH = struct.Struct("!Q")
_TIMEVAL = struct.Struct("@ll")

Message = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class ChannelAddress:
    """Where a server listens, and the key that it asks for.

    Attributes:
        place: Name of a Unix socket, or host and port.
        key: Shared secret.
    """

    place: str | tuple[str, int]
    key: bytes = field(repr=False)

    @property
    def family(self) -> str:
        """As ``multiprocessing.connection`` calls it."""
        return "AF_UNIX" if isinstance(self.place, str) else "AF_INET"


class ChannelServer:
    """Answers each call with what a function returns, or raises, for the value that was sent.

    Args:
        answer: Called in a thread for each client, so possibly by several at once.
        name: Shows in the names of socket and threads.
        host: Address of this machine, for clients on others; None for those on this one.
    """

    def __init__(self, answer: Callable[[Any], Any], name: str, host: str | None = None) -> None:
        path = f"\0sightline-{name}-{os.getpid()}-{secrets.token_hex(8)}"
        wanted = ChannelAddress(path if host is None else (host, 0), secrets.token_bytes(32))
        self._answer = answer
        self._name = name
        self._is_closed = False
        self._listener = Listener(wanted.place, wanted.family, _BACKLOG, authkey=wanted.key)
        place = path if host is None else self._listener.address  # with the port that it was given
        self.address = ChannelAddress(place, wanted.key)
        threading.Thread(target=self._accept, name=f"{name}-listen", daemon=True).start()

    def close(self) -> None:
        """Take no more clients; those that are served go on until they leave."""
        self._is_closed = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError, AuthenticationError) as error:
                if not self._is_closed:
                    logger.warning("%s refused a client: %s", self._name, error)
                continue
            arguments = (connection,)
            threading.Thread(
                target=self._serve, args=arguments, name=self._name, daemon=True
            ).start()

    def _serve(self, connection: Connection) -> None:
        pipe = _Pipe(connection, self.address)
        try:
            while True:
                pipe.send(self._reply(pipe.receive()))
        except (EOFError, OSError):
            return
        finally:
            pipe.close()

    def _reply(self, sent: Message) -> bytes:
        try:
            return _packed((True, self._answer(pickle.loads(sent))))  # noqa: S301 - it has our key
        except Exception as error:  # whoever called must get it
            return _packed((False, error))


class Channel:
    """A way to a server; for one thread.

    Args:
        address: The server's.
        timeout_s: Longest wait for an answer, seconds.

    Raises:
        ConnectionError: if nobody listens there.
    """

    def __init__(self, address: ChannelAddress, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        try:
            connection = Client(address.place, address.family, authkey=address.key)
            self._pipe = _Pipe(connection, address, timeout_s)
        except (OSError, EOFError, AuthenticationError) as error:
            raise ConnectionError(f"nobody listens: {error}") from error

    def call(self, value: Any) -> Any:
        """Send a value and wait for the answer.

        Raises:
            ConnectionError: if the server is gone or does not answer in time; the channel is of no
                use any more.
            Exception: what the server's function raised.
        """
        try:
            self._pipe.send(_packed(value))
            is_good, answer = pickle.loads(self._pipe.receive())  # noqa: S301 - as above
        except BlockingIOError as error:
            self.close()
            raise ConnectionError(f"no answer in {self._timeout_s:g} s") from error
        except (OSError, EOFError) as error:
            self.close()
            raise ConnectionError(f"the other side is gone: {error!r}") from error
        if not is_good:
            raise answer
        return answer

    def close(self) -> None:
        """Leave; may be called twice."""
        self._pipe.close()


class Route:
    """The way to a peer that another process may replace: whoever starts it says where it is.

    One thread calls; any thread may lead the route elsewhere.

    Args:
        peer: What the peer is, for errors.
        timeout_s: Longest wait for an answer, seconds.
    """

    def __init__(self, peer: str, timeout_s: float = 10.0) -> None:
        self._peer = peer
        self._timeout_s = timeout_s
        self._address: ChannelAddress | None = None
        self._channel: Channel | None = None
        self._channel_address: ChannelAddress | None = None
        self._known = threading.Condition()

    def lead_to(self, address: ChannelAddress) -> None:
        """From the next call on, call the peer at this address."""
        with self._known:
            self._address = address
            self._known.notify_all()

    def wait_until_known(self, timeout_s: float) -> bool:
        """Wait until it leads somewhere; whether it does."""
        with self._known:
            return self._known.wait_for(lambda: self._address is not None, timeout_s)

    def call(self, value: Any) -> Any:
        """Send a value to the peer and wait for the answer; see ``Channel.call``.

        Raises:
            ConnectionError: if the peer is not known yet, is gone, or does not answer in time.
        """
        channel = self._open()
        try:
            return channel.call(value)
        except ConnectionError:
            self._channel = None
            raise

    def close(self) -> None:
        """Leave the peer; the next call opens the way anew."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _open(self) -> Channel:
        with self._known:
            address = self._address
        if address is None:
            raise ConnectionError(f"{self._peer} is not there yet")
        if self._channel is None or self._channel_address != address:
            self.close()
            self._channel = Channel(address, self._timeout_s)
            self._channel_address = address
        return self._channel


class _Pipe:
    """Messages over a connection on which both sides have shown the key, one at a time each way.

    A message is its length and its bytes. Of ``multiprocessing``'s connection each costs two calls
    of the system to read, and a selector to wait for with a time-out.

    Args:
        connection: Is closed.
        address: What it leads to.
        timeout_s: Longest wait of ``receive``; None for ever.
    """

    def __init__(
        self, connection: Connection, address: ChannelAddress, timeout_s: float | None = None
    ) -> None:
        with connection:
            self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        if address.family == "AF_INET":
            # TCP would wait with the end of a message until its beginning has been confirmed.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if timeout_s is not None:
            seconds, rest_s = divmod(timeout_s, 1.0)
            longest = _TIMEVAL.pack(int(seconds), int(rest_s * 1e6))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, longest)

    def send(self, message: bytes) -> None:
        """Send a message; raises OSError."""
        length = _LENGTH.pack(len(message))
        if len(message) <= _READ_BYTES:
            self._socket.sendall(length + message)
            return
        self._socket.sendall(length)
        self._socket.sendall(message)

    def receive(self) -> Message:
        """The next message.

        Raises:
            EOFError: the other side has gone.
            BlockingIOError: nothing came for too long.
            OSError: the connection failed.
        """
        first = self._read(_READ_BYTES)
        while len(first) < _LENGTH.size:
            first += self._read(_READ_BYTES)
        (num_bytes,) = _LENGTH.unpack_from(first)
        begin = memoryview(first)[_LENGTH.size :]
        if len(begin) == num_bytes:
            return begin
        message = bytearray(num_bytes)
        message[: len(begin)] = begin
        rest = memoryview(message)[len(begin) :]
        while rest:
            num_read = self._socket.recv_into(rest)
            if not num_read:
                raise EOFError
            rest = rest[num_read:]
        return message

    def close(self) -> None:
        """Leave; may be called twice."""
        self._socket.close()

    def _read(self, max_bytes: int) -> bytes:
        read = self._socket.recv(max_bytes)
        if not read:
            raise EOFError
        return read


def _packed(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
