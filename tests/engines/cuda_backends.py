"""Where the tests run kernels and pools: on a GPU, or the same code compiled for the host."""

from __future__ import annotations

import ctypes
import multiprocessing
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.cuda.context import open_device
from engines.cuda.copy_rows import MAX_SURFACES, RowCopier, Rows, launches, parameters
from engines.cuda.descriptors import PICTURE, DeviceView, PictureRecords, model_record
from engines.cuda.nvrtc import KERNELS
from engines.cuda.pool import DevicePool, Memory
from engines.cuda.preprocess import Preprocessor
from engines.cuda.stand_in import HostMemory
from engines.cuda.suppress import NUM_COLUMNS, Suppressor, limits_of, read_records
from engines.errors import DeviceError
from engines.families.detector import MAX_CANDIDATES
from engines.families.suppression import Overlaps
from engines.frames import Picture, Plane, PoolLayout
from engines.spec import InputSpec

Array = NDArray[np.float32]

ON_BOTH = ("host", pytest.param("gpu", marks=pytest.mark.gpu))


class Backend(Protocol):
    memory: type[Memory] | None

    def letterbox(
        self, spec: InputSpec, frames: Sequence[DeviceView], dtype: type[np.floating[Any]]
    ) -> NDArray[Any]: ...

    def suppress(
        self,
        boxes: Array,
        scores: Array,
        classes: NDArray[np.int32],
        *,
        confidence: float,
        overlaps: Overlaps,
        max_detections: int,
    ) -> list[Array]: ...

    def copy_rows(self, surfaces: Sequence[Rows]) -> None: ...

    def download(self, address: int, size_bytes: int) -> bytes: ...

    def upload(self, data: Plane) -> tuple[int, object]:
        """Address and what keeps it alive."""


def backend_of(name: str) -> Backend:
    """Skips the test where there is no compiler or no GPU."""
    if name == "host":
        return OnHost()
    try:
        return OnDevice()
    except DeviceError as error:
        pytest.skip(str(error))


class OnHost:
    memory: type[Memory] | None = HostMemory
    num_threads = 5

    def letterbox(
        self, spec: InputSpec, frames: Sequence[DeviceView], dtype: type[np.floating[Any]]
    ) -> NDArray[Any]:
        records = np.zeros(len(frames), PICTURE)
        PictureRecords(spec).fill(frames, records)
        out = np.full((len(frames), 3, spec.height, spec.width), np.nan, dtype)
        run = getattr(host_kernels(), f"run_letterbox_{np.dtype(dtype).name}")
        run(pointer(records), pointer(out), pointer(model_record(spec)), len(frames))
        return out

    def suppress(
        self,
        boxes: Array,
        scores: Array,
        classes: NDArray[np.int32],
        *,
        confidence: float,
        overlaps: Overlaps,
        max_detections: int,
    ) -> list[Array]:
        batch, num_candidates = scores.shape
        out = np.full((batch, 1 + max_detections, NUM_COLUMNS), np.nan, np.float32)
        *limits, parts = limits_of(overlaps)
        thresholds = (ctypes.c_float(value) for value in (confidence, *limits))
        sizes = (
            num_candidates,
            max_detections,
            *thresholds,
            ctypes.c_uint64(parts),
            batch,
            self.num_threads,
        )
        host_kernels().run_suppress(*map(pointer, (boxes, scores, classes, out)), *sizes)
        return split(out)

    def copy_rows(self, surfaces: Sequence[Rows]) -> None:
        for records in launches(surfaces):
            host_kernels().run_copy_rows(parameters(records), len(records))

    def download(self, address: int, size_bytes: int) -> bytes:
        return ctypes.string_at(address, size_bytes)

    def upload(self, data: Plane) -> tuple[int, object]:
        return data.ctypes.data, data


def split(records: Array) -> list[Array]:
    """What was kept of each image."""
    kept, nums = read_records(records)
    return np.split(kept, nums.cumsum()[:-1])


class OnDevice:
    memory: type[Memory] | None = None

    def __init__(self) -> None:
        self.context = open_device()
        self.cuda = self.context.cuda

    def letterbox(
        self, spec: InputSpec, frames: Sequence[DeviceView], dtype: type[np.floating[Any]]
    ) -> NDArray[Any]:
        out = np.full((len(frames), 3, spec.height, spec.width), np.nan, dtype)
        preprocessor = Preprocessor(spec, max_batch_size=len(frames))
        with self.context:
            stream, on_device = self.cuda.Stream(), self.cuda.to_device(out)
            preprocessor.enqueue(frames, int(on_device), dtype, stream)
            stream.synchronize()
            self.cuda.memcpy_dtoh(out, on_device)
            on_device.free()
            preprocessor.close()
        return out

    def suppress(
        self,
        boxes: Array,
        scores: Array,
        classes: NDArray[np.int32],
        *,
        confidence: float,
        overlaps: Overlaps,
        max_detections: int,
    ) -> list[Array]:
        batch, num_candidates = scores.shape
        suppressor = Suppressor(
            num_candidates, confidence=confidence, overlaps=overlaps, max_detections=max_detections
        )
        out = np.full((batch, *suppressor.record_shape), np.nan, np.float32)
        with self.context:
            stream = self.cuda.Stream()
            buffers = [self.cuda.to_device(a) for a in (boxes, scores, classes, out)]
            suppressor.enqueue(*map(int, buffers), batch, stream)
            stream.synchronize()
            self.cuda.memcpy_dtoh(out, buffers[-1])
            for buffer in buffers:
                buffer.free()
            suppressor.close()
        return split(out)

    def copy_rows(self, surfaces: Sequence[Rows]) -> None:
        copier = RowCopier(self.context)
        with self.context:
            stream = self.cuda.Stream()
            copier.enqueue(surfaces, stream)
            stream.synchronize()
        copier.close()

    def download(self, address: int, size_bytes: int) -> bytes:
        with self.context:
            return bytes(self.cuda.from_device(address, size_bytes, np.uint8))

    def upload(self, data: Plane) -> tuple[int, object]:
        with self.context:
            allocation = self.cuda.to_device(np.ascontiguousarray(data))
        return int(allocation), allocation


def pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


@cache
def host_kernels() -> ctypes.CDLL:
    """The kernels, compiled as C++."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    source = Path(__file__).with_name("kernels_on_host.cpp")
    options = ["-O1", "-std=c++17", "-shared", "-fPIC", "-pthread", "-Wall", "-Werror"]
    options += ["-ffp-contract=off", f"-I{KERNELS}"]
    options += [f"-DMAX_CANDIDATES={MAX_CANDIDATES}", f"-DMAX_SURFACES={MAX_SURFACES}"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        subprocess.run([compiler, *options, str(source), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


def in_another_process(work: Callable[..., None], *arguments: object) -> None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def write_attached(
    layout: PoolLayout,
    memory: type[Memory] | None,
    slot: int,
    picture: Picture,
    planes: Sequence[Plane],
) -> None:
    """What ingest does, in a process of its own."""
    pool = DevicePool.attach(layout, memory=memory)
    pool.write(slot, picture, planes)
    pool.close()


class Owner:
    """An engine in a process of its own, which makes a pool; ``with`` ends it by SIGKILL."""

    def __init__(self, num_slots: int, slot_bytes: int, memory: type[Memory] | None) -> None:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        arguments = (sender, num_slots, slot_bytes, memory)
        self._process = context.Process(target=_own, args=arguments)
        self._process.start()
        assert receiver.poll(60)
        self.layout: PoolLayout = receiver.recv()

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        if self.layout.path.startswith("stand-in"):
            Path(self.layout.ipc.decode()).unlink()


def _own(sender: Any, num_slots: int, slot_bytes: int, memory: type[Memory] | None) -> None:
    pool = DevicePool.create(num_slots, slot_bytes, memory=memory)
    sender.send(pool.layout)
    time.sleep(120)
