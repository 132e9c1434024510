"""What the doctor makes of what it finds: memory, plans, gauges, and how the GPU is shared."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cluster import gpu_host
from cluster.cli import doctor as doctor_module
from cluster.cli import doctor_gpu
from cluster.cli.doctor_memory import examine_shared_memory, needed_bytes, pool_bytes
from cluster.cli.doctor_plans import examine_plans
from cluster.cli.finding import Finding
from cluster.cli.main import app
from cluster.config import SightlineConfig
from cluster.registry import GpuLoad
from engines.errors import DeviceError
from engines.spec import Precision
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import PlanRequest, Platform

HERE = Platform("8.6.0", "NVIDIA H200", "sm_90")
H100 = Platform("8.6.0", "NVIDIA H100", "sm_90")
MB = 2**20


def config(device: str = "cpu", **sections: Any) -> SightlineConfig:
    slots = {"device": device, **sections.pop("slots", {})}
    return SightlineConfig.model_validate({"slots": slots, **sections})


def keep_plan(folder: Path, platform: Platform, model: str = "yolox") -> Path:
    request = PlanRequest(
        model=model,
        onnx_sha256="0" * 64,
        platform=platform,
        precision=Precision.FP16,
        batch_sizes=(1, 8),
        input_shape=(3, 416, 416),
        num_classes=4,
        max_candidates=256,
        options=BuildOptions(),
    )
    return PlanCache(folder).publish(request, b"what TensorRT built")


def test_the_pools_of_all_slots_and_ray_must_fit_into_shared_memory() -> None:
    small = {"num_slots": 10, "max_width": 1000, "max_height": 800}
    one, three = (config(pool=small, slots={"num": num}) for num in (1, 3))
    assert pool_bytes(one) == 10 * 1000 * 800 * 3 // 2
    assert needed_bytes(three) - needed_bytes(one) == 2 * pool_bytes(one)


def test_the_pool_of_a_slot_on_a_gpu_takes_no_shared_memory() -> None:
    on_cpu, on_gpu = config("cpu"), config("cuda")
    assert pool_bytes(on_gpu) == 8 * pool_bytes(on_cpu)
    assert needed_bytes(on_gpu) == needed_bytes(on_cpu) - pool_bytes(on_cpu)


def test_too_little_shared_memory_is_told_with_figures_and_what_to_do(tmp_path: Path) -> None:
    huge = config(pool={"num_slots": 65_536, "max_width": 16_384, "max_height": 16_384})
    finding = examine_shared_memory(huge, tmp_path)
    needed = finding.facts["needed_bytes"]
    assert (finding.ok, needed) == (False, needed_bytes(huge))
    assert f"{needed / MB:.0f} MB are needed" in finding.found
    assert f"--shm-size={-(-needed // 2**30)}g" in finding.remedy
    assert "pool.num_slots" in finding.remedy


def test_what_a_running_sightline_holds_counts_as_free_for_it(tmp_path: Path) -> None:
    small = config(pool={"num_slots": 2, "max_width": 16, "max_height": 16})
    before = examine_shared_memory(small, tmp_path).facts
    (tmp_path / "sightline-pool-1").write_bytes(bytes(64 * MB))
    (tmp_path / "of-others").write_bytes(bytes(1 * MB))
    after = examine_shared_memory(small, tmp_path)
    assert after.ok
    taken = before["free_bytes"] - after.facts["free_bytes"]
    assert taken < 32 * MB, "the 64 MB of the pool were counted as taken"


def test_plans_that_fit_are_told_from_those_of_other_gpus(tmp_path: Path) -> None:
    mine, foreign = keep_plan(tmp_path, HERE), keep_plan(tmp_path, H100)
    finding = examine_plans(HERE, tmp_path)
    assert finding.ok
    assert finding.facts["fitting"] == [mine.name]
    assert finding.facts["foreign"] == [foreign.name]
    assert f"1 in {tmp_path} fit TensorRT 8.6.0 on NVIDIA H200 (sm_90)" in finding.found


@pytest.mark.parametrize("platforms", [(), (H100,)])
def test_where_no_plan_fits_it_is_said_how_to_build_one(platforms, tmp_path: Path) -> None:
    for platform in platforms:
        keep_plan(tmp_path, platform)
    finding = examine_plans(HERE, tmp_path / "none" if not platforms else tmp_path)
    assert not finding.ok
    assert "`sightline model build`" in finding.remedy
    assert len(finding.facts["foreign"]) == len(platforms)


def test_a_plan_that_is_cut_short_is_named(tmp_path: Path) -> None:
    keep_plan(tmp_path, HERE)
    cut = keep_plan(tmp_path, HERE, model="cut")
    cut.write_bytes(cut.read_bytes()[:-3])
    finding = examine_plans(HERE, tmp_path)
    assert not finding.ok
    assert cut.name in finding.found
    assert "delete" in finding.remedy
    assert len(finding.facts["fitting"]) == 1


def test_a_gpu_with_too_little_memory_for_the_pool_is_told_with_figures() -> None:
    assert doctor_gpu.memory(4 << 30, 80 << 30, 3 << 30).ok
    finding = doctor_gpu.memory(2 << 30, 80 << 30, 3 << 30)
    assert not finding.ok
    assert finding.found == "2.0 of 80.0 GiB free, the frame pool takes 3.0"
    assert "pool.num_slots" in finding.remedy


class Nvrtc:
    version = (13, 0)

    def compile(self, name: str, source: bytes, arguments: Sequence[str]) -> bytes:
        if arguments[0].endswith("sm_90"):
            return b"machine code"
        raise DeviceError("failed to open libnvrtc-builtins.so.13.0")


@pytest.mark.parametrize(("arch", "ok"), [("sm_90", True), ("sm_75", False)])
def test_an_nvrtc_that_does_not_compile_is_told(
    arch: str, ok: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("engines.cuda.context.open_device", lambda: SimpleNamespace(arch=arch))
    monkeypatch.setattr("engines.cuda.nvrtc.load_nvrtc", Nvrtc)
    finding = doctor_gpu.kernels()
    assert finding.ok is ok
    assert ("NVRTC 13.0 compiles them" if ok else "libnvrtc-builtins") in finding.found


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (
            GpuLoad(uuid="GPU-1", name="H200", sm=0.87, decoder=0.99, power_w=412.4),
            "H200: SM 87%, NVDEC 99%, power 412 W",
        ),
        (GpuLoad(uuid="GPU-1", name="H200"), "H200: says nothing"),
    ],
)
def test_gauges_are_put_in_words_as_far_as_they_are_known(load: GpuLoad, words: str) -> None:
    assert doctor_gpu.gauges(load) == words


@pytest.mark.parametrize(
    ("mode", "has_mps", "ok"),
    [
        ("DEFAULT", False, True),
        ("EXCLUSIVE_PROCESS", False, False),
        ("EXCLUSIVE_PROCESS", True, True),
    ],
)
def test_a_gpu_for_one_process_needs_mps(mode, has_mps, ok, monkeypatch) -> None:
    pynvml = pytest.importorskip("pynvml")
    from tests.cluster.nvml_library import FakeGpu, load

    load(monkeypatch, FakeGpu(compute_mode=getattr(pynvml, f"NVML_COMPUTEMODE_{mode}")))
    monkeypatch.setattr(gpu_host, "is_mps_running", lambda: has_mps)
    gauges, sharing = doctor_gpu._gauges()
    assert (gauges.ok, sharing.ok) == (True, ok)
    assert gauges.facts["gpus"][0]["uuid"] == "GPU-8a3f"
    assert ok or "nvidia-smi -c DEFAULT" in sharing.remedy


def test_what_is_in_brackets_is_shown_to_people_as_it_is(monkeypatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(doctor_module, "console", Console(file=text, width=132))
    doctor_module._show([Finding("GPU model", False, "none", "pip install 'sightline[gpu]'")])
    assert "pip install 'sightline[gpu]'" in text.getvalue()


def test_programs_get_figures_beside_the_words_and_a_remedy_only_where_one_is_needed() -> None:
    answer = CliRunner().invoke(app, ["doctor", "--json"])
    findings = {finding["what"]: finding for finding in json.loads(answer.stdout)}
    assert findings["CPU"]["facts"]["cores"] >= 1
    assert findings["shared memory"]["facts"].keys() == {
        *("free_bytes", "total_bytes", "needed_bytes")
    }
    assert findings["package ray"]["facts"]["version"] == findings["package ray"]["found"]
    assert all(bool(found["remedy"]) != found["ok"] for found in findings.values())


def test_a_gpu_that_the_configuration_asks_for_and_that_is_not_there_is_a_fault(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(doctor_module, "bus_address", str)
    file = tmp_path / "sightline.yaml"
    file.write_text("slots: {device: cuda}\n")
    answer = CliRunner().invoke(app, ["doctor", "--json", "--config", str(file)])
    findings = {finding["what"]: finding for finding in json.loads(answer.stdout)}
    assert not findings["slots"]["ok"]
    assert "slots.device: cuda cannot be used" in findings["slots"]["found"]
    assert answer.exit_code == 1
