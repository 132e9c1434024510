"""What ``sightline doctor`` says of shared memory: whether the frame pools fit."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from cluster.cli.finding import Finding
from cluster.config import SightlineConfig
from cluster.devices import is_on_gpu
from cluster.runtime import OBJECT_STORE_BYTES
from cluster.slot.pool import pool_config
from engines.frames import shared_memory_dir

_MB = 2**20
_BLOCK_BYTES = 512
"""In which ``st_blocks`` counts, whatever the file system."""


def pool_bytes(config: SightlineConfig) -> int:
    """Memory of one slot's frame pool; of the host or the GPU, as ``slots.device`` says."""
    pool = pool_config(config)
    return pool.num_slots * pool.slot_bytes


def needed_bytes(config: SightlineConfig) -> int:
    """Shared memory that Ray and the pools of all slots take at most."""
    in_pools = 0 if is_on_gpu(config) else config.slots.num * pool_bytes(config)
    return OBJECT_STORE_BYTES + in_pools


def examine_shared_memory(config: SightlineConfig, folder: Path | None = None) -> Finding:
    """Whether there is room; a process that writes where there is none is killed.

    Args:
        config: With ``slots.device`` decided.
        folder: Where shared memory lies; None for where pools lie.
    """
    where = folder or Path(shared_memory_dir())
    size = shutil.disk_usage(where)
    free_bytes, wanted_bytes = size.free + _own_bytes(where), needed_bytes(config)
    found = (
        f"{free_bytes / _MB:.0f} of {size.total / _MB:.0f} MB free in {where}, "
        f"{wanted_bytes / _MB:.0f} MB are needed"
    )
    remedy = (
        f"give the container more: --shm-size={-(-wanted_bytes // 2**30)}g or --ipc=host; or lower "
        "pool.num_slots"
    )
    facts = {"free_bytes": free_bytes, "total_bytes": size.total, "needed_bytes": wanted_bytes}
    return Finding("shared memory", free_bytes >= wanted_bytes, found, remedy, facts)


def _own_bytes(folder: Path) -> int:
    """What a Sightline that runs has taken already."""
    num_blocks = 0
    for path in folder.glob("sightline-*"):
        with contextlib.suppress(FileNotFoundError):  # it may end meanwhile
            num_blocks += path.stat().st_blocks
    return num_blocks * _BLOCK_BYTES
