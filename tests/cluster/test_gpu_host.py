from __future__ import annotations

from pathlib import Path

import pytest

from cluster import gpu_host
from cluster.cli.doctor_gpu import capabilities, examine_gpu

VERSION = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
"""


def test_the_version_of_the_driver_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(VERSION)
    assert gpu_host.driver_version(tmp_path / "version") == "580.65.06"
    assert gpu_host.driver_version(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (None, ()),
        ("all", ()),
        ("compute,utility", ("video",)),
        ("utility", ("compute", "video")),
        ("compute, video,utility", ()),
    ],
)
def test_what_a_container_was_not_given_of_the_driver_is_named(
    given: str | None, missing: tuple[str, ...]
) -> None:
    environment = {} if given is None else {gpu_host.CAPABILITIES: given}
    assert gpu_host.missing_capabilities(environment) == missing


def test_mps_is_seen_by_its_control_pipe(tmp_path: Path) -> None:
    environment = {gpu_host.MPS_PIPES: str(tmp_path)}
    assert not gpu_host.is_mps_running(environment)
    (tmp_path / "control").touch()
    assert gpu_host.is_mps_running(environment)


def test_without_a_driver_the_doctor_says_that_none_is_needed(monkeypatch) -> None:
    monkeypatch.setattr(gpu_host, "has_driver", lambda: False)
    (finding,) = examine_gpu()
    assert (finding.what, finding.ok) == ("GPU", False)
    assert "none needed" in finding.remedy


@pytest.mark.skipif(gpu_host.has_driver(), reason="there is a GPU")
def test_a_driver_without_its_libraries_is_told_line_by_line_with_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(gpu_host, "has_driver", lambda: True)
    monkeypatch.setenv(gpu_host.CAPABILITIES, "utility")
    findings = {finding.what: finding for finding in examine_gpu()}
    assert findings["GPU gauges (NVML)"].remedy == "until then slots show no gauges; all else works"
    bad = {what for what, finding in findings.items() if not finding.ok}
    assert bad >= {"GPU", "GPU capabilities", "GPU device", "GPU decoder (NVDEC)"}
    assert "GPU gauges (NVML)" in bad
    assert all(findings[what].remedy for what in bad)
    assert "compute,video,utility" in findings["GPU capabilities"].remedy


def test_video_that_nobody_named_is_not_missed_where_the_decoder_works() -> None:
    assert capabilities(["video"], decodes=True).ok
    assert "video" in capabilities(["video"], decodes=False).found
    assert capabilities(["compute", "video"], decodes=True).found == "without compute"


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_host.has_driver(), reason="no NVIDIA driver")
def test_on_a_gpu_the_doctor_finds_driver_device_and_libraries() -> None:
    findings = {finding.what: finding for finding in examine_gpu()}
    for what in ("GPU", "GPU device", "GPU model (TensorRT)", "GPU kernels (NVRTC)"):
        assert findings[what].ok, findings[what]
    assert findings["GPU decoder (NVDEC)"].ok, findings["GPU decoder (NVDEC)"]
    device, memory = findings["GPU device"].facts, findings["GPU memory"].facts
    assert device["arch"].startswith("sm_")
    assert 0 < memory["free_bytes"] <= memory["total_bytes"]
    assert findings["GPU plans"].facts["folder"]


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_host.has_driver(), reason="no NVIDIA driver")
def test_on_a_gpu_the_doctor_shows_the_gauges_of_each() -> None:
    pytest.importorskip("pynvml")
    findings = {finding.what: finding for finding in examine_gpu()}
    assert findings["GPU gauges (NVML)"].ok, findings["GPU gauges (NVML)"]
    assert all(
        gpu["uuid"].startswith("GPU-") for gpu in findings["GPU gauges (NVML)"].facts["gpus"]
    )
