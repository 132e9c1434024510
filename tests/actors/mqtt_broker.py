"""A small MQTT 5 broker on a socket: QoS 0 and 1, wills, retained messages, faults on demand."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 12, 13, 14
DISCONNECT_WITH_WILL, TAKEN_OVER = 0x04, 0x8E
_BYTES, _NUMBERS = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}, {0x02, 0x11, 0x18, 0x27}
_SHORTS, _TEXTS = {0x13, 0x21, 0x22, 0x23}, {0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F}
CONTENT_TYPE, EXPIRY_S, IS_UTF8, USER = 0x03, 0x02, 0x01, 0x26


@dataclass(frozen=True)
class Published:
    """A message as the broker got it; ``properties`` by their numbers in the standard."""

    topic: str
    payload: bytes
    qos: int = 0
    is_retained: bool = False
    properties: dict[int, Any] = field(default_factory=dict)

    @property
    def user(self) -> dict[str, str]:
        return dict(self.properties.get(USER, ()))


class Reader:
    """Takes the parts of a packet one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        assert len(part) == size, "the packet is too short"
        self._at += size
        return part

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        return self.binary().decode()

    def properties(self) -> dict[int, Any]:
        inner, found = Reader(self.take(self.varint())), {}
        while inner._at < len(inner._data):
            number = inner.varint()
            if number == USER:
                found.setdefault(USER, []).append((inner.text(), inner.text()))
            elif number in _TEXTS:
                found[number] = inner.text()
            else:
                size = 1 if number in _BYTES else 2 if number in _SHORTS else 4
                assert size < 4 or number in _NUMBERS, f"property {number:#x}"
                found[number] = inner.number(size)
        return found


class MqttBroker:
    """Keeps all that it is sent, also over its death.

    Attributes:
        messages: What was published, in order, wills too.
        retained: Last retained message of each topic.
        refuses_with: Reason code of its CONNACK; 0 lets clients in.
        answers_with: Reason code of its PUBACK.
        is_silent: It answers no PUBLISH.
        receive_maximum: So many may be unanswered; it answers once there are so many, or a while
            after the last.
        most_unanswered: So many were, at most.
        dies_after: It dies once it has so many messages, before it answers the last.
        num_connections: Clients that were let in.
    """

    def __init__(self) -> None:
        self.messages: list[Published] = []
        self.retained: dict[str, Published] = {}
        self.refuses_with = self.answers_with = 0
        self.is_silent = False
        self.receive_maximum = 0
        self.most_unanswered = 0
        self.dies_after: int | None = None
        self.num_connections = 0
        self.port = 0
        self._connections: dict[str, _Connection] = {}
        self.lock = threading.RLock()
        self.start()

    def start(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def kill(self) -> None:
        """Gone at once; nobody is told."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self.lock:
            connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            connection.reset()

    def drop_clients(self) -> None:
        """End all connections, as a network does."""
        with self.lock:
            for connection in list(self._connections.values()):
                connection.reset()

    def events(self) -> list[Published]:
        return [m for m in list(self.messages) if "/_status/" not in m.topic]

    def statuses(self) -> list[str]:
        return [m.payload.decode() for m in list(self.messages) if "/_status/" in m.topic]

    def admit(self, connection: _Connection) -> None:
        with self.lock:
            former = self._connections.pop(connection.client_id, None)
            if former is not None:
                former.send(DISCONNECT, bytes([TAKEN_OVER, 0]))
                former.reset()
            self._connections[connection.client_id] = connection
            self.num_connections += 1

    def forget(self, connection: _Connection) -> None:
        with self.lock:
            if self._connections.get(connection.client_id) is connection:
                del self._connections[connection.client_id]

    def publish(self, message: Published) -> bool:
        """Keep a message; whether the broker lives on."""
        with self.lock:
            self.messages.append(message)
            if message.is_retained:
                self.retained[message.topic] = message
            if self.dies_after is not None and len(self.messages) >= self.dies_after:
                self.dies_after = None
                self.kill()
                return False
            return True

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_Connection(self, client).serve, daemon=True).start()


class _Connection:
    """One client, from its CONNECT on."""

    def __init__(self, broker: MqttBroker, client: socket.socket) -> None:
        self._broker, self._socket = broker, client
        self.client_id = ""
        self._will: Published | None = None
        self._unanswered: list[int] = []
        self._received = b""

    def serve(self) -> None:
        try:
            self._connect(*self._packet())
            while self._step(*self._packet()):
                pass
        except (OSError, EOFError):
            pass
        finally:
            self._broker.forget(self)
            self._socket.close()
            if self._will is not None:
                self._broker.publish(self._will)

    def send(self, kind: int, body: bytes = b"") -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(bytes([kind << 4, len(body)]) + body)

    def reset(self) -> None:
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._socket.shutdown(socket.SHUT_RDWR)

    def _connect(self, kind: int, flags: int, body: Reader) -> None:
        assert kind == CONNECT
        assert (body.text(), body.number(1)) == ("MQTT", 5)
        flags, _ = body.number(1), body.number(2)
        body.properties()
        self.client_id = body.text()
        will = None
        if flags & 0x04:
            properties, topic, payload = body.properties(), body.text(), body.binary()
            will = Published(topic, payload, flags >> 3 & 3, bool(flags & 0x20), properties)
        if self._broker.refuses_with:
            self.send(CONNACK, bytes([0, self._broker.refuses_with, 0]))
            raise EOFError
        self._broker.admit(self)
        self._will = will
        limit = self._broker.receive_maximum
        properties = b"\x21" + limit.to_bytes(2, "big") if limit else b""
        self.send(CONNACK, bytes([0, 0, len(properties)]) + properties)

    def _step(self, kind: int, flags: int, body: Reader) -> bool:
        """Answer one packet; whether there will be another."""
        if kind == PUBLISH:
            return self._publish(flags, body)
        if kind == PINGREQ:
            self.send(PINGRESP)
            return True
        assert kind == DISCONNECT
        reason = (body.rest() or b"\0")[0]
        if reason != DISCONNECT_WITH_WILL:
            self._will = None
        return False

    def _publish(self, flags: int, body: Reader) -> bool:
        topic, qos = body.text(), flags >> 1 & 3
        mid = body.number(2) if qos else 0
        properties = body.properties()
        message = Published(topic, body.rest(), qos, bool(flags & 1), properties)
        if not self._broker.answers_with and not self._broker.publish(message):
            return False
        if qos:
            self._unanswered.append(mid)
            most = max(self._broker.most_unanswered, len(self._unanswered))
            self._broker.most_unanswered = most
        if len(self._unanswered) >= self._broker.receive_maximum:
            self._answer()
        return True

    def _answer(self) -> None:
        if not self._broker.is_silent:
            for mid in self._unanswered:
                self.send(PUBACK, mid.to_bytes(2, "big") + bytes([self._broker.answers_with, 0]))
            self._unanswered.clear()

    def _packet(self) -> tuple[int, int, Reader]:
        while True:
            size = self._size()
            if size and len(self._received) >= size:
                packet, self._received = self._received[:size], self._received[size:]
                head = Reader(packet[1:])
                head.varint()
                return packet[0] >> 4, packet[0] & 0x0F, head
            self._receive()

    def _size(self) -> int:
        """Length of the first packet; 0 where its head is not whole."""
        reader = Reader(self._received[1:])
        try:
            rest = reader.varint()
        except AssertionError:
            return 0
        return 1 + reader._at + rest

    def _receive(self) -> None:
        self._socket.settimeout(0.05 if self._unanswered else None)
        try:
            part = self._socket.recv(65_536)
        except TimeoutError:
            self._answer()
            return
        if not part:
            raise EOFError
        self._received += part
