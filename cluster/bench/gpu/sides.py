"""What is compared with ONNX Runtime: engines, and the slots where their pictures lie.

``GpuSide`` is the real one. ``CpuSide`` stands in its place on a machine without a GPU, to try the
comparison; it proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from actors.ingest.picture import PictureLayout
from actors.pools import Pool
from cluster.machine import num_cores
from engines.frames import Chroma, DeviceFrame, Frame, FramePool, Picture, Plane
from engines.spec import ModelSpec, Precision

PRECISIONS = (Precision.FP32, Precision.FP16)

Report = Callable[[str], None]


class Side(Protocol):
    """One way to compute a batch.

    Attributes:
        batch_size: Pictures that there are slots for.
        engines: Loaded, by name; they are given what ``frames`` gives.
        host: What computes, for the record; empty on the CPU.
    """

    host: Mapping[str, str]
    batch_size: int
    engines: Mapping[str, Any]

    def write(self, slot: int, frame: VideoFrame) -> None:
        """Copy a decoded picture into a slot."""

    def frames(self, num: int) -> list[Frame] | list[DeviceFrame]:
        """The first slots, for the engines."""

    def download(self, slot: int) -> Frame:
        """The picture of a slot as the CPU sees it; valid until the slot is written again."""

    def prepare(self, num: int, dtype: type[np.floating[Any]]) -> NDArray[Any] | None:
        """The models' input of the first slots, [num, 3, height, width]; None without a kernel."""

    def close(self) -> None:
        """Give all memory back."""


class _Slots:
    """A pool, and the layout of what is in each slot."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._layout = PictureLayout()
        self._pictures: dict[int, Picture] = {}

    def write(self, slot: int, frame: VideoFrame) -> None:
        layout = self.pool.layout
        is_device_slot = layout.device is not None
        picture = self._layout.picture(frame, layout.slot_bytes, is_device_slot=is_device_slot)
        self.pool.write(slot, picture, self._layout.planes(frame, picture))
        self._pictures[slot] = picture

    def read(self, slot: int) -> Any:
        return self.pool.read(slot, self._pictures[slot])

    def close(self) -> None:
        self.pool.close()
        self.pool.unlink()


class CpuSide:
    """See ``Side``: ONNX Runtime in batches, from slots of shared memory.

    Args:
        spec: The model.
        slot_bytes: Of the largest picture.
        batch_sizes: The largest is used.
        report: Not told anything.
    """

    def __init__(
        self, spec: ModelSpec, slot_bytes: int, batch_sizes: Sequence[int], report: Report
    ) -> None:
        from engines.onnxruntime import OnnxRuntimeEngine

        self.host: Mapping[str, str] = {}
        self.batch_size = max(batch_sizes)
        engine = OnnxRuntimeEngine(spec, num_threads=num_cores(), max_batch_size=self.batch_size)
        engine.load()
        self.engines: Mapping[str, Any] = {"onnxruntime fp32, batches": engine}
        self._slots = _Slots(FramePool.create(self.batch_size, slot_bytes))

    def write(self, slot: int, frame: VideoFrame) -> None:
        """See ``Side.write``."""
        self._slots.write(slot, frame)

    def frames(self, num: int) -> list[Frame]:
        """See ``Side.frames``."""
        return [self._slots.read(slot) for slot in range(num)]

    def download(self, slot: int) -> Frame:
        """See ``Side.download``."""
        frame: Frame = self._slots.read(slot)
        return frame

    def prepare(self, num: int, dtype: type[np.floating[Any]]) -> None:
        """There is no kernel here."""

    def close(self) -> None:
        """See ``Side.close``."""
        self._slots.close()


class GpuSide:
    """See ``Side``: TensorRT in FP32 and FP16, from slots of a device pool.

    Args:
        spec: The model.
        slot_bytes: Of the largest picture.
        batch_sizes: Of the plans; the largest is used.
        report: Told what is loaded.

    Raises:
        DeviceError: if the GPU cannot be used.
        ModelError: if a plan cannot be built or loaded.
    """

    def __init__(
        self, spec: ModelSpec, slot_bytes: int, batch_sizes: Sequence[int], report: Report
    ) -> None:
        from engines.cuda.context import open_device
        from engines.cuda.pool import DevicePool
        from engines.cuda.preprocess import Preprocessor
        from engines.tensorrt import TensorRtEngine
        from engines.tensorrt.runtime import platform_of

        self.host: Mapping[str, str] = asdict(platform_of())
        self.batch_size = max(batch_sizes)
        self._input = spec.input
        self._context = open_device()
        self._slots = _Slots(DevicePool.create(self.batch_size, slot_bytes))
        self._preprocessor = Preprocessor(spec.input, max_batch_size=self.batch_size)
        with self._context:
            self._stream = self._context.cuda.Stream()
        self.engines: Mapping[str, Any] = {}
        for precision in PRECISIONS:
            report(f"TensorRT {precision.value}: a plan that is not there is built, for minutes")
            engine = TensorRtEngine(spec, batch_sizes=batch_sizes, precision=precision)
            engine.load()
            self.engines = {**self.engines, f"tensorrt {precision.value}": engine}

    def write(self, slot: int, frame: VideoFrame) -> None:
        """See ``Side.write``."""
        self._slots.write(slot, frame)

    def frames(self, num: int) -> list[DeviceFrame]:
        """See ``Side.frames``."""
        return [self._slots.read(slot) for slot in range(num)]

    def download(self, slot: int) -> Frame:
        """See ``Side.download``."""
        frame: DeviceFrame = self._slots.read(slot)
        data = np.empty(frame.picture.size_bytes, np.uint8)
        with self._context:
            self._context.cuda.memcpy_dtoh(data, frame.address)
        return unpacked(data, frame.picture)

    def prepare(self, num: int, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        """See ``Side.prepare``."""
        out = np.empty((num, 3, self._input.height, self._input.width), dtype)
        with self._context:
            on_device = self._context.allocate(out.nbytes)
            self._preprocessor.enqueue(self.frames(num), int(on_device), dtype, self._stream)
            self._stream.synchronize()
            self._context.cuda.memcpy_dtoh(out, on_device)
            on_device.free()
        return out

    def close(self) -> None:
        """See ``Side.close``."""
        for engine in self.engines.values():
            engine.close()
        self._preprocessor.close()
        self._slots.close()
        with self._context:
            del self._stream


def unpacked(data: Plane, picture: Picture) -> Frame:
    """Packed planes, uint8 [``picture.size_bytes``], as a frame."""
    planes, offset = [], 0
    for rows, columns in picture.stored_shapes:
        planes.append(data[offset : offset + rows * columns].reshape(rows, columns))
        offset += rows * columns
    if picture.chroma is Chroma.INTERLEAVED:
        planes = [planes[0], planes[1][:, ::2], planes[1][:, 1::2]]
    return Frame(picture, tuple(planes), picture.width, picture.height)
