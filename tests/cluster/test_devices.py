from __future__ import annotations

import importlib.machinery
import importlib.util
from typing import Any

import pytest

from cluster.config import PipelineSpec, SightlineConfig
from cluster.devices import choose_device, gpu_fault, is_on_gpu, reserves_gpu, with_device
from cluster.errors import UnavailableError
from cluster.models import engine_options, resolve_model
from cluster.slot import plan as slot_plan
from cluster.slot.plan import crew_config, gpu_shares
from engines.errors import ModelError
from engines.factory import fastest_precision
from engines.spec import Precision

URL = "redis://127.0.0.1:6379/0"


def config(
    device: str = "auto", pipeline: str = "auto", spares: bool | None = None
) -> SightlineConfig:
    return SightlineConfig.model_validate(
        {
            "redis": {"url": URL},
            "slots": {"device": device, "spares": spares},
            "pipelines": {"default": {"device": pipeline}},
        }
    )


@pytest.fixture
def packages(monkeypatch) -> set[str]:
    """Names of the packages for GPUs that seem to be installed."""
    there = {"pycuda", "tensorrt"}
    spec = importlib.machinery.ModuleSpec("found", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name in there else None)
    return there


def test_auto_takes_a_gpu_that_can_be_used(packages):
    assert choose_device(config(), 1) == "cuda"
    assert is_on_gpu(with_device(config(), 8))


def test_auto_takes_the_cpu_where_there_is_no_gpu(packages):
    assert choose_device(config(), 0) == "cpu"
    assert not is_on_gpu(with_device(config(), 0))


def test_auto_says_aloud_that_a_gpu_lies_idle_for_want_of_a_package(packages, caplog):
    packages.remove("tensorrt")
    assert choose_device(config(), 1) == "cpu"
    assert "tensorrt cannot be imported: pip install 'sightline[gpu]'" in caplog.text


@pytest.mark.parametrize("wanted", [config("cpu"), config(pipeline="cpu")])
def test_the_cpu_is_taken_where_slots_or_a_pipeline_ask_for_it(packages, wanted):
    assert choose_device(wanted, 1) == "cpu"


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_with_a_remedy(packages):
    with pytest.raises(UnavailableError, match=r"slots\.device: cuda .* Ray offers no GPU"):
        choose_device(config("cuda"), 0)
    packages.clear()
    assert "pycuda and tensorrt" in gpu_fault(1)


def test_a_slot_on_a_gpu_keeps_pictures_there_and_decodes_there():
    plan = crew_config("slot-a", config("cuda"))
    assert (plan.pool.device, plan.ingest.decoder) == (0, "nvdec")
    assert (plan.num_shards, plan.max_streams) == (2, 256)


@pytest.mark.parametrize(("num_cores", "num_ingests"), [(1, 1), (2, 1), (4, 2), (8, 4), (64, 4)])
def test_a_gpu_has_up_to_four_ingest_actors(num_cores, num_ingests, monkeypatch):
    monkeypatch.setattr(slot_plan, "num_cores", lambda: num_cores)
    assert crew_config("slot-a", config("cuda")).num_ingests == num_ingests


def test_a_slot_on_the_cpu_asks_for_no_gpu():
    plan = crew_config("slot-a", config("cpu"))
    assert (plan.pool.device, plan.ingest.decoder) == (None, "cpu")
    assert (plan.gpu_shares.engine, plan.gpu_shares.ingest) == (0, 0)
    assert (plan.num_shards, plan.max_streams, plan.pool.num_slots) == (1, 64, 128)


def test_spares_wait_on_a_gpu_and_elsewhere_where_they_are_asked_for():
    assert crew_config("slot-a", config("cuda")).spares
    assert not crew_config("slot-a", config("cpu")).spares
    assert crew_config("slot-a", config("cpu", spares=True)).spares


@pytest.mark.parametrize("spares", [False, True])
@pytest.mark.parametrize("num_ingests", [1, 2, 3, 7, 64])
def test_engine_and_ingests_fit_on_one_gpu_as_ray_counts(num_ingests, spares):
    shares = gpu_shares(num_ingests, spares)
    assert (1 + spares) * shares.engine + (num_ingests + spares) * shares.ingest <= 1
    assert shares.ingest > 0
    assert round(shares.ingest * 10_000) == pytest.approx(shares.ingest * 10_000)


def test_a_gpu_computes_the_detector_that_ships_in_fp16_and_a_cpu_in_int8():
    on_cpu, on_gpu = (resolve_model(PipelineSpec(), device) for device in ("cpu", "cuda"))
    assert (on_cpu.precision, on_gpu.precision) == (Precision.INT8, Precision.FP32)
    assert fastest_precision(on_gpu) is Precision.FP16
    assert fastest_precision(on_cpu) is Precision.INT8


def test_a_pipeline_for_the_cpu_is_refused_by_a_slot_on_a_gpu():
    with pytest.raises(ModelError, match=r"device: .*Set slots\.device to cpu"):
        resolve_model(PipelineSpec(device="cpu"), "cuda")


def test_the_engine_is_told_device_and_precision():
    options = engine_options(PipelineSpec(precision="fp32"), "cuda")
    assert (options.device, options.precision) == ("cuda", Precision.FP32)
    assert engine_options(PipelineSpec()).device == "cpu"


def test_a_slot_has_a_gpu_in_rays_books_if_it_runs_on_one_or_is_to_reserve_one() -> None:
    def reserves(**slots: Any) -> bool:
        return reserves_gpu(SightlineConfig.model_validate({"slots": slots}))

    assert reserves(device="cuda")
    assert reserves(device="cpu", reserve_gpu=True)
    assert not reserves(device="cpu")
