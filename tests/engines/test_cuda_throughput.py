"""How fast a GPU copies, prepares and suppresses: printed (``pytest -s``), while results are held.

The results of each run are compared, so that a figure never belongs to wrong work.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from engines.cuda.pool import DevicePlane, DevicePool
from engines.cuda.preprocess import Preprocessor
from engines.cuda.suppress import Suppressor
from engines.families.suppression import Overlaps
from engines.frames import Chroma, Picture
from engines.spec import InputSpec
from tests.engines.cuda_backends import OnDevice, backend_of

pytestmark = pytest.mark.gpu
FULL_HD = Picture(1920, 1080, chroma=Chroma.INTERLEAVED)
PITCH = 2048
MAX_BATCH = 32
NUM_REPEATS = 50


@pytest.fixture
def gpu() -> OnDevice:
    backend = backend_of("gpu")
    assert isinstance(backend, OnDevice)
    return backend


def elapsed_us(gpu: OnDevice, stream: Any, work: Any) -> float:
    """Microseconds of one ``work()`` on the device, after a first one that is not counted."""
    begin, end = gpu.cuda.Event(), gpu.cuda.Event()
    work()
    begin.record(stream)
    for _ in range(NUM_REPEATS):
        work()
    end.record(stream)
    end.synchronize()
    return float(end.time_since(begin)) * 1000 / NUM_REPEATS


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("size", [416, 640])
def test_a_batch_is_prepared_the_same_at_every_size(
    gpu: OnDevice, size: int, dtype: type[np.floating[Any]]
) -> None:
    spec = InputSpec(width=size, height=size)
    pool = DevicePool.create(MAX_BATCH, FULL_HD.size_bytes)
    rng = np.random.default_rng(0)
    planes = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in FULL_HD.stored_shapes]
    for slot in range(MAX_BATCH):
        pool.write(slot, FULL_HD, planes)
    frames = [pool.read(slot, FULL_HD) for slot in range(MAX_BATCH)]
    out = np.empty((MAX_BATCH, 3, size, size), dtype)
    preprocessor = Preprocessor(spec)
    on_device = gpu.context.allocate(out.nbytes)
    with gpu.context:
        stream = gpu.cuda.Stream()
        for batch in (1, 2, 4, 8, 16, 32):
            preprocessor.describe(frames[:batch])
            taken_us = elapsed_us(
                gpu, stream, lambda b=batch: preprocessor.launch(b, int(on_device), dtype, stream)
            )
            print(f"prepare {size} {dtype.__name__} batch {batch}: {taken_us:.0f} us")
        gpu.cuda.memcpy_dtoh(out, on_device)
        on_device.free()
        preprocessor.close()
    pool.close()
    assert (out == out[:1]).all()


def copied(gpu: OnDevice, num_threads: int, *, is_waited_for: bool) -> str:
    """Copy a surface into a slot a thread, over and over; gives the figures in words."""
    pool = DevicePool.create(num_threads, FULL_HD.size_bytes)
    rng = np.random.default_rng(num_threads)
    surface = rng.integers(0, 256, (FULL_HD.height * 3 // 2, PITCH), dtype=np.uint8)
    address, allocation = gpu.upload(surface)
    planes = [DevicePlane(address, PITCH), DevicePlane(address + FULL_HD.height * PITCH, PITCH)]
    write = pool.write if is_waited_for else pool.begin_write

    def copy(slot: int) -> None:
        for _ in range(NUM_REPEATS):
            write(slot, FULL_HD, planes)

    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(num_threads) as threads:
        copying = [threads.submit(copy, slot) for slot in range(num_threads)]
        while not is_waited_for and not all(each.done() for each in copying):
            time.sleep(0.008)
            pool.finish_writes()
    pool.finish_writes()
    for each in copying:
        each.result()
    num_copies = num_threads * NUM_REPEATS
    rate = num_copies / (time.perf_counter() - begin_s)
    cpu_us = (time.process_time() - begin_cpu_s) / num_copies * 1e6
    wanted = np.ascontiguousarray(surface[:, :1920]).tobytes()
    for slot in range(num_threads):
        given = gpu.download(pool.read(slot, FULL_HD).address, FULL_HD.size_bytes)
        assert given == wanted
    pool.close()
    del allocation
    return f"1080p NV12, {num_threads} threads: {rate:.0f} a second, {cpu_us:.0f} us of CPU"


@pytest.mark.parametrize("num_threads", [1, 4, 16, 64])
def test_surfaces_that_many_threads_copy_all_arrive(gpu: OnDevice, num_threads: int) -> None:
    print("copy", copied(gpu, num_threads, is_waited_for=True))


@pytest.mark.parametrize("num_threads", [1, 4, 16, 64])
def test_surfaces_for_which_one_thread_waits_all_arrive(gpu: OnDevice, num_threads: int) -> None:
    print("begin to copy", copied(gpu, num_threads, is_waited_for=False))


@pytest.mark.parametrize("crowd", [100, 10_000])
def test_images_that_are_alike_keep_alike(gpu: OnDevice, crowd: int) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, crowd, (512, 2))
    box = np.concatenate((corner, corner + 30), 1).astype(np.float32)
    boxes = np.repeat(box[None], MAX_BATCH, 0)
    scores = np.repeat(np.linspace(1, 0.5, 512, dtype=np.float32)[None], MAX_BATCH, 0)
    classes = np.zeros((MAX_BATCH, 512), np.int32)
    suppressor = Suppressor(512, confidence=0.1, overlaps=Overlaps(0.45, 1.0), max_detections=300)
    out = np.zeros((MAX_BATCH, *suppressor.record_shape), np.float32)
    with gpu.context:
        stream = gpu.cuda.Stream()
        buffers = [gpu.cuda.to_device(a) for a in (boxes, scores, classes, out)]
        for batch in (1, 32):
            taken_us = elapsed_us(
                gpu,
                stream,
                lambda b=batch: suppressor.enqueue(*map(int, buffers), b, stream),
            )
            print(f"suppress 512 candidates, batch {batch}: {taken_us:.0f} us")
        gpu.cuda.memcpy_dtoh(out, buffers[-1])
        for buffer in buffers:
            buffer.free()
        suppressor.close()
    assert out[0, 0, 0] > 0
    assert (out == out[:1]).all()
