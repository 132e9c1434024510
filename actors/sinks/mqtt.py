"""MQTT 5: each event as a JSON message, QoS 1, on a topic of its stream and type."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from uuid import uuid4

from actors.analytics.events import Event
from actors.sinks.formats import schema_of, to_text
from actors.sinks.mqtt_connection import Message, MqttConnection
from actors.sinks.specs import MqttSinkSpec


def to_message(event: Event, spec: MqttSinkSpec) -> Message:
    """An event as it is published."""
    return Message(
        topic=f"{spec.topic_prefix}/{event.stream}/{event.type.value}",
        payload=to_text(event, spec.format).encode(),
        properties=(("schema", schema_of(spec.format)), ("id", event.id)),
        expiry_s=spec.expiry_s,
    )


class MqttTransport:
    """Publishes and waits for the broker's acknowledgements, a batch at a time.

    The connection is kept over batches. A batch that fails is sent again as a whole over another
    one, so messages may come twice, with the same ``id`` and in order.

    Raises:
        SinkError: if paho-mqtt is not installed.
    """

    kind = "mqtt"

    def __init__(self, spec: MqttSinkSpec) -> None:
        self._spec = spec
        # The same in all connections: the broker ends the one before when the next one comes.
        self._client_id = f"sightline-{socket.gethostname()[:32]}-{uuid4().hex[:8]}"
        self._connection: MqttConnection | None = MqttConnection(spec, self._client_id)

    def send(self, events: Sequence[Event]) -> int:
        """Publish all events; see ``Transport``. A broker refuses nobody's for being late."""
        connection = self._connection or MqttConnection(self._spec, self._client_id)
        self._connection = None  # a broken one would send what it still has late, out of order
        try:
            connection.publish([to_message(event, self._spec) for event in events])
        except BaseException:
            connection.abandon()
            raise
        self._connection = connection
        return 0

    def close(self) -> None:
        """Say goodbye."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
