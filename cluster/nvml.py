"""What NVML says of a GPU: how busy it and its decoders are, and what of its memory is taken.

NVML counts all GPUs of the machine, whatever ``CUDA_VISIBLE_DEVICES`` leaves a process, so a GPU is
named by its address on the PCI bus. Reading takes no context and no memory of the GPU.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from cluster.errors import UnavailableError
from cluster.registry import GpuLoad

READ_EVERY_S = 1.0
_RETRY_AFTER_S = 30.0
_STALE_AFTER_S = 5.0
_PERCENT = 100
_MW_PER_W = 1e3
_REMEDY = (
    "the driver's libnvidia-ml must be there, in a container NVIDIA_DRIVER_CAPABILITIES must name "
    "utility"
)

log = logging.getLogger(__name__)


def open_nvml() -> Any:
    """The module ``pynvml``, ready to be asked.

    Raises:
        UnavailableError: if the package, the driver or its library is missing; says what to do.
    """
    try:
        import pynvml
    except ImportError as error:
        raise UnavailableError(f"{error}: pip install 'sightline[gpu]'") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise UnavailableError(f"NVML cannot be used ({error}): {_REMEDY}") from error
    return pynvml


class GpuReader:
    """The gauges of one GPU.

    Args:
        nvml: What ``open_nvml`` gave.
        find: Finds NVML's handle of the GPU.

    Raises:
        UnavailableError: if there is no such GPU; also from all methods, if it has failed.
    """

    def __init__(self, nvml: Any, find: Callable[[], Any]) -> None:
        self._nvml = nvml
        with _told(nvml):
            self._handle = find()
            self._uuid: str = nvml.nvmlDeviceGetUUID(self._handle)
            self._name: str = nvml.nvmlDeviceGetName(self._handle)

    @classmethod
    def at(cls, address: str) -> GpuReader:
        """Of the GPU with this address on the PCI bus (``0000:3b:00.0``)."""
        nvml = open_nvml()
        return cls(nvml, partial(nvml.nvmlDeviceGetHandleByPciBusId, address))

    def read(self) -> GpuLoad:
        """The gauges of now; those that this GPU does not have are None, as with MIG."""
        nvml = self._nvml
        busy = self._asked(nvml.nvmlDeviceGetUtilizationRates)
        decoder = self._asked(nvml.nvmlDeviceGetDecoderUtilization)
        # The second version leaves out what the driver keeps for itself, as nvidia-smi does.
        memory = self._asked(nvml.nvmlDeviceGetMemoryInfo, nvml.nvmlMemory_v2)
        power_mw = self._asked(nvml.nvmlDeviceGetPowerUsage)
        return GpuLoad(
            uuid=self._uuid,
            name=self._name,
            sm=None if busy is None else busy.gpu / _PERCENT,
            decoder=None if decoder is None else decoder[0] / _PERCENT,
            memory_used_bytes=None if memory is None else memory.used,
            memory_total_bytes=None if memory is None else memory.total,
            power_w=None if power_mw is None else power_mw / _MW_PER_W,
            temperature_c=self._asked(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        )

    def is_exclusive(self) -> bool:
        """Whether only one process at a time may use the GPU."""
        mode = self._asked(self._nvml.nvmlDeviceGetComputeMode)
        return mode not in (None, self._nvml.NVML_COMPUTEMODE_DEFAULT)

    def _asked(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The answer; None where this GPU, or its driver, has none."""
        nvml = self._nvml
        silent = (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_NO_PERMISSION,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        )
        with _told(nvml):
            try:
                return question(self._handle, *arguments)
            except nvml.NVMLError as error:
                if error.value in silent:
                    return None
                raise


def all_gpus() -> list[GpuReader]:
    """Every GPU of the machine that the container shows.

    Raises:
        UnavailableError: if NVML cannot be used.
    """
    nvml = open_nvml()
    with _told(nvml):
        num_gpus = nvml.nvmlDeviceGetCount()
    by_index = nvml.nvmlDeviceGetHandleByIndex
    return [GpuReader(nvml, partial(by_index, index)) for index in range(num_gpus)]


class GpuWatch:
    """Reads one GPU once a second, on a thread of its own: a driver may keep its caller waiting.

    Where it cannot be read that is logged once, and tried again now and then.

    Args:
        open_reader: Finds the GPU by its address.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        open_reader: Callable[[str], GpuReader] = GpuReader.at,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_reader
        self._clock = clock
        self._address = ""
        self._reader: GpuReader | None = None
        self._newest: tuple[float, GpuLoad] | None = None
        self._fault = ""
        self._stop = threading.Event()

    def follow(self, address: str) -> None:
        """Read the GPU with this address from now on; the first that is not empty is kept."""
        if self._address or not address:
            return
        self._address = address
        threading.Thread(target=self._run, name="gpu-watch", daemon=True).start()

    @property
    def newest(self) -> GpuLoad | None:
        """The gauges of a moment ago; None where there are none, or no longer."""
        newest = self._newest
        if newest is None or self._clock() - newest[0] > _STALE_AFTER_S:
            return None
        return newest[1]

    def close(self) -> None:
        """Read no more."""
        self._stop.set()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = READ_EVERY_S if self._read() else _RETRY_AFTER_S

    def _read(self) -> bool:
        try:
            self._reader = self._reader or self._open(self._address)
            self._newest, self._fault = (self._clock(), self._reader.read()), ""
        except UnavailableError as error:
            self._reader = self._newest = None
            self._tell(str(error))
            return False
        return True

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("no gauges of GPU %s: %s", self._address, fault)
        self._fault = fault


@contextmanager
def _told(nvml: Any) -> Iterator[None]:
    """NVML's errors as ours."""
    try:
        yield
    except nvml.NVMLError as error:
        raise UnavailableError(f"NVML does not answer ({error}): look at nvidia-smi") from error
