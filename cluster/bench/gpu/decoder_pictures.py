"""Whether two decoders give the same pictures, bit for bit, at the same times."""

from __future__ import annotations

import faulthandler
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.ingest.decoder import CpuDecoder
from actors.ingest.nvcuvid.decoder import NvcuvidDecoder
from actors.ingest.nvdec import NvdecDecoder
from actors.ingest.picture import PictureLayout
from cluster.bench.gpu.decoder_films import camera_film, hard_films
from cluster.bench.gpu.films import FPS, packets_of
from engines.cuda.context import open_device
from engines.cuda.pool import DevicePool
from engines.frames import Picture

_SLOT_BYTES = Picture(1920, 1088).size_bytes
_LOST = (7, 25)  # packets that are cut, and left out

Shown = tuple[Picture, float, NDArray[np.uint8]]


def compare_pictures(folder: Path) -> dict[str, Any]:
    """By film: the number of pictures, and how many differ in pixels, in layout, in time."""
    faulthandler.enable()
    films = [camera_film(folder / "compared.ts"), *hard_films(folder)]
    found = {}
    for path in films:
        for is_damaged in (False, True) if path == films[0] else (False,):
            name = path.name + (", damaged" if is_damaged else "")
            found[name] = _compared(path, is_damaged)
    return found


def _compared(path: Path, is_damaged: bool) -> dict[str, Any]:
    expected, theirs = pictures_of(path, NvdecDecoder, is_damaged)
    shown, ours = pictures_of(path, NvcuvidDecoder, is_damaged)
    pairs = list(zip_longest(shown, expected))
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    apart = [_pixels_apart(a[2], b[2]) for a, b in both]
    return {
        "pictures": [len(shown), len(expected)],
        "errors": [ours.num_errors, theirs.num_errors],
        "through_ffmpeg": getattr(ours, "is_through_ffmpeg", False),
        "by": [ours.name, theirs.name],
        "different": sum(num > 0 for num in apart),
        "first_different": next((i for i, num in enumerate(apart) if num), None),
        "most_pixels": max(apart, default=0),
        "other_layout": sum(a[0] != b[0] for a, b in both),
        "other_time": sum(abs(a[1] - b[1]) > 1e-6 for a, b in both),
        "layouts": sorted({str((a[0], b[0])) for a, b in both if a[0] != b[0]})[:2],
    }


def pictures_of(
    path: Path, kind: type[CpuDecoder], is_damaged: bool
) -> tuple[list[Shown], CpuDecoder]:
    """All pictures of a film as they come to lie in a slot."""
    stream, packets = packets_of(path)
    decoder, layout = kind(stream.codec_context, 1 / FPS), PictureLayout()
    pool, shown = DevicePool.create(1, _SLOT_BYTES), []
    try:
        for index, packet in enumerate([*packets, _end(stream)]):
            if is_damaged and index == _LOST[1]:
                continue
            if is_damaged and index == _LOST[0]:
                packet = _cut(packet)
            for decoded in decoder.decode(packet):
                picture = layout.fill(pool, 0, decoded.frame)
                pixels = downloaded(pool.read(0, picture).address, picture.size_bytes)
                shown.append((picture, decoded.pts_s, pixels))
    finally:
        pool.unlink()
    return shown, decoder


def downloaded(address: int, size_bytes: int) -> NDArray[np.uint8]:
    """Bytes of the device."""
    found = np.empty(size_bytes, np.uint8)
    with open_device() as context:
        context.cuda.memcpy_dtoh(found, address)
    return found


def _pixels_apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    return int((a != b).sum()) if a.shape == b.shape else max(a.size, b.size)


def _end(stream: Any) -> Any:
    from av.packet import Packet

    end = Packet()
    end.time_base = stream.time_base
    return end


def _cut(packet: Any) -> Any:
    from av.packet import Packet

    cut = Packet(bytes(64))
    cut.pts, cut.dts, cut.time_base = packet.pts, packet.dts, packet.time_base
    return cut
