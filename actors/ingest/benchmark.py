"""Measures how many frames of 1080p H.264 the decoder of this machine does in a second.

``python -m actors.ingest.benchmark cpu`` prints the result as JSON. It runs in a process of its
own, so that its threads neither hold up cameras' threads nor leave memory behind. On a CPU the
processor time of the threads counts, at the lowest priority: what else runs is hardly disturbed,
and changes the result little. NVDEC's speed shows only in elapsed time.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.ingest.config import DecoderName
from actors.ingest.decode_cost import FULL_HD, USUAL_FPS
from actors.ingest.decoder import CpuDecoder
from actors.ingest.decoding import open_decoder

DURATION_S = 0.5
MAX_THREADS = 16
"""One H200's seven decoders are full with 16 streams; of a CPU with more cores 16 tell enough."""

_NUM_PICTURES = 25
_BIT_RATE = 2_000_000
_TILE_PX = 30
_MIN_CPU_S = 0.1
_MAX_WAIT_S = 10.0
_LOWEST_PRIORITY = 19

Packets = Sequence["Packet[VideoStream]"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found.

    Attributes:
        decoder: What decoded: ``cpu``, also where NVDEC was asked for and does not work.
        full_hd_fps: Frames a second of 1080p.
    """

    decoder: str
    full_hd_fps: float


def measure(decoder: str, num_cores: int, duration_s: float = DURATION_S) -> Measured:
    """Decode a clip of 1080p in many threads at once.

    Args:
        decoder: ``cpu`` or ``nvdec``.
        num_cores: Cores that streams may use; as many threads decode, 16 at most.
        duration_s: For so long.
    """
    clip = film()
    on_gpu = decoder == "nvdec" and _first(clip).name == "nvdec"
    num_threads = MAX_THREADS if on_gpu else min(num_cores, MAX_THREADS)
    ready = threading.Barrier(num_threads)

    def run(_: int) -> _Share:
        return _decode("nvdec" if on_gpu else "cpu", clip, ready, duration_s)

    with ThreadPoolExecutor(num_threads) as threads:
        shares = list(threads.map(run, range(num_threads)))
    if on_gpu:
        return Measured("nvdec", sum(share.num_pictures / share.elapsed_s for share in shares))
    cpu_s = sum(share.cpu_s for share in shares)
    return Measured("cpu", num_cores * sum(share.num_pictures for share in shares) / cpu_s)


def film(size: tuple[int, int] = FULL_HD, num_pictures: int = _NUM_PICTURES) -> bytes:
    """A second of H.264 as a quiet camera sends it: texture, noise, things that move, 2 Mbit/s.

    An MP4 file in memory.

    Args:
        size: Width and height, pixels; multiples of 60.
        num_pictures: The first of them is a key frame.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"preset": "superfast", "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=round(USUAL_FPS), options=options)
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", _BIT_RATE
        encoder = stream.codec_context
        encoder.gop_size, encoder.max_b_frames = num_pictures, 0
        encoder.thread_count = 1
        for frame in _frames(size, num_pictures):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Share:
    num_pictures: int
    elapsed_s: float
    cpu_s: float


def _decode(name: DecoderName, clip: bytes, ready: threading.Barrier, duration_s: float) -> _Share:
    """The part of one thread, with packets of its own; all begin together."""
    decoder, packets = _opened(name, clip)
    for packet in packets[:2]:
        decoder.decode(packet)
    ready.wait(_MAX_WAIT_S)
    began, cpu_s = time.monotonic(), time.thread_time()
    num_pictures = 0
    for packet in cycle(packets):
        num_pictures += len(decoder.decode(packet))
        elapsed_s, used_s = time.monotonic() - began, time.thread_time() - cpu_s
        if elapsed_s >= duration_s and _is_enough(decoder, used_s, elapsed_s):
            break
    return _Share(num_pictures, elapsed_s, used_s)


def _is_enough(decoder: CpuDecoder, used_s: float, elapsed_s: float) -> bool:
    """A thread that gets hardly any processor time takes longer until it has a result."""
    return decoder.name == "nvdec" or used_s >= _MIN_CPU_S or elapsed_s >= _MAX_WAIT_S


def _opened(name: DecoderName, clip: bytes) -> tuple[CpuDecoder, Packets]:
    container = av.open(io.BytesIO(clip), "r")
    stream = container.streams.video[0]
    packets = [packet for packet in container.demux(stream) if packet.size]
    return open_decoder(name, stream.codec_context, 1 / USUAL_FPS), packets


def _first(clip: bytes) -> CpuDecoder:
    """NVDEC's decoder after a few pictures: its name tells what decoded them."""
    decoder, packets = _opened("nvdec", clip)
    for packet in packets[:4]:
        decoder.decode(packet)
    return decoder


def _frames(size: tuple[int, int], num_pictures: int) -> Sequence[VideoFrame]:
    width, height = size
    rng = np.random.default_rng(0)
    tiles = rng.integers(40, 200, (height // _TILE_PX, width // _TILE_PX))
    scene = np.kron(tiles, np.ones((_TILE_PX, _TILE_PX))) + rng.normal(0, 6, (height, width))
    noises = [rng.normal(0, 2, (height, width)) for _ in range(3)]
    return [_frame(scene + noises[index % 3], index) for index in range(num_pictures)]


def _frame(luma: Any, index: int) -> VideoFrame:
    """A picture of the scene with six things on their way through it."""
    height, width = luma.shape
    long, high = width // 10, height // 12
    for lane in range(6):
        x, y = (lane * 311 + index * 7) % (width - long), (lane + 1) * height // 8
        luma[y : y + high, x : x + long] += 40 + 20 * lane
    chroma = np.full((height // 2, width), 128, np.uint8)
    picture = np.concatenate([np.clip(luma, 0, 255).astype(np.uint8), chroma])
    frame = VideoFrame.from_ndarray(picture, format="yuv420p")
    frame.pts, frame.time_base = index, Fraction(1, round(USUAL_FPS))
    return frame


def main(arguments: Sequence[str], nice: Callable[[int], int] = os.nice) -> None:
    """Measure at the lowest priority and print what was found.

    Args:
        arguments: The decoder, and if need be the number of cores.
        nice: Lowers the priority of this process.
    """
    decoder = arguments[0] if arguments else "cpu"
    if decoder == "cpu":
        nice(_LOWEST_PRIORITY)
    num_cores = int(arguments[1]) if len(arguments) > 1 else len(os.sched_getaffinity(0))
    found = measure(decoder, num_cores)
    print(json.dumps({"decoder": found.decoder, "full_hd_fps": round(found.full_hd_fps, 1)}))


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # the figure is out; what is left of the GPU goes with the process
