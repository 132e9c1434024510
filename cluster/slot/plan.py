"""From the configuration to what one slot is made of."""

from __future__ import annotations

import math

from actors.ingest.config import IngestConfig
from actors.ingest.far import FarConfig
from actors.sinks.specs import RedisSinkSpec, default_spool_dir
from cluster.config import SightlineConfig
from cluster.devices import is_on_gpu, reserves_gpu
from cluster.machine import num_cores
from cluster.slot.crew import NO_GPU, CrewConfig, GpuShares
from cluster.slot.far import FarPlan
from cluster.slot.pool import pool_config
from engines.frames import Picture

_MAX_GPU_INGESTS = 4
_GPU_WAITING = 4  # decoders that are nearly full give out some pictures late
_GPU_BEAT_S = 0.032  # a little less than between two frames of a camera at 30 a second


def crew_config(name: str, config: SightlineConfig) -> CrewConfig:
    """The actors of a slot.

    Args:
        name: The slot's.
        config: With ``redis.url`` filled in.
    """
    slots, on_gpu = config.slots, is_on_gpu(config)
    num_ingests = slots.num_ingest or _num_ingests(on_gpu)
    spares = on_gpu if slots.spares is None else slots.spares
    return CrewConfig(
        name=name,
        num_ingests=num_ingests,
        num_shards=slots.num_analytics or (2 if on_gpu else 1),
        max_streams=slots.max_streams or (256 if on_gpu else 64),
        spares=spares,
        gpu_shares=gpu_shares(num_ingests, spares) if reserves_gpu(config) else NO_GPU,
        pool=pool_config(config, num_ingests + slots.far_ingest.num, f"{name}-pool"),
        ingest=IngestConfig(
            open_timeout_s=config.cameras.open_timeout_s,
            read_timeout_s=config.cameras.read_timeout_s,
            allowed=config.cameras.allow.policy,
            decoder="nvdec" if on_gpu else "cpu",
            beat_s=_GPU_BEAT_S if on_gpu else 0.0,
            max_waiting=_GPU_WAITING if on_gpu else 1,
            max_decoding=max(1, num_cores() // num_ingests),
        ),
        sinks=(redis_sink(config), *config.sinks),
        far=far_plan(config),
    )


def far_plan(config: SightlineConfig) -> FarPlan | None:
    """The slot's ingest actors on other machines; None where none are asked for."""
    far = config.slots.far_ingest
    if far.num == 0:
        return None
    return FarPlan(
        num=far.num,
        num_cpus=far.num_cpus,
        resources=far.resources,
        ingest=IngestConfig(
            open_timeout_s=config.cameras.open_timeout_s,
            read_timeout_s=config.cameras.read_timeout_s,
            allowed=config.cameras.allow.policy,
            max_decoding=max(1, math.floor(far.num_cpus)),
        ),
        route=FarConfig(
            slot_bytes=Picture(far.max_width, far.max_height).size_bytes,
            max_bytes_s=far.max_mbytes_s * 1e6,
        ),
    )


def decode_cores(config: SightlineConfig) -> int:
    """Cores on which a slot's streams may be decoded: those that it reserves, else all."""
    reserved = None if is_on_gpu(config) else config.slots.num_cpus
    return num_cores() if reserved is None else min(num_cores(), max(1, math.floor(reserved)))


def _num_ingests(on_gpu: bool) -> int:
    """Half the cores; on a GPU up to four, which fill the decoders of an H200.

    The driver's event threads are woken the more the more of them there are; with fewer it is hard
    for one that is behind to catch up.
    """
    half = max(1, num_cores() // 2)
    return min(_MAX_GPU_INGESTS, half) if on_gpu else half


def gpu_shares(num_ingests: int, spares: bool) -> GpuShares:
    """One GPU divided among engines and ingest actors, spares too, so that Ray shows it to each.

    The shares say nothing of what they may use. Ray counts in ten thousandths.
    """
    engine = 0.25 if spares else 0.5
    return GpuShares(engine, ingest=math.floor(5_000 / (num_ingests + spares)) / 10_000)


def redis_sink(config: SightlineConfig) -> RedisSinkSpec:
    """Where every slot writes its events."""
    redis = config.redis
    return RedisSinkSpec(
        url=str(redis.url),
        stream=f"{redis.prefix}:events",
        max_len=redis.max_events,
        fence=redis.prefix,
        frames=redis.frames,
        frames_stream=f"{redis.prefix}:frames",
        max_frames=redis.max_frames,
        spool_dir=redis.spool_dir or default_spool_dir(),
        spool_name=f"redis-{redis.prefix}" if redis.spool_dir else None,
    )
