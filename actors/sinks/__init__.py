"""Sinks: where events go. A sink takes them at once and delivers them in order, in its own time."""

from actors.sinks.frames import FrameSink
from actors.sinks.opening import open_frame_sinks, open_sink
from actors.sinks.sink import Sink, SinkStatus
from actors.sinks.specs import FileSinkSpec, MqttSinkSpec, RedisSinkSpec, SinkSpec

__all__ = [
    "FileSinkSpec",
    "FrameSink",
    "MqttSinkSpec",
    "RedisSinkSpec",
    "Sink",
    "SinkSpec",
    "SinkStatus",
    "open_frame_sinks",
    "open_sink",
]
