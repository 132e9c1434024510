"""(a) NVDEC alone: pictures a second of threads that decode one film from memory."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import cycle, product
from pathlib import Path
from typing import Any

from actors.ingest.nvdec import NvdecDecoder, nvdec_fault
from actors.ingest.picture import PictureLayout
from cluster.bench.gpu.films import FPS, packets_of
from cluster.errors import UnavailableError
from engines.cuda.context import open_device
from engines.cuda.pool import DevicePool
from engines.frames import Picture

_START_TIMEOUT_S = 120.0
_SLOT = Picture(1920, 1080).size_bytes
US_PER_S = 1e6

_ready: Any = None


def measure_decode(
    film: Path,
    *,
    num_processes: Sequence[int],
    num_threads: int,
    seconds: float,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Decode in so many processes, without and with the copy into a slot of a device pool.

    Args:
        film: What every thread decodes over and over.
        num_processes: Each of these numbers is measured.
        num_threads: Decoders, shared out among the processes.
        seconds: Length of each measurement.
        report: Told each figure.

    Returns:
        For each: ``fps``, ``cpu_us`` a picture of all threads, ``mb_a_stream`` of GPU memory.
    """
    rows = []
    for processes, copies in product(num_processes, (False, True)):
        threads = max(1, num_threads // processes)
        row = _measure(film, processes, threads, seconds, copies)
        report(f"{processes} x {threads} decoders: {row['fps']} frames/s")
        rows.append(row)
    return rows


def _measure(
    film: Path, num_processes: int, num_threads: int, seconds: float, copies: bool
) -> dict[str, Any]:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(num_processes)
    with ProcessPoolExecutor(num_processes, spawn, _keep, (ready,)) as pool:
        jobs = [
            pool.submit(_decode_in_threads, film, num_threads, seconds, copies)
            for _ in range(num_processes)
        ]
        found = [job.result() for job in jobs]
    num_frames = sum(each["frames"] for each in found)
    return {
        "processes": num_processes,
        "threads": num_processes * num_threads,
        "copies": copies,
        "fps": round(sum(each["fps"] for each in found), 1),
        "cpu_us": round(US_PER_S * sum(each["cpu_s"] for each in found) / num_frames, 1),
        "mb_a_stream": round(sum(each["mb_a_stream"] for each in found) / num_processes, 1),
    }


def _keep(ready: Any) -> None:
    global _ready
    _ready = ready


def _decode_in_threads(
    film: Path, num_threads: int, seconds: float, copies: bool
) -> dict[str, float]:
    """One process of the measurement; starts its clock together with the others."""
    if fault := nvdec_fault():
        raise UnavailableError(f"NVDEC cannot be measured: {fault}")
    pool = DevicePool.create(num_threads, _SLOT) if copies else None
    before = _free_bytes()
    running = threading.Barrier(num_threads + 1)
    stop = threading.Event()
    with ThreadPoolExecutor(num_threads) as threads:
        jobs = [
            threads.submit(_decode_on_and_on, film, pool, slot, running, stop)
            for slot in range(num_threads)
        ]
        _await_all(running, num_threads)
        num_bytes = before - _free_bytes()
        _ready.wait(_START_TIMEOUT_S)
        running.wait()
        began, cpu_s = time.monotonic(), time.process_time()
        time.sleep(seconds)
        stop.set()
        num_frames = sum(job.result() for job in jobs)
        elapsed_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
    if pool is not None:
        pool.unlink()
    return {
        "frames": num_frames,
        "fps": num_frames / elapsed_s,
        "cpu_s": cpu_s,
        "mb_a_stream": num_bytes / num_threads / 1e6,
    }


def _await_all(running: threading.Barrier, num_threads: int) -> None:
    try:
        running.wait(_START_TIMEOUT_S)
    except threading.BrokenBarrierError:
        raise UnavailableError(
            f"NVDEC took fewer than {num_threads} streams of a process at once: try fewer threads"
        ) from None


def _decode_on_and_on(
    film: Path,
    pool: DevicePool | None,
    slot: int,
    running: threading.Barrier,
    stop: threading.Event,
) -> int:
    stream, packets = packets_of(film)
    decoder, layout = NvdecDecoder(stream.codec_context, 1 / FPS), PictureLayout()
    for packet in packets[:FPS]:
        decoder.decode(packet)
    if decoder.name != "nvdec":
        running.abort()
        raise UnavailableError(f"NVDEC cannot be measured: {decoder.fallback}")
    running.wait(_START_TIMEOUT_S)
    running.wait(_START_TIMEOUT_S)
    num_frames = 0
    for packet in cycle(packets):
        if stop.is_set():
            break
        for decoded in decoder.decode(packet):
            num_frames += 1
            if pool is not None:
                picture = layout.picture(decoded.frame, _SLOT, is_device_slot=True)
                pool.write(slot, picture, layout.planes(decoded.frame, picture))
    return num_frames


def _free_bytes() -> int:
    with open_device() as context:
        return int(context.cuda.mem_get_info()[0])
