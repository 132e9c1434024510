"""How large a slot's frame pool is."""

from __future__ import annotations

from actors.pools import PoolConfig
from cluster.config import SightlineConfig
from cluster.devices import is_on_gpu
from engines.frames import Picture

_NUM_SLOTS = 128
_NUM_SLOTS_ON_GPU = 1024


def pool_config(config: SightlineConfig, num_ingests: int = 1, name: str = "pool") -> PoolConfig:
    """The frame pool of a slot, in host memory or on its GPU.

    Args:
        config: With ``slots.device`` decided.
        num_ingests: Among how many ingest actors it is divided.
        name: Begins the name of its file.
    """
    on_gpu = is_on_gpu(config)
    return PoolConfig(
        num_slots=config.pool.num_slots or (_NUM_SLOTS_ON_GPU if on_gpu else _NUM_SLOTS),
        slot_bytes=Picture(config.pool.max_width, config.pool.max_height).size_bytes,
        max_ingests=num_ingests,
        name=name,
        device=0 if on_gpu else None,
    )
