"""(a) NVDEC alone: pictures a second of decoders that play one film from memory."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import islice, product
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
    num_decoders: int,
    seconds: float,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Decode in so many processes, without and with the copy into a slot of a device pool.

    Args:
        film: What every decoder plays over and over.
        num_processes: Each of these numbers is measured.
        num_decoders: Of all processes, which share them out.
        seconds: Length of each measurement.
        report: Told each figure.

    Returns:
        For each: ``fps``, ``cpu_us`` a picture of all processes, ``mb_a_stream`` of GPU memory.
    """
    rows = []
    for processes, copies in product(num_processes, (False, True)):
        each = max(1, num_decoders // processes)
        row = _measure(film, processes, each, seconds, copies)
        report(f"{processes} x {each} decoders: {row['fps']} frames/s")
        rows.append(row)
    return rows


def _measure(
    film: Path, num_processes: int, num_decoders: int, seconds: float, copies: bool
) -> dict[str, Any]:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(num_processes)
    with ProcessPoolExecutor(num_processes, spawn, _keep, (ready,)) as pool:
        jobs = [
            pool.submit(_decode_in_rounds, film, num_decoders, seconds, copies)
            for _ in range(num_processes)
        ]
        found = [job.result() for job in jobs]
    num_frames = sum(each["frames"] for each in found)
    return {
        "processes": num_processes,
        "decoders": num_processes * num_decoders,
        "copies": copies,
        "fps": round(sum(each["fps"] for each in found), 1),
        "cpu_us": round(US_PER_S * sum(each["cpu_s"] for each in found) / num_frames, 1),
        "mb_a_stream": round(sum(each["mb_a_stream"] for each in found) / num_processes, 1),
    }


def _keep(ready: Any) -> None:
    global _ready
    _ready = ready


def _decode_in_rounds(
    film: Path, num_decoders: int, seconds: float, copies: bool
) -> dict[str, float]:
    """One process of the measurement; starts its clock together with the others.

    As in ingest, one thread has all decoders: nobody waits while another has work for NVDEC.
    """
    if fault := nvdec_fault():
        raise UnavailableError(f"NVDEC cannot be measured: {fault}")
    pool = DevicePool.create(num_decoders, _SLOT) if copies else None
    before = _free_bytes()
    players = _opened(film, num_decoders)
    num_bytes = before - _free_bytes()
    _ready.wait(_START_TIMEOUT_S)
    began, cpu_s, num_frames, elapsed_s = time.monotonic(), time.process_time(), 0, 0.0
    while elapsed_s < seconds:
        num_frames += sum(player.turn(pool) for player in players)
        if pool is not None:
            pool.finish_writes()
        elapsed_s = time.monotonic() - began
    cpu_s = time.process_time() - cpu_s
    if pool is not None:
        pool.unlink()
    return {
        "frames": num_frames,
        "fps": num_frames / elapsed_s,
        "cpu_s": cpu_s,
        "mb_a_stream": num_bytes / num_decoders / 1e6,
    }


def _opened(film: Path, num_decoders: int) -> list[_Player]:
    with ThreadPoolExecutor(num_decoders) as threads:
        return list(threads.map(partial(_Player, film), range(num_decoders)))


class _Player:
    """A decoder that plays a film over and over.

    Args:
        film: What it plays.
        slot: Of the pool, for its pictures.

    Raises:
        UnavailableError: if it is not NVDEC that decodes.
    """

    def __init__(self, film: Path, slot: int) -> None:
        context, self._film = packets_of(film)
        self._decoder = NvdecDecoder(context, 1 / FPS)
        self._layout, self._slot = PictureLayout(), slot
        self._packets = iter(self._film)
        for packet in islice(self._packets, FPS):
            self._decoder.decode(packet)
        if self._decoder.name != "nvdec":
            raise UnavailableError(
                f"NVDEC cannot be measured: {self._decoder.fallback or 'the CPU decodes'}; where "
                "the GPU is full, try fewer decoders"
            )

    def turn(self, pool: DevicePool | None) -> int:
        """Begin a picture, which gives out the one before; how many have come."""
        pictures = []
        packet = next(self._packets, None)
        if packet is None:
            pictures += self._decoder.collect()
            self._decoder.restart()
            self._packets = iter(self._film)
            packet = next(self._packets)
        pictures += self._decoder.begin(packet)
        for decoded in pictures:
            if pool is not None:
                picture = self._layout.picture(decoded.frame, _SLOT, is_device_slot=True)
                pool.begin_write(self._slot, picture, self._layout.planes(decoded.frame, picture))
        return len(pictures)


def _free_bytes() -> int:
    with open_device() as context:
        return int(context.cuda.mem_get_info()[0])
