"""MQTT 5: each event as a JSON message, QoS 1, on a topic of its stream and type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks.specs import MqttSinkSpec


def to_message(event: Event, topic_prefix: str) -> tuple[str, bytes]:
    """Topic and payload of an event."""
    return f"{topic_prefix}/{event.stream}/{event.type.value}", event.to_json().encode()


class MqttTransport:
    """Publishes and waits for the broker's acknowledgements, a batch at a time.

    Raises:
        SinkError: if paho-mqtt is not installed.
    """

    kind = "mqtt"

    def __init__(self, spec: MqttSinkSpec) -> None:
        self._paho = _import_paho()
        self._spec = spec
        self._client: Any = None

    def send(self, events: Sequence[Event]) -> int:
        """Publish all events; see ``Transport``."""
        try:
            client = self._client or self._connect()
            messages = [to_message(event, self._spec.topic_prefix) for event in events]
            sent = [client.publish(topic, payload, qos=1) for topic, payload in messages]
            for info in sent:
                info.wait_for_publish(self._spec.timeout_s)
                if not info.is_published():
                    raise SinkError(f"no answer within {self._spec.timeout_s} s")
        except (OSError, ValueError, RuntimeError, SinkError) as error:
            self.close()  # or its own queue would send late, and out of order
            raise SinkError(f"the MQTT broker took not all of {len(events)}: {error}") from error
        return 0

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _connect(self) -> Any:
        spec, paho = self._spec, self._paho
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        if spec.username:
            client.username_pw_set(spec.username, spec.password)
        if spec.tls:
            client.tls_set()
        client.connect_timeout = spec.timeout_s
        client.connect(spec.host, spec.port)
        client.loop_start()
        self._client = client
        return client


def _import_paho() -> Any:
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise SinkError(
            "sinks: the mqtt sink needs paho-mqtt: pip install 'sightline[mqtt]'"
        ) from error
    return paho.mqtt.client
