"""A GPU with TensorRT for ``TensorRtRuntime``, on the host: its memory is the host's, the kernels
are those of ``engines/cuda`` compiled as C++, and a plan is the ONNX graph, on ONNX Runtime.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.cuda.descriptors import PICTURE, DeviceView, PictureRecords, model_record
from engines.cuda.suppress import NUM_COLUMNS, limits_of
from engines.families.suppression import Overlaps
from engines.onnxruntime.session import open_session, signature_of
from engines.spec import InputSpec, ModelSpec, Precision
from engines.tensorrt.builder import graph_for, request_for
from engines.tensorrt.plan import Platform
from tests.engines.cuda_backends import host_kernels, pointer

HERE = Platform("8.6.0", "the host", "sm_90")
NUM_THREADS = 4
KINDS = {"float32": "FLOAT", "float16": "HALF"}


def install(monkeypatch: pytest.MonkeyPatch) -> Device:
    """Put it in the place of CUDA and TensorRT."""
    host_kernels()  # skips where there is no compiler
    device = Device()
    runtime = "engines.tensorrt.runtime"
    monkeypatch.setattr(f"{runtime}.open_device", lambda index=0: device)
    monkeypatch.setattr(f"{runtime}.import_tensorrt", lambda: TRT)
    monkeypatch.setattr(f"{runtime}.Preprocessor", Preprocessor)
    monkeypatch.setattr(f"{runtime}.Suppressor", Suppressor)
    monkeypatch.setattr(f"{runtime}.CudaGraph", Graph)
    return device


def open_runtime(spec: ModelSpec, batch_sizes: tuple[int, ...]) -> Any:
    """As ``OpenRuntime``, with a plan in FP32."""
    from engines.tensorrt.runtime import TensorRtRuntime

    plan = graph_for(spec, Precision.FP32).SerializeToString()
    return TensorRtRuntime(plan, spec, request_for(spec, HERE, batch_sizes=batch_sizes))


class Memory:
    """An allocation, on the device or pinned; counted by its device."""

    def __init__(self, device: Device, shape: Sequence[int], dtype: Any) -> None:
        self._array = np.zeros(shape, dtype)
        self._device = device
        self.__array_interface__ = self._array.__array_interface__
        device.num_allocations += 1

    def __int__(self) -> int:
        return int(self._array.ctypes.data)

    def free(self) -> None:
        self._device.num_allocations -= 1


class Device:
    """In the place of ``DeviceContext`` and of ``pycuda.driver``.

    Attributes:
        num_allocations: Those that were not given back.
    """

    index, name, arch = 0, "the host", "sm_90"

    def __init__(self) -> None:
        self.cuda = self
        self.num_allocations = 0

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def allocate(self, size_bytes: int) -> Memory:
        return Memory(self, (size_bytes,), np.uint8)

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.asarray(Memory(self, shape, dtype))

    def Stream(self, flags: int) -> SimpleNamespace:
        return SimpleNamespace(handle=7, synchronize=lambda: None)

    def memcpy_htod_async(self, address: int, source: np.ndarray, stream: object) -> None:
        ctypes.memmove(address, source.ctypes.data, source.nbytes)

    def memcpy_dtoh_async(self, target: np.ndarray, address: int, stream: object) -> None:
        ctypes.memmove(target.ctypes.data, address, target.nbytes)


class Preprocessor:
    def __init__(self, input_spec: InputSpec, *, max_batch_size: int, device: int) -> None:
        self._records = PictureRecords(input_spec)
        self._model = model_record(input_spec)
        self._pictures = np.zeros(max_batch_size, PICTURE)

    def describe(self, views: Sequence[DeviceView]) -> None:
        self._records.fill(views, self._pictures)

    def launch(self, num_views: int, out_address: int, dtype: Any, stream: object) -> None:
        run = getattr(host_kernels(), f"run_letterbox_{np.dtype(dtype).name}")
        out = ctypes.c_void_p(out_address)
        run(pointer(self._pictures), out, pointer(self._model), num_views)

    def close(self) -> None:
        return


class Suppressor:
    def __init__(
        self,
        num: int,
        *,
        confidence: float,
        overlaps: Overlaps,
        max_detections: int,
        device: int,
    ) -> None:
        self.record_shape = (1 + max_detections, NUM_COLUMNS)
        *limits, parts = limits_of(overlaps)
        thresholds = (ctypes.c_float(value) for value in (confidence, *limits))
        self._settings = (num, max_detections, *thresholds, ctypes.c_uint64(parts))

    def enqueue(self, *arguments: Any) -> None:
        *addresses, num_images, _stream = arguments
        places = map(ctypes.c_void_p, addresses)
        host_kernels().run_suppress(*places, *self._settings, num_images, NUM_THREADS)

    def close(self) -> None:
        return


class Graph:
    """What was recorded is done again at each launch."""

    def __init__(self, record: Callable[[], None]) -> None:
        self._record = record

    @classmethod
    def capture(cls, stream: int, record: Callable[[], None]) -> Graph:
        return cls(record)

    def launch(self, stream: int) -> None:
        self._record()

    def close(self) -> None:
        return


class Plan:
    """In the place of ``ICudaEngine`` and of its execution contexts."""

    device_memory_size = 16

    def __init__(self, graph: bytes) -> None:
        self._session = open_session(graph)
        signature = signature_of(self._session)
        # TensorRT keeps no order.
        self._tensors = {t.name: t for t in (*reversed(signature.outputs), *signature.inputs)}
        self._image = signature.inputs[0].name
        self.num_io_tensors = len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == self._image else "out"

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        dtype = self._tensors[name].dtype
        return SimpleNamespace(name=KINDS.get(dtype, "INT32"))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(-1 if size is None else size for size in self._tensors[name].shape)

    def create_execution_context_without_device_memory(self) -> PlanContext:
        return PlanContext(self, self._session)


class PlanContext:
    def __init__(self, plan: Plan, session: Any) -> None:
        self.device_memory = 0
        self._plan = plan
        self._session = session
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_optimization_profile_async(self, profile: int, stream: int) -> None:
        return

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._shape[0], *self._plan.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        image = self._session.get_inputs()[0]
        dtype = np.dtype(np.float16 if "16" in image.type else np.float32)
        data = ctypes.string_at(
            self._addresses[image.name], dtype.itemsize * int(np.prod(self._shape))
        )
        batch = np.frombuffer(data, dtype).reshape(self._shape)
        names = [output.name for output in self._session.get_outputs()]
        for name, output in zip(names, self._session.run(None, {image.name: batch}), strict=True):
            given = np.ascontiguousarray(output)
            ctypes.memmove(self._addresses[name], given.ctypes.data, given.nbytes)
        return True


class Logger:
    INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


TRT = SimpleNamespace(
    __version__="8.6.0",
    Logger=Logger,
    ILogger=type("ILogger", (), {}),
    TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
    Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda plan: Plan(bytes(plan))),
)
