"""The image has what the lock files pin, and where the cluster files look for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cluster.runtime import _ENVIRONMENT
from tests.cluster.cluster_files import CONFIGS, KUBERAY_CLUSTER, cluster, container, workers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = CONFIGS.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return dict(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", text))


def instructions(word: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"(?m)^{word} +(.*)$", joined)


def variables() -> dict[str, str]:
    """Those of the last stage, the one that runs."""
    return dict(item.split("=", 1) for item in instructions("ENV")[-1].split())


def images() -> Iterator[tuple[str, bool]]:
    """Each image that a cluster file names, and whether it is for GPUs."""
    for name in ("aws", "gcp"):
        docker = cluster(name)["docker"]
        yield docker["head_image"], False
        yield docker["image"], True
    yield container(KUBERAY_CLUSTER["headGroupSpec"])["image"], False
    yield from ((container(group)["image"], True) for group in workers())


def test_every_base_image_is_pinned_by_a_tag_that_says_its_version() -> None:
    stages = {line.partition(" AS ")[2] for line in instructions("FROM")}
    for line in instructions("FROM"):
        image = line.partition(" AS ")[0]
        if "$" in image:
            assert {image.replace("${DEVICE}", device) for device in ("cpu", "gpu")} <= stages
        else:
            assert re.fullmatch(r"\S+:[\w.-]*\d[\w.-]*", image), image


def test_the_files_of_clusters_name_the_image_of_this_version() -> None:
    for image, on_gpu in images():
        assert image.endswith(f"/sightline:{PROJECT['version']}{'-gpu' if on_gpu else ''}")
        assert f"sightline:{PROJECT['version']}{'-gpu' if on_gpu else ''} " in DOCKERFILE


def test_its_python_is_one_that_the_project_and_the_gpu_lock_are_for() -> None:
    (version,) = set(re.findall(r"python(\d\.\d+)", DOCKERFILE))
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")
    assert f"for Python {version}" in (ROOT / "requirements-gpu.lock").read_text()
    assert f"python{version}" in yaml.safe_dump(cluster("on-premise"))


def test_what_is_copied_is_there_and_not_ignored() -> None:
    sources = [
        source
        for line in instructions("COPY")
        if "--from" not in line
        for source in re.sub(r"--\S+ ", "", line).split()[:-1]
    ]
    assert {"engines", "actors", "cluster", "configs", "requirements.lock"} <= set(sources)
    kept = re.findall(r"(?m)^!(.*)$", (ROOT / ".dockerignore").read_text())
    assert all((ROOT / source).exists() for source in sources)
    assert sorted(kept) == sorted(set(sources))


def test_packages_are_installed_by_their_hashes_alone() -> None:
    installs = re.findall(r"(?m)pip install (.*?)(?:;| &&|$)", "\n".join(instructions("RUN")))
    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes -r requirements" in arguments or arguments == "--no-deps ."


def test_the_gpu_lock_has_what_the_extra_asks_for_and_nothing_twice() -> None:
    gpu, rest = pins("requirements-gpu.lock"), pins("requirements.lock")
    assert not set(gpu) & set(rest)
    for text in PROJECT["optional-dependencies"]["gpu"]:
        wanted = Requirement(text)
        assert wanted.specifier.contains({**rest, **gpu}[wanted.name]), wanted
    text = (ROOT / "requirements-gpu.lock").read_text()
    for name in gpu:
        assert re.search(rf"(?m)^{name}==\S+ \\\n    --hash=sha256:[0-9a-f]{{64}}", text), name


def test_the_lock_has_the_ray_that_all_nodes_run() -> None:
    assert pins("requirements.lock")["ray"] == KUBERAY_CLUSTER["rayVersion"]


def test_its_processes_run_as_those_of_up_do_but_not_on_loopback_only() -> None:
    wanted = dict(_ENVIRONMENT)
    del wanted["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]
    assert wanted.items() <= variables().items()


def test_ray_up_finds_the_home_and_the_token_its_folder() -> None:
    home = variables()["HOME"]
    made = next(line for line in instructions("RUN") if "useradd" in line)
    for name in ("aws", "gcp"):
        for target in cluster(name)["file_mounts"]:
            assert str(Path(target).parent) in made.split()
            assert Path(target).is_relative_to(home)
    assert instructions("USER") == ["ray"]


@pytest.mark.parametrize("name", ["SIGHTLINE_PLAN_CACHE", "XDG_STATE_HOME"])
def test_what_outlives_the_container_lies_in_a_volume(name: str) -> None:
    volume = Path("/var/lib/sightline")
    assert Path(variables()[name]).is_relative_to(volume)
    for cloud in ("aws", "gcp"):
        assert f"-v sightline:{volume}" in cluster(cloud)["docker"]["run_options"]
    for group in (KUBERAY_CLUSTER["headGroupSpec"], *workers()):
        assert str(volume) in [mount["mountPath"] for mount in container(group)["volumeMounts"]]
