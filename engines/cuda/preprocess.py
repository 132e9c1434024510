"""From pictures in device memory, or crops of them, to a model's input: one launch a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.cuda.context import open_device
from engines.cuda.descriptors import MODEL, PICTURE, DeviceView, PictureRecords, model_record
from engines.cuda.nvrtc import cubin
from engines.spec import InputSpec

BLOCK = (32, 8, 1)
"""Threads of a block: output pixels, a warp a row."""


class Preprocessor:
    """Letterboxes batches into a model's input on one stream at a time; for one thread.

    A batch is two operations on the stream: its descriptors go from a pinned buffer to the device,
    then one kernel reads the slots. Both stay the same from batch to batch of a size, so a CUDA
    graph may hold what ``launch`` enqueues: fill the buffer with ``describe``, then launch the
    graph. The buffer must not be filled again before the stream has passed the copy: an engine with
    two batches in flight has two preprocessors.

    Args:
        input_spec: The model's input.
        max_batch_size: Most views of a batch.
        device: Index of the GPU.

    Raises:
        DeviceError: if the device or the compiler cannot be used.
    """

    def __init__(self, input_spec: InputSpec, *, max_batch_size: int = 32, device: int = 0) -> None:
        self._records = PictureRecords(input_spec)
        self._grid = tuple(
            -(-size // threads)
            for size, threads in zip((input_spec.width, input_spec.height), BLOCK, strict=False)
        )
        self._model = model_record(input_spec).tobytes()
        self._context = open_device(device)
        cuda = self._context.cuda
        size_bytes = max_batch_size * PICTURE.itemsize
        with self._context:
            self._module = cuda.module_from_buffer(cubin("preprocess.cu", self._context.arch))
            self._kernels = {dtype: self._kernel(dtype) for dtype in (np.float32, np.float16)}
            self._pinned = cuda.pagelocked_empty(size_bytes, np.uint8)
        self._pictures = self._pinned.view(PICTURE)
        self._on_device = self._context.allocate(size_bytes)

    def enqueue(
        self, views: Sequence[DeviceView], out_address: int, dtype: Any, stream: Any
    ) -> None:
        """Write a batch to ``out_address``, [len(views), 3, height, width], on a stream.

        Args:
            views: At most ``max_batch_size``, of any sizes; their pictures must last until the
                stream is through.
            out_address: Device memory.
            dtype: float32 or float16, what the model takes.
            stream: A ``pycuda.driver.Stream``.
        """
        self.describe(views)
        self.launch(len(views), out_address, dtype, stream)

    def describe(self, views: Sequence[DeviceView]) -> None:
        """Fill the pinned buffer, the part of ``enqueue`` that is done by the host."""
        self._records.fill(views, self._pictures)

    def launch(self, num_views: int, out_address: int, dtype: Any, stream: Any) -> None:
        """Enqueue the copy of the descriptors and the kernel, the part that a graph captures."""
        kernel = self._kernels[np.dtype(dtype).type]
        used = self._pinned[: num_views * PICTURE.itemsize]
        with self._context:
            self._context.cuda.memcpy_htod_async(self._on_device, used, stream)
            kernel.prepared_async_call(
                (*self._grid, num_views),
                BLOCK,
                stream,
                int(self._on_device),
                out_address,
                self._model,
            )

    def close(self) -> None:
        """Give the memory back; the stream must be through."""
        with self._context:
            self._on_device.free()
            self._pinned.base.free()
            self._kernels.clear()
            self._module = None

    def _kernel(self, dtype: type) -> Any:
        kernel = self._module.get_function(f"letterbox_{dtype.__name__}")
        return kernel.prepare(["P", "P", MODEL])
