"""NVML through the real bindings, with a library of our own beneath; and on a GPU the driver's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cluster.bench.gpu import usage
from cluster.errors import UnavailableError
from cluster.nvml import GpuReader, GpuWatch, all_gpus, open_nvml
from cluster.registry import GpuLoad
from engines.cuda.address import bus_address
from tests.cluster.builders import eventually

pynvml = pytest.importorskip("pynvml")

from tests.cluster.nvml_library import GIB, FakeGpu, NvmlLibrary, load  # noqa: E402

FIRST, SECOND = FakeGpu(), FakeGpu(address="0000:5e:00.0", uuid="GPU-0001", sm_percent=3)


def test_a_gpu_is_found_by_its_address_and_its_gauges_are_read_in_our_units(monkeypatch):
    load(monkeypatch, SECOND, FIRST)
    assert GpuReader.at(FIRST.address).read() == GpuLoad(
        uuid="GPU-8a3f",
        name="NVIDIA H200",
        sm=0.87,
        decoder=0.99,
        memory_used_bytes=31 * GIB,
        memory_total_bytes=141 * GIB,
        power_w=412.5,
        temperature_c=61,
    )
    assert GpuReader.at(SECOND.address).read().sm == 0.03


def test_all_gpus_of_the_machine_are_listed_whatever_a_process_may_use(monkeypatch):
    load(monkeypatch, FIRST, SECOND)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [gpu.read().uuid for gpu in all_gpus()] == ["GPU-8a3f", "GPU-0001"]


@pytest.mark.parametrize(
    "refusal",
    [
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    ],
)
def test_what_a_gpu_does_not_say_is_left_open_and_the_rest_is_read(refusal, monkeypatch):
    silent = ("UtilizationRates", "DecoderUtilization", "PowerUsage", "ComputeMode")
    gpu = FakeGpu(refuses={f"nvmlDeviceGet{name}": refusal for name in silent})
    load(monkeypatch, gpu)
    reader = GpuReader.at(gpu.address)
    found = reader.read()
    assert (found.sm, found.decoder, found.power_w) == (None, None, None)
    assert (found.memory_used_bytes, found.temperature_c) == (31 * GIB, 61)
    assert not reader.is_exclusive()


@pytest.mark.parametrize(
    ("mode", "is_exclusive"),
    [
        (pynvml.NVML_COMPUTEMODE_DEFAULT, False),
        (pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, True),
        (pynvml.NVML_COMPUTEMODE_PROHIBITED, True),
    ],
)
def test_a_gpu_for_one_process_is_told_from_one_for_many(mode, is_exclusive, monkeypatch):
    load(monkeypatch, FakeGpu(compute_mode=mode))
    (gpu,) = all_gpus()
    assert gpu.is_exclusive() is is_exclusive


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(UnavailableError, match=r"pynvml.*pip install 'sightline\[gpu\]'"):
        open_nvml()


def test_without_the_library_of_the_driver_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", absent)
    with pytest.raises(UnavailableError, match=r"Library Not Found.*must name utility"):
        open_nvml()


def test_without_the_driver_it_is_said_what_is_missing(monkeypatch):
    load(monkeypatch, init=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    with pytest.raises(UnavailableError, match="Driver Not Loaded"):
        all_gpus()


def test_an_address_that_no_gpu_has_is_an_error(monkeypatch):
    load(monkeypatch, FIRST)
    with pytest.raises(UnavailableError, match="Not Found"):
        GpuReader.at("0000:ff:00.0")


def absent(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_a_watch_has_the_gauges_of_the_gpu_that_it_was_first_told(monkeypatch):
    load(monkeypatch, FIRST, SECOND)
    watch = GpuWatch()
    watch.follow("")
    assert watch.newest is None
    watch.follow(SECOND.address)
    watch.follow("")
    watch.follow(FIRST.address)
    assert eventually(lambda: watch.newest).uuid == SECOND.uuid
    watch.close()


def test_gauges_that_are_no_longer_read_are_not_shown(monkeypatch):
    load(monkeypatch, FIRST)
    now = 100.0
    watch = GpuWatch(clock=lambda: now)
    watch.follow(FIRST.address)
    assert eventually(lambda: watch.newest)
    watch.close()
    now += 5.1
    assert watch.newest is None


def test_a_watch_reads_no_more_than_once_a_second(monkeypatch):
    gpu = FakeGpu()
    load(monkeypatch, gpu)
    waits = []
    watch = GpuWatch()
    monkeypatch.setattr(watch._stop, "wait", lambda s: waits.append(s) or len(waits) > 3)
    watch.follow(gpu.address)
    eventually(lambda: len(waits) > 3)
    assert (gpu.num_reads, waits[1:]) == (3, [1.0, 1.0, 1.0])


def test_a_gpu_that_is_lost_is_logged_once_and_shown_again_when_it_is_back(monkeypatch, caplog):
    gpu = FakeGpu(refuses={"nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_GPU_IS_LOST})
    load(monkeypatch, gpu)
    waits = []
    watch = GpuWatch()

    def wait(timeout_s: float) -> bool:
        waits.append(timeout_s)
        if len(waits) == 3:
            assert watch.newest is None
            gpu.refuses.clear()
        return len(waits) > 3

    monkeypatch.setattr(watch._stop, "wait", wait)
    watch.follow(gpu.address)
    assert eventually(lambda: watch.newest).uuid == gpu.uuid
    assert caplog.text.count("no gauges of GPU 0000:3b:00.0: NVML does not answer") == 1
    assert waits[1:3] == [30.0, 30.0]


def test_a_benchmark_has_medians_in_percent_and_mib_of_what_the_gpu_says(monkeypatch):
    gpu = FakeGpu(refuses={"nvmlDeviceGetDecoderUtilization": pynvml.NVML_ERROR_NOT_SUPPORTED})
    load(monkeypatch, gpu)
    monkeypatch.setattr(usage, "bus_address", lambda: gpu.address)
    monkeypatch.setattr(usage, "READ_EVERY_S", 0.01)
    with usage.GpuGauges() as gauges:
        eventually(lambda: gpu.num_reads > 2)
    assert gauges.medians == {"sm_percent": 87.0, "memory_mb": 31 * 1024.0}


def test_a_benchmark_without_nvml_says_why_and_goes_on(monkeypatch, caplog):
    load(monkeypatch, init=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    monkeypatch.setattr(usage, "bus_address", lambda: FIRST.address)
    with usage.GpuGauges() as gauges:
        pass
    assert gauges.medians == {}
    assert "the GPU is not measured: NVML cannot be used (Driver Not Loaded)" in caplog.text


def test_the_library_beneath_has_no_function_that_the_bindings_do_not_call():
    bindings = Path(pynvml.__file__).read_text()
    assert [name for name in NvmlLibrary().functions if f'"{name}"' not in bindings] == []


@pytest.mark.gpu
@pytest.mark.skipif(not bus_address(), reason="no NVIDIA GPU")
def test_the_driver_says_all_of_the_gpu_that_this_process_sees():
    from engines.cuda.context import open_device

    found = GpuReader.at(bus_address()).read()
    with open_device() as context:
        _, total_bytes = context.cuda.mem_get_info()
    assert found.name == context.name
    assert found.uuid in {gpu.read().uuid for gpu in all_gpus()}
    assert None not in (found.sm, found.decoder, found.power_w, found.temperature_c)
    assert 0 < (found.memory_used_bytes or 0) <= (found.memory_total_bytes or 0)
    assert found.memory_total_bytes == pytest.approx(total_bytes, rel=0.05)
