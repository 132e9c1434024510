"""One process of the comparison of decoders: its threads decode, window after window."""

from __future__ import annotations

import faulthandler
import resource
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from av.packet import Packet
from av.video.stream import VideoStream

from actors.ingest.decoder import CpuDecoder
from actors.ingest.nvcuvid.decoder import WAITING, NvcuvidDecoder
from actors.ingest.nvcuvid.library import SHORT, load_library
from actors.ingest.nvdec import NvdecDecoder, nvdec_fault
from actors.ingest.picture import PictureLayout
from cluster.bench.gpu.call_times import CallTimes
from cluster.bench.gpu.films import FPS, packets_of
from cluster.errors import UnavailableError
from engines.cuda.pool import DevicePool
from engines.frames import Picture

_SLOT_BYTES = Picture(1920, 1080).size_bytes
_START_TIMEOUT_S = 60.0
_KINDS: dict[str, type[CpuDecoder]] = {"ffmpeg": NvdecDecoder, "nvcuvid": NvcuvidDecoder}

_ready: Any = None


@dataclass(frozen=True, slots=True)
class Window:
    """A measurement.

    Attributes:
        name: For the table.
        decoder: ``ffmpeg``, ``nvcuvid`` or ``none``, which only keeps time.
        fps: Pictures a second of each stream; None for as many as come.
        seconds: Its length.
        waiting: Fields of ``Waiting``.
        holds_gil: Whether short calls keep the interpreter's lock.
        is_timed: Whether each call is timed, which costs something.
    """

    name: str
    decoder: str
    fps: float | None
    seconds: float
    waiting: dict[str, Any] | None = None
    holds_gil: bool = False
    is_timed: bool = False

    def holding(self) -> Window:
        """The same with short calls that keep the interpreter's lock."""
        return replace(self, holds_gil=True)

    def timed(self) -> Window:
        """The same with calls timed."""
        return replace(self, is_timed=True)


def keep(ready: Any) -> None:
    """Begin a process; the barrier is for all of them."""
    global _ready
    _ready = ready
    faulthandler.enable()


def run_windows(
    film: Path, num_threads: int, share: tuple[int, int], windows: Sequence[Window]
) -> list[dict[str, Any]]:
    """What this process has found in each window; where it fails, the others stop too.

    Args:
        film: What every thread decodes over and over.
        num_threads: Streams of this process.
        share: Its number, and how many processes there are.
        windows: One after the other, in step with the other processes.

    Raises:
        UnavailableError: if NVDEC does not work here.
    """
    try:
        return _run(film, num_threads, share, windows)
    except BaseException:
        _ready.abort()
        raise


def _run(
    film: Path, num_threads: int, share: tuple[int, int], windows: Sequence[Window]
) -> list[dict[str, Any]]:
    if fault := nvdec_fault():
        raise UnavailableError(f"NVDEC cannot be measured: {fault}")
    pool = DevicePool.create(num_threads, _SLOT_BYTES)
    threads = [
        Stream(film, pool, index, (index * share[1] + share[0]) / (num_threads * share[1]))
        for index in range(num_threads)
    ]
    with ThreadPoolExecutor(num_threads) as workers:
        kinds = sorted({each.decoder for each in windows} - {"none"})
        for _ in workers.map(lambda each: each.open(kinds), threads):
            pass
        found = [_window(each, threads, workers) for each in windows]
        for _ in workers.map(Stream.close, threads):
            pass
    pool.unlink()
    return found


def _window(
    window: Window, threads: Sequence[Stream], workers: ThreadPoolExecutor
) -> dict[str, Any]:
    library, times = load_library(), CallTimes()
    for name, value in (window.waiting or {}).items():
        setattr(WAITING, name, value)
    if window.holds_gil:
        library.hold(SHORT)
    if window.is_timed:
        times.install(library)
    _ready.wait(_START_TIMEOUT_S)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    shares = list(workers.map(lambda each: each.play(window, began, times), threads))
    after, elapsed_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    times.remove(library)
    library.hold(())
    return {
        "frames": sum(num for num, _ in shares),
        "elapsed_s": elapsed_s,
        "user_s": after.ru_utime - before.ru_utime,
        "system_s": after.ru_stime - before.ru_stime,
        "took_ms": [round(each, 3) for _, took in shares for each in took],
        "errors": sum(each.num_errors() for each in threads),
        "calls": times.totals(),
    }


class Stream:
    """One camera's thread.

    Args:
        film: What it decodes.
        pool: Where its pictures go.
        slot: The one that it fills.
        phase: When its pictures are due, in parts of their interval.
    """

    def __init__(self, film: Path, pool: DevicePool, slot: int, phase: float) -> None:
        self._film, self._pool, self._slot, self._phase = film, pool, slot, phase
        self._layout = PictureLayout()
        self._decoders: dict[str, CpuDecoder] = {}
        self._packets: dict[str, Iterator[Packet[VideoStream]]] = {}

    def open(self, kinds: Sequence[str]) -> None:
        """Open a decoder of each kind, and let it decode a second."""
        for kind in kinds:
            stream, packets = packets_of(self._film)
            self._decoders[kind] = decoder = _KINDS[kind](stream.codec_context, 1 / FPS)
            self._packets[kind] = cycle(packets)
            num_frames = 0
            for packet in packets:
                next(self._packets[kind])
                num_frames += self._take(decoder, packet, CallTimes())
            if decoder.name != "nvdec" or not num_frames:
                raise UnavailableError(f"{kind} gave {num_frames} pictures: {decoder.fallback}")

    def play(self, window: Window, began: float, times: CallTimes) -> tuple[int, list[float]]:
        """Decode for a window; pictures, and how long each took in milliseconds."""
        decoder = self._decoders.get(window.decoder)
        packets = self._packets.get(window.decoder)
        until, num, took_ms = began + window.seconds, 0, []
        interval_s = 1 / window.fps if window.fps else 0.0
        due = began + self._phase * interval_s
        while (now := time.monotonic()) < until:
            if due > now:
                time.sleep(due - now)
            due += interval_s
            if decoder is None or packets is None:
                num += 1
                continue
            began_s = time.perf_counter()
            num += self._take(decoder, next(packets), times)
            took_ms.append(1e3 * (time.perf_counter() - began_s))
        return num, took_ms

    def num_errors(self) -> int:
        """Packets that were refused so far."""
        return sum(each.num_errors for each in self._decoders.values())

    def close(self) -> None:
        """Give the decoders back."""
        self._decoders.clear()

    def _take(self, decoder: CpuDecoder, packet: Packet[VideoStream], times: CallTimes) -> int:
        num = 0
        with times.of("(decode)"):
            found = decoder.decode(packet)
        for decoded in found:
            with times.of("(fill)"):
                self._layout.fill(self._pool, self._slot, decoded.frame)
            num += 1
        return num
