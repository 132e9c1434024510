"""From what users ask for to an open sink."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from actors.sinks.delivery import DeliveringSink
from actors.sinks.file import FileSink
from actors.sinks.frames import FrameSink
from actors.sinks.mqtt import MqttTransport
from actors.sinks.redis import RedisTransport
from actors.sinks.sink import Sink, Transport
from actors.sinks.specs import MqttSinkSpec, RedisSinkSpec, SinkSpec
from actors.sinks.spool import Spool


def open_sink(spec: SinkSpec) -> Sink:
    """Open a sink. A server that is away is no error: events wait for it.

    Raises:
        SinkError: if a library is missing, or a folder or file cannot be written.
    """
    if isinstance(spec, RedisSinkSpec):
        return _delivering(spec, RedisTransport(spec), f"{spec.url} {spec.stream}")
    if isinstance(spec, MqttSinkSpec):
        return _delivering(spec, MqttTransport(spec), f"{spec.host}:{spec.port}")
    return FileSink(spec)


def open_frame_sinks(specs: Sequence[SinkSpec]) -> list[FrameSink]:
    """One for each sink that shall have the objects of every frame as well."""
    return [FrameSink(spec) for spec in specs if isinstance(spec, RedisSinkSpec) and spec.frames]


def _delivering(
    spec: RedisSinkSpec | MqttSinkSpec, transport: Transport, target: str
) -> DeliveringSink:
    name = spec.spool_name or _name_for(spec.kind, target)
    spool = Spool.claim(spec.spool_dir / name, spec.max_spool_bytes)
    return DeliveringSink(transport, spool, max_queue=spec.max_queue, max_batch=spec.max_batch)


def _name_for(kind: str, target: str) -> str:
    """A folder for each server, so that events never go to another one than they were for."""
    return f"{kind}-{blake2b(target.encode(), digest_size=6).hexdigest()}"
