"""From the configuration to what one slot is made of."""

from __future__ import annotations

from actors.ingest.config import IngestConfig
from actors.pools import PoolConfig
from actors.sinks.specs import RedisSinkSpec, default_spool_dir
from cluster.config import SightlineConfig
from cluster.machine import num_cores
from cluster.slot.crew import CrewConfig
from engines.frames import Picture


def crew_config(name: str, config: SightlineConfig) -> CrewConfig:
    """The actors of a slot.

    Args:
        name: The slot's.
        config: With ``redis.url`` filled in.
    """
    num_ingests = config.slots.num_ingest or max(1, num_cores() // 2)
    largest = Picture(config.pool.max_width, config.pool.max_height)
    return CrewConfig(
        name=name,
        num_ingests=num_ingests,
        num_shards=1,
        pool=PoolConfig(
            num_slots=config.pool.num_slots,
            slot_bytes=largest.size_bytes,
            max_ingests=num_ingests,
            name=f"{name}-pool",
        ),
        ingest=IngestConfig(
            open_timeout_s=config.cameras.open_timeout_s,
            read_timeout_s=config.cameras.read_timeout_s,
        ),
        sinks=(redis_sink(config), *config.sinks),
    )


def redis_sink(config: SightlineConfig) -> RedisSinkSpec:
    """Where every slot writes its events."""
    redis = config.redis
    return RedisSinkSpec(
        url=str(redis.url),
        stream=f"{redis.prefix}:events",
        max_len=redis.max_events,
        spool_dir=redis.spool_dir or default_spool_dir(),
        spool_name=f"redis-{redis.prefix}" if redis.spool_dir else None,
    )
