"""The Serve application: the API as ingress, and the slots behind it.

``serve deploy`` imports ``build``; ``sightline up`` runs the same ``application``.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import cloudpickle, serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from cluster.api.app import create_app
from cluster.autoscaling.policy import Bounds
from cluster.autoscaling.serve import SlotScaling
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
# A slot that goes hands its streams over, ends what is left, and ends its actors.
_SHUTDOWN_TIMEOUT_S = 30


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
        **_number(config),
        ray_actor_options={"num_cpus": 0},
        placement_group_bundles=[_bundle(config)],
        placement_group_strategy="STRICT_PACK",
        max_ongoing_requests=8,
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=_SHUTDOWN_TIMEOUT_S,
    )


def _number(config: SightlineConfig) -> dict[str, Any]:
    """How many slots: a number, or a policy that follows the streams."""
    scaling = config.autoscaling
    if scaling is None:
        return {"num_replicas": config.slots.num}
    bounds = Bounds(**scaling.model_dump())
    policy = AutoscalingPolicy(  # type: ignore[no-untyped-call]
        policy_function=f"{SlotScaling.__module__}:{SlotScaling.__name__}",
        policy_kwargs=scaling.model_dump(),  # by which Serve sees that it has changed
    )
    # Serve shows and logs what it passes as arguments, so the address of Redis goes pickled.
    scaler = SlotScaling(str(config.redis.url), config.redis.prefix, bounds)
    policy.set_serialized_policy_def(cloudpickle.dumps(scaler))  # type: ignore[no-untyped-call]
    at_start = min(max(config.slots.num, scaling.min_slots), scaling.max_slots)
    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=scaling.min_slots,
            initial_replicas=at_start,
            max_replicas=scaling.max_slots,
            upscale_delay_s=0,  # the policy has waited already
            downscale_delay_s=0,
            policy=policy,
        )
    }


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
