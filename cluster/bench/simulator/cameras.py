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


def server_cpu_s(client: Any) -> float:
    """Processor seconds that the server has taken so far."""
    info = client.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


def claim_costs_ms(url: str, num_cameras: int, report: Report) -> dict[str, float]:
    """Processor milliseconds of the server for a claim of a stream, by how many cameras there are.

    Reading the call and writing the answer included.
    """
    report("what a claim costs")
    costs = {}
    for num in sorted({num_cameras // 100, num_cameras // 10, num_cameras} - {0}):
        prefix = f"claims-{num}"
        registry = Registry.open(url, prefix, max_streams=num)
        for number in range(num):
            registry.streams.create(camera(number))
        client: Any = redis.Redis.from_url(url, decode_responses=True)
        wanted = [f"camera-{number:06d}" for number in range(min(_NUM_CLAIMS, num))]
        registry.leases.claim("slot", wanted[:1], _CLAIM_TTL_MS)  # the server learns the script
        before_s = server_cpu_s(client)
        for stream in wanted[1:]:
            registry.leases.claim("slot", [stream], _CLAIM_TTL_MS)
        costs[str(num)] = round(1e3 * (server_cpu_s(client) - before_s) / len(wanted[1:]), 4)
        client.close()
        registry.close()
    return costs
