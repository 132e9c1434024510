"""A plan on a GPU: two lanes, each with a stream, its buffers and a CUDA graph a batch size.

A batch is one CUDA graph: descriptors to the device, preprocessing, the network, and its tail,
which brings the few detections, or whatever the network gives, into pinned memory. The host fills
in where the pictures are, launches it with one call, and waits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from engines.crops import View
from engines.cuda.buffers import Buffers
from engines.cuda.context import DeviceContext, open_device
from engines.cuda.preprocess import Preprocessor
from engines.cuda.ranges import INFER, PREPROCESS
from engines.cuda.suppress import Suppressor
from engines.errors import DeviceError, DeviceMemoryError
from engines.families.suppression import Overlaps
from engines.signature import Signature
from engines.spec import ModelSpec
from engines.tensorrt import versions
from engines.tensorrt.bindings import check_rows, signature_of
from engines.tensorrt.cuda_graph import CudaGraph
from engines.tensorrt.failures import made, refused
from engines.tensorrt.lane import Outputs, grey_frame, padded
from engines.tensorrt.log import make_logger
from engines.tensorrt.plan import PlanRequest, Platform
from engines.tensorrt.staging import Staging
from engines.tensorrt.tail import CopyingTail, SuppressedTail, Tail

NUM_LANES = 2
MIB = 2**20
NON_BLOCKING = 1
"""``CU_STREAM_NON_BLOCKING``: no batch waits for what others put on the default stream."""

_log = logging.getLogger(__name__)


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
        self._suppressor = _suppressor(spec, request, device)
        self._logger = make_logger(trt)
        self.lanes: list[GpuLane] = []
        with self._context:
            self._runtime = made(trt.Runtime, self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise refused(request, self._logger)
        try:
            self.signature = signature_of(trt, self._engine)
            for _ in range(num_lanes):
                lane = GpuLane(self._context, self._engine, self.signature, spec, request)
                self.lanes.append(lane)
                lane.prepare(self._tail(lane, request), use_graphs=use_graphs)
        except BaseException:
            self.close()
            raise
        _log.info(
            "%s takes %.0f MiB of GPU memory beside its weights (a plan of %.0f MiB)",
            request.model,
            self.num_bytes / MIB,
            len(plan) / MIB,
        )

    @property
    def num_bytes(self) -> int:
        """Memory of the GPU that the lanes have taken."""
        return sum(lane.buffers.num_bytes for lane in self.lanes)

    def close(self) -> None:
        """See ``Runtime.close``."""
        if self._engine is None:
            return
        for lane in self.lanes:
            lane.close()
        self.lanes.clear()
        if self._suppressor is not None:
            self._suppressor.close()
        with self._context:
            self._engine = self._runtime = None

    def _tail(self, lane: GpuLane, request: PlanRequest) -> Tail:
        largest = request.batch_sizes[-1]
        if self._suppressor is None:
            return CopyingTail(self._context, lane.buffers, self.signature, largest)
        return SuppressedTail(
            self._context, lane.buffers, self._suppressor, request.max_candidates, largest
        )


class GpuLane:
    """See ``lane.Lane``; ``prepare`` takes all of its memory.

    Args:
        context: Of the GPU.
        engine: TensorRT's.
        signature: The engine's.
        spec: The model.
        request: What the plan was built for.

    Attributes:
        buffers: All memory of the GPU that it takes, but for descriptors and frames of the host.
    """

    def __init__(
        self,
        context: DeviceContext,
        engine: Any,
        signature: Signature,
        spec: ModelSpec,
        request: PlanRequest,
    ) -> None:
        self._context = context
        self._engine = engine
        self._input = signature.inputs[0]
        self._request = request
        self._largest = request.batch_sizes[-1]
        self.buffers = Buffers(context)
        self._contexts: dict[int, Any] = {}
        self._graphs: dict[int, CudaGraph] = {}
        with context:
            self._stream = context.cuda.Stream(NON_BLOCKING)
        self._staging = Staging(context, self._stream)
        self._preprocessor = Preprocessor(
            spec.input, max_batch_size=self._largest, device=context.index
        )

    def prepare(self, tail: Tail, *, use_graphs: bool) -> None:
        """Take the memory, run every batch size once, which loads its kernels, and capture it.

        Args:
            tail: What follows the network; in buffers of this lane.
            use_graphs: See ``TensorRtRuntime``.

        Raises:
            DeviceError: if the GPU is full, or fails.
            ModelError: if an output's size does not follow the batch's.
        """
        self._tail = tail
        self._allocate()
        with self._context:
            grey = self._staging.upload([grey_frame()])
            for profile, size in enumerate(self._request.batch_sizes):
                self._contexts[size] = self._execution_context(profile, size)
                self._preprocessor.describe(padded(grey, size))
                self._enqueue(size)
                self._stream.synchronize()
                if use_graphs:
                    self._graphs[size] = CudaGraph.capture(
                        self._stream.handle, partial(self._enqueue, size)
                    )

    def run(self, views: Sequence[View], batch_size: int) -> Outputs:
        """See ``Lane.run``."""
        self.describe(views, batch_size)
        with INFER:
            self.launch(batch_size)
            self.wait()
        return self._tail.outputs(len(views))

    @PREPROCESS
    def describe(self, views: Sequence[View], batch_size: int) -> None:
        """Say where the pictures are; those of the host are copied."""
        on_device = self._staging.upload(views)
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
            self.buffers.close()
            del self._staging, self._stream

    def _allocate(self) -> None:
        """Device memory for the largest batch; the batch sizes use it in turn."""
        itemsize = np.dtype(self._input.dtype).itemsize
        picture_bytes = int(np.prod(self._request.input_shape)) * itemsize
        self._activation_bytes = max(1, versions.activation_bytes(self._engine))
        self._activations = self.buffers.reserve(self._activation_bytes)
        self._images = self.buffers.reserve(self._largest * picture_bytes)

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
        context.set_input_shape(self._input.name, (size, *self._request.input_shape))
        context.set_tensor_address(self._input.name, self._images)
        for name, address in self._tail.addresses.items():
            check_rows(name, tuple(context.get_tensor_shape(name)), size)
            context.set_tensor_address(name, address)
        return context

    def _enqueue(self, size: int) -> None:
        """A batch, piece by piece; this is what a graph captures."""
        with PREPROCESS:
            self._preprocessor.launch(size, self._images, self._input.dtype, self._stream)
        if not self._contexts[size].execute_async_v3(self._stream.handle):
            raise DeviceError(f"TensorRT did not enqueue batch size {size}; its log says why")
        self._tail.enqueue(size, self._stream)


def _suppressor(spec: ModelSpec, request: PlanRequest, device: int) -> Suppressor | None:
    """None where the CPU reads the outputs of the network."""
    if not request.max_candidates:
        return None
    return Suppressor(
        request.max_candidates,
        confidence=spec.confidence,
        overlaps=Overlaps.of(spec),
        max_detections=spec.max_detections,
        device=device,
    )
