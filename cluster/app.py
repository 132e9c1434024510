"""The Serve application: the API as ingress, and the slots behind it.

``serve deploy`` imports ``build``; ``sightline up`` runs the same ``application``.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from cluster.api.app import create_app
from cluster.config import SightlineConfig
from cluster.config.load import config_of
from cluster.devices import is_on_gpu, reserves_gpu, with_device_of_cluster
from cluster.machine import num_cores
from cluster.security.provisioning import with_tokens
from cluster.seeding import seed
from cluster.slot.replica import Slot

NAME = "sightline"

PROXY_LOCATION = "HeadOnly"
LOGGING: dict[str, Any] = {"log_level": "WARNING", "enable_access_log": False}

_MAX_REQUESTS = 512


def build(args: dict[str, Any]) -> Application:
    """Seed the registry and bind the application, as the ``args`` of a Serve config say.

    Args:
        args: What a configuration file would say; ``${NAME}`` is filled in here, on the node.

    Raises:
        ConfigError: Values are wrong, or ``redis.url`` is missing.
        UnavailableError: Redis does not answer.
    """
    config = with_device_of_cluster(config_of(args))
    seed(config)
    return application(config)


def application(config: SightlineConfig) -> Application:
    """Bind the application for a configuration.

    Args:
        config: With ``redis.url`` filled in and ``slots.device`` decided.

    Raises:
        ConfigError: The file of tokens cannot be read or made.
    """
    # The registry has the streams, and Serve keeps what it is given: not their passwords, too.
    ready = with_tokens(config).model_copy(update={"streams": ()})
    args = ready.model_dump(mode="json", by_alias=True)
    slots = _slot_deployment(config).bind(args)
    bound: Application = _api_deployment(args).bind(slots)
    return bound


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
    slots = config.slots
    num_cpus = slots.num_cpus or (1 if is_on_gpu(config) else num_cores())
    gpus = {"GPU": 1.0} if reserves_gpu(config) else {}
    return {**slots.resources, "CPU": num_cpus, **gpus}


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
