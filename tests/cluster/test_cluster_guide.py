"""What the guide to clusters tells people to type is what the programs and the files understand."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler import _private as autoscaler
from ray.scripts.scripts import cli as ray_command
from ray.serve.scripts import cli as serve_command

from cluster.autoscaling.demand import Demand, SlotShape
from cluster.autoscaling.policy import Bounds, Hysteresis, wanted_slots
from cluster.cli.slots import scaling_line
from cluster.config import SightlineConfig
from cluster.placement import Axes
from tests.cluster.cluster_files import (
    CONFIGS,
    RAY_UP,
    SERVE,
    as_ray_up_sees_it,
    cluster,
    container,
    environment,
    workers,
)
from tests.cluster.test_cli_readme import descend

ROOT = CONFIGS.parent
GUIDE = (ROOT / "docs" / "cluster.md").read_text()
LINES = [
    line
    for block in re.findall(r"(?s)```sh\n(.*?)```", GUIDE)
    for line in block.replace("\\\n", " ").splitlines()
]
PLACEHOLDERS = {
    "aws": ["000000000000", "ami-00000000000000000", "redis.sightline.internal", "0" * 64],
    "gcp": ["my-project", "redis.sightline.internal", "0" * 64],
    "kuberay": ["redis.sightline.internal", "registry.example.com"],
}


def commands(program: str) -> Iterator[list[str]]:
    """Each use of a program in a code block, also by ``ray exec``, as the words after its name."""
    for line in LINES:
        words = shlex.split(line, comments=True)
        nested = shlex.split(words[3]) if words[:2] == ["ray", "exec"] else []
        for text in (words, [word for word in nested if "=" not in word]):
            if text and Path(text[0]).name == program:
                yield [word for word in text[1:] if word not in (">", "/dev/null")]


@pytest.mark.parametrize("words", list(commands("sightline")), ids=" ".join)
def test_a_command_of_sightline_is_understood(words: list[str]) -> None:
    command, rest = descend(words)
    command.make_context(words[0], rest)


@pytest.mark.parametrize(
    ("program", "words"),
    [("ray", words) for words in commands("ray")] + [("serve", w) for w in commands("serve")],
    ids=str,
)
def test_a_command_of_ray_is_understood(
    program: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    group: Any = ray_command if program == "ray" else serve_command
    group.commands[words[0]].make_context(words[0], words[1:])


def test_the_guide_brings_a_cluster_up_deploys_and_adds_a_camera() -> None:
    typed = {" ".join(words[:1]) for words in commands("ray")}
    assert {"up", "exec", "attach", "rsync-up", "get-auth-token"} <= typed
    assert ["stream", "add"] in [words[:2] for words in commands("sightline")]
    assert "deploy" in [words[0] for words in commands("serve")]


def test_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"\b((?:configs|scripts|docs)/[\w./-]*\w)", GUIDE))
    assert {f"configs/clusters/{name}.yaml" for name in (*RAY_UP, "kuberay")} <= named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    in_image = set(re.findall(r"(?:/opt/sightline|~/sightline)/(configs/\S+?)['`\s]", GUIDE))
    assert in_image == {"configs/serve.yaml"}


def test_every_link_within_the_guide_leads_somewhere() -> None:
    headings = re.findall(r"(?m)^#+ (.*)$", GUIDE)
    anchors = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", GUIDE)) <= anchors


@pytest.mark.parametrize("name", list(PLACEHOLDERS))
def test_what_is_to_be_replaced_is_replaced_by_what_the_guide_says(
    name: str, tmp_path: Path
) -> None:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    file = tmp_path / "configs" / "clusters" / f"{name}.yaml"
    assert all(text in file.read_text() for text in PLACEHOLDERS[name])
    (line,) = [line for line in LINES if line.startswith("sed") and file.name in line]
    shell = "gcloud() { echo ours; }; account=123456789012; image=ami-0123456789abcdef0; "
    subprocess.run(["bash", "-c", shell + line], cwd=tmp_path, check=True)
    assert [text for text in PLACEHOLDERS[name] if text in file.read_text()] == []


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_your_machine_gets_the_same_client_of_the_cloud_as_the_head(name: str) -> None:
    (command,) = cluster(name)["head_setup_commands"]
    assert f"pip install {command.split()[-1]}" in LINES


def yaml_block(key: str) -> Any:
    """What the guide shows under a key, in the one block that begins with it."""
    blocks = map(yaml.safe_load, re.findall(r"(?s)```yaml\n(.*?)```", GUIDE))
    (found,) = [block[key] for block in blocks if key in block]
    return found


@pytest.mark.parametrize("name", RAY_UP)
def test_gpu_machines_start_mps_by_the_line_of_the_guide_before_ray(name: str) -> None:
    (line,) = yaml_block("worker_start_ray_commands")
    subprocess.run(["bash", "-nc", line], check=True)
    commands = as_ray_up_sees_it(name)["worker_start_ray_commands"]
    assert line in commands
    assert "ray start" in commands[-1] != line


def test_gpu_pods_start_mps_by_the_hook_of_the_guide() -> None:
    for group in workers():
        assert container(group)["lifecycle"] == yaml_block("lifecycle")


@pytest.mark.parametrize("program", [None, "exit 0", "exit 1"])
def test_a_machine_whose_mps_runs_or_is_missing_starts_all_the_same(
    program: str | None, tmp_path: Path
) -> None:
    if program is not None:
        control = tmp_path / "nvidia-cuda-mps-control"
        control.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{program}\n')
        control.chmod(0o755)
    (line,) = yaml_block("worker_start_ray_commands")
    hook = yaml_block("lifecycle")["postStart"]["exec"]["command"]
    assert hook == ["bash", "-c", line]
    bash = shutil.which("bash") or "bash"
    assert subprocess.run([bash, "-c", line], env={"PATH": str(tmp_path)}).returncode == 0
    if program is not None:
        assert (tmp_path / "asked").read_text() == "-d\n"


def test_it_calls_what_ray_makes_in_a_cloud_as_ray_does() -> None:
    aws, gcp = (Path(autoscaler.__file__).parent / c / "config.py" for c in ("aws", "gcp"))
    for source in (aws, gcp):  # without the libraries of the clouds these are not to be imported
        assert '\nRAY = "ray-autoscaler"\n' in source.read_text()
    assert '\nSECURITY_GROUP_TEMPLATE = RAY + "-{}"\n' in aws.read_text()
    assert f"Name=group-name,Values=ray-autoscaler-{cluster('aws')['cluster_name']} " in GUIDE
    assert '\nVERSION = "v1"\n' in gcp.read_text()
    assert '\nDEFAULT_SERVICE_ACCOUNT_ID = RAY + "-sa-" + VERSION\n' in gcp.read_text()
    assert "gcloud iam service-accounts create ray-autoscaler-sa-v1" in LINES


@pytest.mark.parametrize("name", [*RAY_UP, "kuberay"])
def test_it_says_how_to_end_what_it_has_brought_up(name: str) -> None:
    file = f"configs/clusters/{name}.yaml"
    verb = f"kubectl delete -f {file}" if name == "kuberay" else f"ray down --yes {file}"
    assert verb in GUIDE
    made = {"aws": ("elasticache", "ecr"), "gcp": ("redis instances", "artifacts repositories")}
    for what in made.get(name, ()):
        assert re.search(rf"{what} (create|create-repl\w+-group|create-repository)\b", GUIDE)
        assert re.search(rf"{what} delete", GUIDE)


def test_only_the_head_may_start_machines() -> None:
    types = cluster("aws")["available_node_types"]
    profiles = {name: t["node_config"]["IamInstanceProfile"]["Name"] for name, t in types.items()}
    assert profiles.pop("head") == "sightline-head"
    assert set(profiles.values()) == {"sightline-node"}
    granted = re.findall(r"attach-role-policy --role-name (\S+) .*AmazonEC2FullAccess", GUIDE)
    assert granted == ["sightline-head"]
    assert "for role in sightline-head sightline-node; do" in LINES


def test_what_it_shows_of_autoscaling_is_what_is_shipped() -> None:
    shown = yaml_block("autoscaling")
    assert shown == SERVE["applications"][0]["args"]["autoscaling"]
    demand = Demand(
        num_streams=61,
        axes=Axes(61.0, 0.0),
        shape=SlotShape(Axes(40.0, 0.0), 256),
    )
    wanted = wanted_slots(demand, 1, Bounds(max_slots=8), Hysteresis(), 0.0)
    line = scaling_line(
        {"wanted": wanted.number, "min_slots": 1, "max_slots": 8, "reason": wanted.reason}
    )
    assert f"    {line}\n" in GUIDE


def test_figures_are_those_of_the_files() -> None:
    head = environment("aws", "head")
    assert f"{head['RAY_gcs_rpc_server_reconnect_timeout_s']} s (`RAY_gcs_rpc" in GUIDE
    assert f"within {SightlineConfig().lease.ttl_s:g} s (`lease.ttl_s`)" in GUIDE
    assert head["RAY_health_check_failure_threshold"] == "4"
    assert f"--port-forward {SERVE['http_options']['port']}" in GUIDE
    redis = environment("on-premise", "head")["RAY_REDIS_ADDRESS"].partition(":")[2]
    assert f"port {redis}\\n" in GUIDE
