"""The cluster files are what ``ray up`` and KubeRay understand, and agree with our own code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ray._private.authentication.authentication_token_setup import _get_default_token_path
from ray.autoscaler._private.util import validate_config
from ray.scripts.scripts import start

from cluster import app
from cluster.config.load import config_of
from cluster.runtime import OBJECT_STORE_BYTES, RECOVERY_ENVIRONMENT
from tests.cluster.cluster_files import (
    CLOUDS,
    KUBERAY_CLUSTER,
    RAY_UP,
    SERVE,
    VARIABLES,
    as_ray_up_sees_it,
    cluster,
    container,
    environment,
    gpu_types,
    ray_as_the_shell_starts_it,
    references,
    start_commands,
    start_options,
    workers,
)


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_up_accepts_it(name: str) -> None:
    validate_config(as_ray_up_sees_it(name))


def test_rays_autoscaler_understands_the_groups_of_kuberay() -> None:
    (group,) = gpu_types("kuberay").values()
    assert {"CPU": 14, "GPU": 1, "nvdec": 1}.items() <= group["resources"].items()
    assert group["min_workers"] < group["max_workers"]


@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_has_a_head_without_a_gpu_and_gpu_machines_that_come_and_go(name: str) -> None:
    config = as_ray_up_sees_it(name)
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert any(kind["min_workers"] for kind in gpu_types(name).values())
    for kind in gpu_types(name).values():
        assert kind["resources"]["nvdec"] == kind["resources"]["GPU"] >= 1
        assert kind["min_workers"] < kind["max_workers"] <= config["max_workers"]


@pytest.mark.parametrize("name", [*CLOUDS, "kuberay"])
def test_a_slot_fits_on_each_kind_of_gpu_machine(name: str) -> None:
    config = config_of(SERVE["applications"][0]["args"], VARIABLES)
    bundle = app._bundle(config)
    assert bundle == {"CPU": 1, "GPU": 1, "nvdec": 1}
    for kind in gpu_types(name).values():
        assert all(kind["resources"][what] >= wanted for what, wanted in bundle.items())


@pytest.mark.parametrize("name", [*CLOUDS, "kuberay"])
def test_there_may_be_no_more_slots_than_gpus(name: str) -> None:
    scaling = config_of(SERVE["applications"][0]["args"], VARIABLES).autoscaling
    assert scaling is not None
    kinds = gpu_types(name).values()
    num_gpus = sum(kind["max_workers"] * kind["resources"]["GPU"] for kind in kinds)
    assert 1 <= scaling.min_slots < scaling.max_slots <= num_gpus
    assert scaling.min_slots <= sum(kind["min_workers"] for kind in kinds)


@pytest.mark.parametrize("role", ["head", "worker"])
def test_machines_of_ones_own_offer_as_many_decoders_as_gpus(role: str) -> None:
    command = start_commands("on-premise")[role]
    assert "$(nvidia-smi --list-gpus 2> /dev/null | wc -l)" in command
    arguments, _ = ray_as_the_shell_starts_it(role)
    (resources,) = [a for a in arguments if a.startswith("--resources=")]
    assert json.loads(resources.partition("=")[2]).keys() == {"nvdec"}
    assert start.make_context("start", arguments[1:]).params["resources"]


def test_machines_of_ones_own_are_always_all_there() -> None:
    config = as_ray_up_sees_it("on-premise")
    (kind,) = config["available_node_types"].values()
    addresses = config["provider"]["worker_ips"]
    assert kind["min_workers"] == kind["max_workers"] == len(addresses)


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_is_started_with_options_that_it_knows_and_its_dashboard_on_loopback(name: str) -> None:
    commands = start_commands(name)
    head, worker = (start_options(commands[role]) for role in ("head", "worker"))
    assert head["head"]
    assert head["dashboard_host"] == "127.0.0.1"
    assert worker["address"] == f"$RAY_HEAD_IP:{head['port']}"
    assert head["object_store_memory"] == worker["object_store_memory"] == OBJECT_STORE_BYTES
    assert "0.0.0.0" not in yaml.safe_dump(cluster(name))


@pytest.mark.parametrize("name", RAY_UP)
@pytest.mark.parametrize("role", ["head", "worker"])
def test_ray_asks_for_a_token_that_each_node_finds(name: str, role: str) -> None:
    assert environment(name, role)["RAY_AUTH_MODE"] == "token"
    home = "~" if name == "on-premise" else "/home/ray"
    where = _get_default_token_path().relative_to(Path.home())
    assert cluster(name)["file_mounts"][f"{home}/{where}"] == f"~/{where}"


def test_kuberay_gives_the_token_to_each_pod() -> None:
    assert KUBERAY_CLUSTER["authOptions"] == {"mode": "token", "secretName": "sightline-ray-token"}


@pytest.mark.parametrize("name", CLOUDS)
def test_a_container_gets_decoders_and_shared_memory(name: str) -> None:
    assert environment(name, "worker")["NVIDIA_DRIVER_CAPABILITIES"] == "compute,video,utility"
    options = cluster(name)["docker"]["run_options"]
    assert "--shm-size=8g" in options
    assert not [option for option in options if "--ipc" in option or "privileged" in option]


def test_a_pod_gets_decoders_and_shared_memory() -> None:
    for group in (KUBERAY_CLUSTER["headGroupSpec"], *workers()):
        mounts = {mount["mountPath"]: mount["name"] for mount in container(group)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in group["template"]["spec"]["volumes"]}
        shm = volumes[mounts["/dev/shm"]]["emptyDir"]
        assert shm == {"medium": "Memory", "sizeLimit": "8Gi"}
    for group in workers():
        variables = {v["name"]: v.get("value") for v in container(group)["env"]}
        assert variables["NVIDIA_DRIVER_CAPABILITIES"] == "compute,video,utility"
        gpus = container(group)["resources"]["limits"]["nvidia.com/gpu"]
        assert gpus == group["rayStartParams"]["num-gpus"] == "1"


@pytest.mark.parametrize("name", RAY_UP)
def test_the_head_keeps_what_it_knows_in_the_redis_of_the_streams(name: str) -> None:
    head = environment(name, "head")
    assert head["SIGHTLINE_REDIS_URL"] == f"redis://{head['RAY_REDIS_ADDRESS']}/0"
    assert head["RAY_external_storage_namespace"] == "sightline"
    assert "RAY_REDIS_ADDRESS" not in environment(name, "worker")


@pytest.mark.parametrize("name", [*RAY_UP, "kuberay"])
def test_each_node_has_the_variables_that_the_application_takes(name: str) -> None:
    wanted = set(references(SERVE["applications"][0]["args"]))
    assert wanted == set(VARIABLES)
    for role in ("head", "worker"):
        assert wanted <= set(environment(name, role))


@pytest.mark.parametrize("name", [*RAY_UP, "kuberay"])
def test_what_has_died_is_noticed_after_the_same_time_everywhere(name: str) -> None:
    wanted = dict(RECOVERY_ENVIRONMENT)
    if name == "kuberay":  # its operator says this itself
        del wanted["RAY_gcs_rpc_server_reconnect_timeout_s"]
    assert wanted.items() <= environment(name, "head").items()


def test_a_machine_that_hangs_is_dead_after_twelve_seconds() -> None:
    num, period, patience = (
        int(RECOVERY_ENVIRONMENT[f"RAY_health_check_{what}"])
        for what in ("failure_threshold", "period_ms", "timeout_ms")
    )
    assert num * (period + patience) == 12_000
