"""Suppression on the device: from the best candidates of a batch to few, fixed-size records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.cuda.context import open_device
from engines.cuda.nvrtc import cubin
from engines.families.detector import MAX_CANDIDATES
from engines.families.suppression import Overlaps

NUM_COLUMNS = 6
"""left, top, right, bottom, score, class."""
NUM_THREADS = 256


class Suppressor:
    """Class-aware greedy suppression, a block of threads an image.

    It keeps no state between batches, so any number of streams may share it, and a CUDA graph may
    hold what ``enqueue`` enqueues.

    Args:
        num_candidates: Of each image, at most 512.
        confidence: Candidates below are dropped.
        overlaps: See ``families.suppression``; parts are of the first 64 classes.
        max_detections: Of each image.
        device: Index of the GPU.

    Raises:
        DeviceError: if the device or the compiler cannot be used.
    """

    def __init__(
        self,
        num_candidates: int,
        *,
        confidence: float,
        overlaps: Overlaps,
        max_detections: int,
        device: int = 0,
    ) -> None:
        if num_candidates > MAX_CANDIDATES:
            raise ValueError(f"{num_candidates} candidates, at most {MAX_CANDIDATES}")
        self.record_shape = (1 + max_detections, NUM_COLUMNS)
        self._settings = (num_candidates, max_detections, confidence, *limits_of(overlaps))
        self._context = open_device(device)
        with self._context:
            # What is compared with the threshold must be rounded as NumPy rounds it.
            options = ("--fmad=false", f"-DMAX_CANDIDATES={MAX_CANDIDATES}")
            code = cubin("suppress.cu", self._context.arch, options)
            self._module = self._context.cuda.module_from_buffer(code)
            self._kernel = self._module.get_function("suppress")
            self._kernel.prepare("PPPPiifffffQ")

    def enqueue(
        self, boxes: int, scores: int, classes: int, out: int, num_images: int, stream: Any
    ) -> None:
        """Suppress a batch on a stream; all arguments but the last two are device addresses.

        Args:
            boxes: float32 [num_images, num_candidates, 4], left, top, right, bottom; best first.
            scores: float32 [num_images, num_candidates], descending.
            classes: int32 [num_images, num_candidates].
            out: float32 [num_images, *record_shape]; see ``read_records``.
            num_images: Batch size.
            stream: A ``pycuda.driver.Stream``.
        """
        with self._context:
            self._kernel.prepared_async_call(
                (num_images, 1),
                (NUM_THREADS, 1, 1),
                stream,
                boxes,
                scores,
                classes,
                out,
                *self._settings,
            )

    def close(self) -> None:
        """Unload the kernel."""
        with self._context:
            self._kernel = self._module = None


def limits_of(overlaps: Overlaps) -> tuple[float, float, float, float, int]:
    """The kernel's last arguments: each limit, one more than it, and a bit for each class."""
    iou, across, parts = overlaps
    return iou, 1 + iou, across, 1 + across, sum(1 << part for part in parts)


def read_records(
    records: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """What was kept of a batch: float32 [n, 6] (box, score, class) and how many of each image.

    Those of an image are together, best first, images in their order.

    Args:
        records: The output, float32 [num_images, *record_shape]; the first row of an image begins
            with its number.
    """
    nums = records[:, 0, 0].astype(np.intp)
    most = nums.max(initial=0)
    return records[:, 1 : 1 + most][np.arange(most) < nums[:, None]], nums
