"""How fast a plan is: milliseconds a batch, frames a second, and what enqueueing costs the host.

Pictures lie in device memory from the start, so that nothing but the engine is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import median

import numpy as np

from engines.cuda.context import open_device
from engines.cuda.pool import DevicePool
from engines.frames import Chroma, DeviceFrame, Picture
from engines.spec import ModelSpec, Precision
from engines.tensorrt.builder import DEFAULT_BATCH_SIZES, build_plan, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.runtime import GpuLane, TensorRtRuntime, platform_of
from engines.tensorrt.versions import Report

PICTURE = Picture(1920, 1080, chroma=Chroma.INTERLEAVED)
"""What NVDEC gives of a 1080p camera."""
NUM_WARM_UP = 10
US_PER_S, MS_PER_S = 1e6, 1e3


@dataclass(frozen=True, slots=True)
class Measurement:
    """One batch size of one plan.

    Attributes:
        precision: Of the plan.
        batch_size: Frames of a batch.
        use_graphs: Whether batches were launched as CUDA graphs.
        describe_us: Host time to say where the pictures of a batch are, median.
        enqueue_us: Host time to enqueue a described batch, median.
        batch_ms: From the description to the detections, one batch at a time, median.
        single_fps: Frames a second with one lane, one batch after the other.
        double_fps: With two lanes, each in a thread.
    """

    precision: Precision
    batch_size: int
    use_graphs: bool
    describe_us: float
    enqueue_us: float
    batch_ms: float
    single_fps: float
    double_fps: float


def measure(
    models: Sequence[tuple[ModelSpec, Precision]],
    *,
    batch_sizes: Sequence[int] = DEFAULT_BATCH_SIZES,
    duration_s: float = 1.0,
    picture: Picture = PICTURE,
    options: BuildOptions | None = None,
    cache: PlanCache | None = None,
    device: int = 0,
    report: Report | None = None,
) -> Iterator[Measurement]:
    """Measure models, without graphs and with them, at each batch size.

    Plans that the cache does not have are built first.

    Args:
        models: Each with the precision of its plan; INT8 asks for a file with Q/DQ nodes.
        batch_sizes: Ascending.
        duration_s: For each figure.
        picture: What the cameras give.
        options: How to build; as the environment says if None.
        cache: Where plans are kept; the user's if None.
        device: Index of the GPU.
        report: Told how far a build is.
    """
    cache = cache or PlanCache()
    sizes = tuple(batch_sizes)
    with _pictures(picture, 2 * max(sizes), device) as frames:
        for spec, precision in models:
            request = request_for(
                spec,
                platform_of(device),
                precision=precision,
                batch_sizes=sizes,
                options=options or BuildOptions().overridden(),
            )
            with open_device(device):
                build_plan(spec, request, cache, report=report)
            plan = cache.read(request) or b""
            for use_graphs in (False, True):
                runtime = TensorRtRuntime(plan, spec, request, use_graphs=use_graphs, device=device)
                with closing(runtime):
                    for size in sizes:
                        figures = _figures(runtime, frames, size, duration_s)
                        yield Measurement(precision, size, use_graphs, *figures)


def _figures(
    runtime: TensorRtRuntime, frames: Sequence[DeviceFrame], size: int, duration_s: float
) -> tuple[float, float, float, float, float]:
    first, second = runtime.lanes
    batches = frames[:size], frames[size : 2 * size]
    for lane, batch in zip((first, second), batches, strict=True):
        for _ in range(NUM_WARM_UP):
            lane.run(batch, size)
    describe_us, enqueue_us, batch_ms = _single_batches(first, batches[0], size, duration_s)
    single = _rate(first, batches[0], size, duration_s)
    with ThreadPoolExecutor(2) as threads:
        both = threads.map(_rate, (first, second), batches, (size, size), (duration_s, duration_s))
        return describe_us, enqueue_us, batch_ms, single, sum(both)


def _single_batches(
    lane: GpuLane, batch: Sequence[DeviceFrame], size: int, duration_s: float
) -> tuple[float, float, float]:
    """Medians of describing (us), enqueueing (us) and of the whole batch (ms)."""
    times: list[tuple[float, float, float]] = []
    end = time.perf_counter() + duration_s
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        lane.describe(batch, size)
        described = time.perf_counter()
        lane.launch(size)
        enqueued = time.perf_counter()
        lane.wait()
        done = time.perf_counter()
        times.append((described - start, enqueued - described, done - start))
    describe_s, enqueue_s, batch_s = map(median, zip(*times, strict=True))
    return describe_s * US_PER_S, enqueue_s * US_PER_S, batch_s * MS_PER_S


def _rate(lane: GpuLane, batch: Sequence[DeviceFrame], size: int, duration_s: float) -> float:
    """Frames a second, batch after batch."""
    start, num_batches = time.perf_counter(), 0
    while time.perf_counter() < start + duration_s:
        lane.run(batch, size)
        num_batches += 1
    return num_batches * size / (time.perf_counter() - start)


@contextmanager
def _pictures(picture: Picture, num: int, device: int) -> Iterator[list[DeviceFrame]]:
    """Noise in a pool of its own."""
    rng = np.random.default_rng(0)
    planes = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in picture.stored_shapes]
    pool = DevicePool.create(num, picture.size_bytes, device=device)
    try:
        for slot in range(num):
            pool.write(slot, picture, planes)
        yield [pool.read(slot, picture) for slot in range(num)]
    finally:
        pool.unlink()
