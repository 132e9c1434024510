"""The Serve application: the API as ingress, and the slots behind it.

``build`` is what ``serve deploy`` imports; ``sightline up`` runs the same.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from cluster.api.app import create_app
from cluster.config import SightlineConfig
from cluster.devices import is_on_gpu, num_gpus_of_ray, with_device
from cluster.machine import num_cores
from cluster.security.provisioning import with_tokens
from cluster.slot.replica import Slot

NAME = "sightline"

_MAX_REQUESTS = 512


def build(args: dict[str, Any]) -> Application:
    """Bind the application for a configuration.

    Args:
        args: A ``SightlineConfig`` as plain values, with ``redis.url`` filled in.
    """
    config = with_device(SightlineConfig.model_validate(args), num_gpus_of_ray())
    config = with_tokens(config)
    args = config.model_dump(mode="json", by_alias=True)
    slots = _slot_deployment(config).bind(args)
    application: Application = _api_deployment(args).bind(slots)
    return application


def _slot_deployment(config: SightlineConfig) -> Any:
    return serve.deployment(
        Slot,
        name="Slot",
        num_replicas=config.slots.num,
        ray_actor_options={"num_cpus": 0},
        placement_group_bundles=[_bundle(config)],
        placement_group_strategy="STRICT_PACK",
        max_ongoing_requests=8,
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=15,
    )


def _bundle(config: SightlineConfig) -> dict[str, float]:
    """What a slot reserves."""
    if is_on_gpu(config):
        return {"CPU": config.slots.num_cpus or 1, "GPU": 1}
    return {"CPU": config.slots.num_cpus or num_cores()}


def _api_deployment(args: dict[str, Any]) -> Any:
    def asgi() -> FastAPI:
        return create_app(SightlineConfig.model_validate(args))

    class Api:
        """The ingress; it needs the slots to be up, and talks to them through Redis alone."""

        def __init__(self, slots: object) -> None:
            self._slots = slots

    return serve.deployment(
        serve.ingress(asgi)(Api),
        name="Api",
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=_MAX_REQUESTS,
        health_check_period_s=5,
    )
