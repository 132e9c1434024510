"""What a configuration brings into the registry before its slots start."""

from __future__ import annotations

from cluster.config import SightlineConfig
from cluster.errors import ConfigError, FieldFault
from cluster.registry import Registry


def seed(config: SightlineConfig) -> None:
    """Add the streams and pipelines of the configuration, or change those of the same name.

    Raises:
        ConfigError: It names no Redis.
        UnavailableError: That Redis does not answer.
    """
    if config.redis.url is None:
        remedy = "write redis://HOST:6379/0 with a host that every machine reaches"
        raise ConfigError("configuration", [FieldFault("redis.url", "names no Redis", remedy)])
    registry = Registry.open(config.redis.url, config.redis.prefix, config.api.max_streams)
    for name, pipeline in config.pipelines.items():
        registry.pipelines.put(name, pipeline)
    for stream in config.streams:
        registry.streams.put(stream)
    registry.close()
