"""A plan on a GPU: two lanes, each with a stream, its buffers and a CUDA graph a batch size.

A batch is one CUDA graph: descriptors to the device, preprocessing, the network, suppression, and
the few detections back into pinned memory. The host fills in where the pictures are, launches it
with one call, and waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from engines.cuda.context import DeviceContext, open_device
from engines.cuda.preprocess import Preprocessor
from engines.cuda.ranges import INFER, PREPROCESS, SUPPRESS
from engines.cuda.suppress import Suppressor
from engines.errors import DeviceError, DeviceMemoryError
from engines.frames import DeviceFrame, Frame, Picture
from engines.graph.best_candidates import BOXES, CLASSES, SCORES
from engines.spec import ModelSpec
from engines.tensorrt import versions
from engines.tensorrt.cuda_graph import CudaGraph
from engines.tensorrt.failures import made, refused
from engines.tensorrt.lane import Records, padded
from engines.tensorrt.log import make_logger
from engines.tensorrt.plan import PlanRequest, Platform
from engines.tensorrt.staging import Staging, free_pinned

NUM_LANES = 2
BOX_COLUMNS = 4
VALUE_BYTES = 4
"""Of a float32 or an int32."""
NON_BLOCKING = 1
"""``CU_STREAM_NON_BLOCKING``: no batch waits for what others put on the default stream."""


def platform_of(device: int = 0) -> Platform:
    """TensorRT and the GPU of this process.

    Raises:
        DeviceError: if one of them is missing.
    """
    trt = import_tensorrt()
    context = open_device(device)
    return Platform(trt.__version__, context.name, context.arch)


def import_tensorrt() -> Any:
    """The module ``tensorrt``.

    Raises:
        DeviceError: if it is not there.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise DeviceError(f"TensorRT cannot be used ({error}): install sightline[gpu]") from error
    return tensorrt


class TensorRtRuntime:
    """See ``lane.Runtime``.

    Args:
        plan: The plan's bytes.
        spec: The model.
        request: What the plan was built for.
        num_lanes: Batches in flight.
        use_graphs: Launch CUDA graphs; False enqueues kernel by kernel, to measure against.
        device: Index of the GPU.

    Raises:
        ModelError: if TensorRT refuses the plan.
        DeviceError: if the GPU cannot be used, or is full.
    """

    def __init__(
        self,
        plan: memoryview | bytes,
        spec: ModelSpec,
        request: PlanRequest,
        *,
        num_lanes: int = NUM_LANES,
        use_graphs: bool = True,
        device: int = 0,
    ) -> None:
        trt = import_tensorrt()
        self._context = open_device(device)
        self._suppressor = Suppressor(
            request.max_candidates,
            confidence=spec.confidence,
            iou=spec.iou,
            max_detections=spec.max_detections,
            device=device,
        )
        self._logger = make_logger(trt)
        self.lanes: list[GpuLane] = []
        with self._context:
            self._runtime = made(trt.Runtime, self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise refused(request, self._logger)
        try:
            for _ in range(num_lanes):
                lane = GpuLane(self._context, self._engine, self._suppressor, spec, request)
                self.lanes.append(lane)
                lane.prepare(use_graphs=use_graphs)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See ``Runtime.close``."""
        if self._engine is None:
            return
        for lane in self.lanes:
            lane.close()
        self.lanes.clear()
        self._suppressor.close()
        with self._context:
            self._engine = self._runtime = None


class GpuLane:
    """See ``lane.Lane``; ``prepare`` takes all of its memory.

    Args:
        context: Of the GPU.
        engine: TensorRT's.
        suppressor: Shared by the lanes.
        spec: The model.
        request: What the plan was built for.
    """

    def __init__(
        self,
        context: DeviceContext,
        engine: Any,
        suppressor: Suppressor,
        spec: ModelSpec,
        request: PlanRequest,
    ) -> None:
        self._context = context
        self._engine = engine
        self._suppressor = suppressor
        self._request = request
        self._largest = request.batch_sizes[-1]
        self._buffers: list[Any] = []
        self._contexts: dict[int, Any] = {}
        self._graphs: dict[int, CudaGraph] = {}
        with context:
            self._stream = context.cuda.Stream(NON_BLOCKING)
            shape = (self._largest, *suppressor.record_shape)
            self._records: Records = context.cuda.pagelocked_empty(shape, np.float32)
        self._staging = Staging(context, self._stream)
        self._preprocessor = Preprocessor(
            spec.input, max_batch_size=self._largest, device=context.index
        )

    def prepare(self, *, use_graphs: bool) -> None:
        """Take the memory, run every batch size once, which loads its kernels, and capture it.

        Raises:
            DeviceError: if the GPU is full, or fails.
        """
        self._allocate()
        with self._context:
            grey = self._staging.upload([_grey_frame()])
            for profile, size in enumerate(self._request.batch_sizes):
                self._contexts[size] = self._execution_context(profile, size)
                self._preprocessor.describe(padded(grey, size))
                self._enqueue(size)
                self._stream.synchronize()
                if use_graphs:
                    self._graphs[size] = CudaGraph.capture(
                        self._stream.handle, partial(self._enqueue, size)
                    )

    def run(self, frames: Sequence[Frame | DeviceFrame], batch_size: int) -> Records:
        """See ``Lane.run``."""
        self.describe(frames, batch_size)
        with INFER:
            self.launch(batch_size)
            self.wait()
        return self._records[: len(frames)]

    @PREPROCESS
    def describe(self, frames: Sequence[Frame | DeviceFrame], batch_size: int) -> None:
        """Say where the pictures are; those of the host are copied."""
        on_device = self._staging.upload(frames)
        self._preprocessor.describe(padded(on_device, batch_size))

    def launch(self, batch_size: int) -> None:
        """Enqueue the batch that was described."""
        graph = self._graphs.get(batch_size)
        with self._context:
            if graph is None:
                self._enqueue(batch_size)
            else:
                graph.launch(self._stream.handle)

    def wait(self) -> None:
        """Until all that was enqueued is done; the thread sleeps meanwhile."""
        with self._context:
            self._stream.synchronize()

    def close(self) -> None:
        """Give back all memory, when what runs is done."""
        with self._context:
            self._stream.synchronize()
            for graph in self._graphs.values():
                graph.close()
            self._graphs.clear()
            self._contexts.clear()
            self._preprocessor.close()
            self._staging.close()
            for buffer in self._buffers:
                buffer.free()
            self._buffers.clear()
            free_pinned(self._records)
            del self._records, self._staging, self._stream

    def _allocate(self) -> None:
        """Device memory for the largest batch; the batch sizes use it in turn."""
        self._input_name, self._dtype = _input_of(self._engine)
        num_candidates = self._largest * self._request.max_candidates
        picture_bytes = int(np.prod(self._request.input_shape)) * np.dtype(self._dtype).itemsize
        self._activation_bytes = max(1, versions.activation_bytes(self._engine))
        self._activations = self._reserve(self._activation_bytes)
        self._images = self._reserve(self._largest * picture_bytes)
        self._outputs = {
            BOXES: self._reserve(num_candidates * BOX_COLUMNS * VALUE_BYTES),
            SCORES: self._reserve(num_candidates * VALUE_BYTES),
            CLASSES: self._reserve(num_candidates * VALUE_BYTES),
        }
        self._kept = self._reserve(self._records.nbytes)

    def _reserve(self, num_bytes: int) -> int:
        self._buffers.append(self._context.allocate(num_bytes))
        return int(self._buffers[-1])

    def _execution_context(self, profile: int, size: int) -> Any:
        context = versions.create_context(
            import_tensorrt(), self._engine, self._activations, self._activation_bytes
        )
        if context is None:
            free_bytes, total_bytes = self._context.cuda.mem_get_info()
            raise DeviceMemoryError(
                f"TensorRT has no room for batch size {size}, with {free_bytes} of {total_bytes} "
                f"bytes free on {self._context.name}: give the GPU fewer models or smaller batches"
            )
        context.set_optimization_profile_async(profile, self._stream.handle)
        self._stream.synchronize()
        context.set_input_shape(self._input_name, (size, *self._request.input_shape))
        context.set_tensor_address(self._input_name, self._images)
        for name, address in self._outputs.items():
            context.set_tensor_address(name, address)
        return context

    def _enqueue(self, size: int) -> None:
        """A batch, piece by piece; this is what a graph captures."""
        with PREPROCESS:
            self._preprocessor.launch(size, self._images, self._dtype, self._stream)
        if not self._contexts[size].execute_async_v3(self._stream.handle):
            raise DeviceError(f"TensorRT did not enqueue batch size {size}; its log says why")
        boxes, scores, classes = (self._outputs[name] for name in (BOXES, SCORES, CLASSES))
        with SUPPRESS:
            self._suppressor.enqueue(boxes, scores, classes, self._kept, size, self._stream)
        self._context.cuda.memcpy_dtoh_async(self._records[:size], self._kept, self._stream)


def _grey_frame() -> Frame:
    """A picture of 2 x 2 pixels to warm up with."""
    picture = Picture(2, 2)
    planes = tuple(np.full(shape, 128, np.uint8) for shape in picture.plane_shapes)
    return Frame(picture, planes, 2, 2)


def _input_of(engine: Any) -> tuple[str, Any]:
    """Name and NumPy type of the engine's one input."""
    trt = import_tensorrt()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    name = next(n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT)
    is_half = engine.get_tensor_dtype(name) == trt.DataType.HALF
    return name, np.float16 if is_half else np.float32
