"""``configs/serve.yaml`` is what Serve accepts, what KubeRay serves, and what ``up`` runs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import ray
import yaml
from ray.serve._private.build_app import build_app
from ray.serve.schema import ServeDeploySchema

from cluster import app
from cluster.config import SightlineConfig, load_config
from cluster.config.load import config_of
from cluster.embedded import EmbeddedRedis
from cluster.errors import ConfigError
from cluster.registry import Registry
from cluster.slot import worker
from tests.cluster.cluster_files import (
    CONFIGS,
    KUBERAY,
    KUBERAY_CLUSTER,
    NETWORK_POLICY,
    SERVE,
    VARIABLES,
    cluster,
    container,
    workers,
)


def test_serve_accepts_its_config_and_it_is_what_up_runs() -> None:
    config = ServeDeploySchema.model_validate(SERVE)
    (application,) = config.applications
    assert application.name == app.NAME
    assert application.import_path == f"{app.build.__module__}:{app.build.__name__}"
    assert application.route_prefix == "/"
    assert SERVE["proxy_location"] == app.PROXY_LOCATION
    assert SERVE["logging_config"] == app.LOGGING
    assert set(SERVE) == set(SERVE) & set(ServeDeploySchema.model_fields)


def test_the_address_of_serve_is_that_of_the_api_and_on_loopback() -> None:
    api = SERVE["applications"][0]["args"]["api"]
    assert SERVE["http_options"] == {"host": api["host"], "port": api["port"]}
    assert api["host"] == SightlineConfig().api.host == "127.0.0.1"


def test_deploy_and_up_are_told_the_same() -> None:
    assert SERVE["applications"][0]["args"] == cluster("sightline")


def test_kuberay_serves_the_same_but_on_all_addresses_of_every_node() -> None:
    wanted = copy.deepcopy(SERVE)
    wanted["proxy_location"] = "EveryNode"
    wanted["http_options"]["host"] = "0.0.0.0"
    wanted["applications"][0]["args"]["api"]["host"] = "0.0.0.0"
    assert yaml.safe_load(KUBERAY["spec"]["serveConfigV2"]) == wanted
    ServeDeploySchema.model_validate(wanted)


def test_kuberay_runs_the_ray_that_is_locked_and_opens_only_its_ports() -> None:
    assert KUBERAY_CLUSTER["rayVersion"] == ray.__version__
    port = SERVE["http_options"]["port"]
    for group in (KUBERAY_CLUSTER["headGroupSpec"], *workers()):
        assert port in [p["containerPort"] for p in container(group)["ports"]]
        labels = group["template"]["metadata"]["labels"]
        assert labels == NETWORK_POLICY["spec"]["podSelector"]["matchLabels"]
    rules = NETWORK_POLICY["spec"]["ingress"]
    open_to_all = [p["port"] for rule in rules if "from" not in rule for p in rule["ports"]]
    assert open_to_all == [port]


def test_slots_follow_the_streams_and_have_time_to_hand_them_over() -> None:
    (deployment,) = [each for each in deployed() if each.name == "Slot"]
    received = deployment._deployment_config
    assert received.autoscaling_config is not None
    assert received.autoscaling_config.policy.policy_function.endswith("serve:SlotScaling")
    ending_s = worker._DRAIN_TIMEOUT_S + worker._LEAVE_TIMEOUT_S
    assert received.graceful_shutdown_timeout_s >= 2 * ending_s


def deployed() -> list[Any]:
    config = config_of(SERVE["applications"][0]["args"], VARIABLES)
    return build_app(app.application(config), name=app.NAME, default_runtime_env={}).deployments


def test_deploy_and_up_give_the_same_deployments() -> None:
    with EmbeddedRedis() as server, pytest.MonkeyPatch.context() as variables:
        for name, value in {**VARIABLES, "SIGHTLINE_REDIS_URL": server.url}.items():
            variables.setenv(name, value)
        by_deploy = app.build(SERVE["applications"][0]["args"])
        seeded = Registry.open(server.url, "sightline", 10).pipelines.all()
        by_up = app.application(load_config(CONFIGS / "clusters" / "sightline.yaml"))
    assert set(seeded) == {"default"}
    assert deployments(by_deploy) == deployments(by_up)


def deployments(application: Any) -> list[dict[str, Any]]:
    built = build_app(application, name=app.NAME, default_runtime_env={})
    return [
        {
            "name": deployment.name,
            "config": str(deployment._deployment_config.model_dump()),
            "actor": deployment._replica_config.ray_actor_options,
            "bundles": deployment._replica_config.placement_group_bundles,
            "strategy": deployment._replica_config.placement_group_strategy,
            "args": str(deployment._replica_config.init_args),
        }
        for deployment in built.deployments
    ]


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="SIGHTLINE_REDIS_URL is not set: set it"):
        app.build(SERVE["applications"][0]["args"])
