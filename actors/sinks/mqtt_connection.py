"""One connection to an MQTT 5 broker: a birth and a last will, and messages that are acknowledged.

``<prefix>/_status/<client>`` says ``online`` while the connection lasts and ``offline`` after it,
retained; the latter is forgotten after a day, so that clients that never come again leave nothing.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actors.errors import SinkError
from actors.sinks.specs import MqttSinkSpec

_KEEPALIVE_S = 30
_RECONNECT_S = (1, 2)
_REMEMBER_OFFLINE_S = 86_400
_GOODBYE_S = 1.0
_MAX_UNANSWERED = 65_535  # where the broker does not say


@dataclass(frozen=True, slots=True)
class Message:
    """What is published, QoS 1.

    Attributes:
        topic: Without wildcards.
        payload: UTF-8 JSON.
        properties: User properties, names and values.
        expiry_s: When brokers forget it; None for never.
    """

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...] = ()
    expiry_s: int | None = None


class MqttConnection:
    """Connects at once, in a thread of its own; connects again while nothing is being published.

    Raises:
        SinkError: if paho-mqtt is not installed.
    """

    def __init__(self, spec: MqttSinkSpec, client_id: str) -> None:
        self._paho = _import_paho()
        self._spec = spec
        self._status_topic = f"{spec.topic_prefix}/_status/{client_id}"
        self._changed = threading.Condition()
        self._is_connected = self._is_abandoned = False
        self._fault = ""
        self._max_unanswered = _MAX_UNANSWERED
        self._birth: int | None = None  # message id of the birth that is not answered
        self._answers: dict[int, Any] = {}  # reason codes by message id
        self._client = self._connecting(client_id)

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish in order; returns when the broker has acknowledged all.

        Raises:
            SinkError: if it may not have all of them. The connection must be abandoned then.
        """
        self._await_connection()
        first = 0
        while first < len(messages):
            window = messages[first : first + self._max_unanswered]
            self._publish(window)
            first += len(window)

    def abandon(self) -> None:
        """Cut the connection, so that nothing more is sent; the broker publishes the last will."""
        self._is_abandoned = True
        with contextlib.suppress(OSError, AttributeError):  # it may be gone already
            self._client.socket().shutdown(socket.SHUT_RDWR)
        self._client.disconnect()
        self._client.loop_stop()

    def close(self) -> None:
        """Say goodbye, with the last will; what was not acknowledged may be lost."""
        with self._changed:
            if self._is_connected:
                self._client.disconnect(reasoncode=self._reason("Disconnect with will message"))
                self._changed.wait_for(lambda: not self._is_connected, _GOODBYE_S)
        self.abandon()

    def _await_connection(self) -> None:
        spec = self._spec
        with self._changed:
            self._changed.wait_for(lambda: self._is_connected or self._fault, spec.timeout_s)
            if not self._is_connected:
                why = self._fault or f"no answer within {spec.timeout_s} s"
                raise SinkError(f"no connection to the MQTT broker {spec.host}:{spec.port}: {why}")

    def _publish(self, window: Sequence[Message]) -> None:
        with self._changed:
            self._answers.clear()
        sent = [
            self._client.publish(m.topic, m.payload, qos=1, properties=self._properties(m)).mid
            for m in window
        ]
        with self._changed:
            self._changed.wait_for(
                lambda: not self._is_connected or self._answers.keys() >= set(sent),
                self._spec.timeout_s,
            )
            fault = self._fault_of([self._answers.get(mid) for mid in sent])
        if fault:
            raise SinkError(f"the MQTT broker took not all of {len(window)} events: {fault}")

    def _fault_of(self, answers: Sequence[Any]) -> str:
        """Why not all was taken; empty where it was. No subscriber is no fault."""
        refused = next((str(each) for each in answers if each is not None and each.is_failure), "")
        if refused or None not in answers:
            return refused
        return self._fault or f"no answer within {self._spec.timeout_s} s"

    def _connecting(self, client_id: str) -> Any:
        spec, mqtt = self._spec, self._paho.client
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5
        )
        if spec.username:
            client.username_pw_set(spec.username, spec.password)
        if spec.tls:
            client.tls_set()
        client.on_connect, client.on_connect_fail = self._on_connect, self._on_connect_fail
        client.on_disconnect, client.on_publish = self._on_disconnect, self._on_publish
        client.on_socket_open = _send_at_once
        client.max_inflight_messages = 0  # bounded here, by what the broker says that it takes
        client.connect_timeout = spec.timeout_s
        client.reconnect_delay_set(*_RECONNECT_S)
        properties = self._properties_of("WILLMESSAGE")
        properties.MessageExpiryInterval = _REMEMBER_OFFLINE_S
        client.will_set(self._status_topic, b"offline", 1, True, properties)
        client.connect_async(spec.host, spec.port, _KEEPALIVE_S, clean_start=True)
        client.loop_start()
        return client

    def _on_connect(self, client: Any, _: Any, __: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure or self._is_abandoned:
            self._lose(str(reason))
            client.disconnect()
            return
        self._max_unanswered = getattr(properties, "ReceiveMaximum", _MAX_UNANSWERED)
        self._birth = client.publish(self._status_topic, b"online", qos=1, retain=True).mid

    def _on_connect_fail(self, *_: Any) -> None:
        self._lose(str(sys.exc_info()[1] or "nobody answers"))  # called where it is handled

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, *____: Any) -> None:
        self._lose(f"the connection was lost ({reason})")

    def _on_publish(self, _: Any, __: Any, mid: int, reason: Any, *___: Any) -> None:
        with self._changed:
            if mid == self._birth:  # an answer, whichever: some may not write that topic
                self._birth, self._is_connected, self._fault = None, True, ""
            self._answers[mid] = reason
            self._changed.notify_all()

    def _lose(self, fault: str) -> None:
        with self._changed:
            self._is_connected = False
            self._fault = self._fault or fault  # the first says why
            self._changed.notify_all()

    def _properties(self, message: Message) -> Any:
        properties = self._properties_of("PUBLISH")
        properties.PayloadFormatIndicator = 1  # UTF-8
        properties.ContentType = "application/json"
        if message.expiry_s is not None:
            properties.MessageExpiryInterval = message.expiry_s
        properties.UserProperty = list(message.properties)
        return properties

    def _properties_of(self, packet: str) -> Any:
        types = self._paho.packettypes.PacketTypes
        return self._paho.properties.Properties(getattr(types, packet))

    def _reason(self, name: str) -> Any:
        disconnect = self._paho.packettypes.PacketTypes.DISCONNECT
        return self._paho.reasoncodes.ReasonCode(disconnect, name)


def _send_at_once(_: Any, __: Any, connection: socket.socket) -> None:
    """Small packets do not wait for one another: a window would take 40 ms, a delayed ACK."""
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _import_paho() -> Any:
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise SinkError(
            "sinks: the mqtt sink needs paho-mqtt: pip install 'sightline[mqtt]'"
        ) from error
    return paho.mqtt
