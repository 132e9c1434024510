"""A libnvidia-ml in Python, which the real ``pynvml`` calls as it calls the driver's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pynvml

SUCCESS = 0
GIB = 2**30


@dataclass
class FakeGpu:
    """One GPU; ``refuses`` has what calls answer with that fail, by name."""

    address: str = "0000:3b:00.0"
    uuid: str = "GPU-8a3f"
    name: str = "NVIDIA H200"
    sm_percent: int = 87
    decoder_percent: int = 99
    used_bytes: int = 31 * GIB
    total_bytes: int = 141 * GIB
    power_mw: int = 412_500
    temperature_c: int = 61
    compute_mode: int = 0
    refuses: dict[str, int] = field(default_factory=dict)
    num_reads: int = 0


class NvmlLibrary:
    """The functions of libnvidia-ml by name, with the arguments that C gets.

    Args:
        gpus: Those of the machine.
        init: What ``nvmlInitWithFlags`` answers with.
    """

    def __init__(self, *gpus: FakeGpu, init: int = SUCCESS) -> None:
        self._gpus = [(gpu, pynvml.struct_c_nvmlDevice_t()) for gpu in gpus]
        self.functions: dict[str, Callable[..., int]] = {
            "nvmlInitWithFlags": lambda flags: init,
            "nvmlDeviceGetCount_v2": lambda count: _set(count, len(gpus)),
            "nvmlDeviceGetHandleByIndex_v2": self._by_index,
            "nvmlDeviceGetHandleByPciBusId_v2": self._by_address,
            **{name: partial(self._asked, name, answer) for name, answer in ANSWERS.items()},
        }

    def __getattr__(self, name: str) -> Callable[..., int]:
        try:
            return self.functions[name]
        except KeyError:
            raise AttributeError(name) from None

    def _by_index(self, index: Any, device: Any) -> int:
        device._obj.contents = self._gpus[index.value][1]
        return SUCCESS

    def _by_address(self, address: Any, device: Any) -> int:
        for gpu, handle in self._gpus:
            if gpu.address.encode() == address.value:
                device._obj.contents = handle
                return SUCCESS
        return int(pynvml.NVML_ERROR_NOT_FOUND)

    def _asked(self, name: str, answer: Callable[..., int], handle: Any, *arguments: Any) -> int:
        """What a GPU, found by its handle, answers; or how it refuses."""
        wanted = ctypes.addressof(handle.contents)
        gpu = next(gpu for gpu, known in self._gpus if ctypes.addressof(known) == wanted)
        return gpu.refuses.get(name) or answer(gpu, *arguments)


def load(monkeypatch: Any, *gpus: FakeGpu, init: int = SUCCESS) -> None:
    """Let ``pynvml`` find this library for the time of a test."""
    monkeypatch.setattr(pynvml, "nvmlLib", NvmlLibrary(*gpus, init=init))
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})


def _set(reference: Any, value: int) -> int:
    reference._obj.value = value
    return SUCCESS


def _write(text: Any, value: str) -> int:
    text.value = value.encode()
    return SUCCESS


def _utilization(gpu: FakeGpu, rates: Any) -> int:
    gpu.num_reads += 1
    rates._obj.gpu, rates._obj.memory = gpu.sm_percent, 12
    return SUCCESS


def _memory(gpu: FakeGpu, info: Any) -> int:
    assert info._obj.version == pynvml.nvmlMemory_v2
    info._obj.total, info._obj.used = gpu.total_bytes, gpu.used_bytes
    return SUCCESS


ANSWERS: dict[str, Callable[..., int]] = {
    "nvmlDeviceGetUUID": lambda gpu, text, _: _write(text, gpu.uuid),
    "nvmlDeviceGetName": lambda gpu, text, _: _write(text, gpu.name),
    "nvmlDeviceGetUtilizationRates": _utilization,
    "nvmlDeviceGetDecoderUtilization": lambda gpu, busy, period: (
        _set(busy, gpu.decoder_percent) or _set(period, 167_000)
    ),
    "nvmlDeviceGetMemoryInfo_v2": _memory,
    "nvmlDeviceGetPowerUsage": lambda gpu, power: _set(power, gpu.power_mw),
    "nvmlDeviceGetTemperature": lambda gpu, sensor, found: _set(found, gpu.temperature_c),
    "nvmlDeviceGetComputeMode": lambda gpu, mode: _set(mode, gpu.compute_mode),
}
