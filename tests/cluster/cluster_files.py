"""The files by which clusters are brought up, as Ray, KubeRay and a shell read them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.util import prepare_config
from ray.scripts.scripts import start

CONFIGS = Path(__file__).parents[2] / "configs"
CLOUDS = ["aws", "gcp"]
RAY_UP = [*CLOUDS, "on-premise"]
VARIABLES = {"SIGHTLINE_REDIS_URL": "redis://192.0.2.1:6379/0", "SIGHTLINE_ADMIN_SHA256": "0" * 64}

_SHOW = "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n"


def read(name: str) -> dict[str, Any]:
    document = yaml.safe_load((CONFIGS / name).read_text())
    assert isinstance(document, dict)
    return document


def cluster(name: str) -> dict[str, Any]:
    return read(f"clusters/{name}.yaml")


SERVE = read("serve.yaml")
KUBERAY, NETWORK_POLICY = yaml.safe_load_all((CONFIGS / "clusters" / "kuberay.yaml").read_text())
KUBERAY_CLUSTER = KUBERAY["spec"]["rayClusterConfig"]


def as_ray_up_sees_it(name: str) -> dict[str, Any]:
    """With the defaults of its provider filled in."""
    return dict(prepare_config(cluster(name)))


def start_commands(name: str) -> dict[str, str]:
    config = cluster(name)
    return {role: config[f"{role}_start_ray_commands"][-1] for role in ("head", "worker")}


def start_options(command: str) -> dict[str, Any]:
    """What ``ray start`` understands, as Ray's own command line reads it."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "1", command))
    after = words[words.index("start") + 1 :]
    return dict(start.make_context("start", after).params)


@cache
def ray_as_the_shell_starts_it(role: str) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of Ray on machines of one's own, in an empty home."""
    with TemporaryDirectory() as home:
        program = Path(home, "sightline", ".venv", "bin", "ray")
        program.parent.mkdir(parents=True)
        program.write_text(f"#!{sys.executable}\n{_SHOW}")
        program.chmod(0o755)
        command = ["bash", "-c", start_commands("on-premise")[role].replace("ulimit -n 65536;", "")]
        variables = {"HOME": home, "PATH": os.environ["PATH"], "RAY_HEAD_IP": "10.0.0.10"}
        shown = subprocess.run(command, env=variables, capture_output=True, check=True).stdout
    arguments, found = json.loads(shown)
    return list(arguments), dict(found)


def environment(name: str, role: str) -> dict[str, str]:
    """Variables that processes of a node find."""
    if name == "kuberay":
        (group,) = [KUBERAY_CLUSTER["headGroupSpec"]] if role == "head" else workers()
        return {v["name"]: v.get("value", "") for v in container(group)["env"]}
    if name == "on-premise":
        return ray_as_the_shell_starts_it(role)[1]
    docker = cluster(name)["docker"]
    options = docker["run_options"] + docker.get(f"{role}_run_options", [])
    return dict(option[3:].split("=", 1) for option in options if option.startswith("-e "))


def workers() -> list[dict[str, Any]]:
    return list(KUBERAY_CLUSTER["workerGroupSpecs"])


def container(group: Mapping[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    return dict(only)


def gpu_types(name: str) -> dict[str, dict[str, Any]]:
    if name == "kuberay":
        found = _derive_autoscaling_config_from_ray_cr(
            {"metadata": {"name": "sightline", "namespace": "default"}, "spec": KUBERAY_CLUSTER}
        )
    else:
        found = as_ray_up_sees_it(name)
    types = {**found["available_node_types"]}
    types.pop(found["head_node_type"])
    return types


def references(value: Any) -> Iterator[str]:
    yield from re.findall(r"\$\{(\w+)\}", yaml.safe_dump(value))
