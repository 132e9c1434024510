"""Cameras on paper, and what it costs the server to give one to a slot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from actors.specs import QosClass, StreamSpec
from cluster.registry import Registry

_CLASSES = (*[QosClass.LOW] * 4, *[QosClass.NORMAL] * 4, QosClass.HIGH, QosClass.CRITICAL)
_NUM_CLAIMS = 500
_CLAIM_TTL_MS = 60_000

Report = Callable[[str], None]


def camera(number: int) -> StreamSpec:
    """One of many cameras: of ten, four are low, four normal, one high and one critical."""
    return StreamSpec.model_validate(
        {
            "id": f"camera-{number:06d}",
            "url": f"rtsp://10.0.0.1/{number}",
            "qos": {"class": _CLASSES[number % len(_CLASSES)].value},
        }
    )


def claim_costs_ms(url: str, num_cameras: int, report: Report) -> dict[str, float]:
    """Milliseconds of the server for one claim of one stream, by how many cameras there are."""
    report("what a claim costs")
    costs = {}
    for num in sorted({num_cameras // 100, num_cameras // 10, num_cameras} - {0}):
        prefix = f"claims-{num}"
        registry = Registry.open(url, prefix, max_streams=num)
        for number in range(num):
            registry.streams.create(camera(number))
        client: Any = redis.Redis.from_url(url, decode_responses=True)
        client.config_resetstat()
        wanted = [f"camera-{number:06d}" for number in range(min(_NUM_CLAIMS, num))]
        for stream in wanted:
            registry.leases.claim("slot", [stream], _CLAIM_TTL_MS)
        spent = client.info("commandstats")["cmdstat_evalsha"]
        costs[str(num)] = round(spent["usec"] / spent["calls"] / 1e3, 4)
        client.close()
        registry.close()
    return costs
