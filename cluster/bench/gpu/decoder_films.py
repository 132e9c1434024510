"""Films for the comparison of decoders: a camera's, and such as are hard to get right."""

from __future__ import annotations

import io
from pathlib import Path

import av

from actors.ingest.benchmark import film
from cluster.demo.rtsp.pattern import write_pattern

_NUM_PICTURES = 60
_SIZES = ((640, 360), (1280, 720), (320, 240), (640, 360))


def camera_film(path: Path) -> Path:
    """1080p H.264 with start codes, as cameras send it; ``path`` ends in .ts."""
    with av.open(io.BytesIO(film(num_pictures=_NUM_PICTURES))) as source:
        stream = source.streams.video[0]
        with av.open(str(path), "w") as out:
            copy = out.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    return path


def hard_films(folder: Path) -> list[Path]:
    """H.264 and H.265 with B-frames, in MP4 and with start codes, and with changes of size."""
    films = []
    for codec in ("libx264", "libx265"):
        for num_b_frames, suffix in ((2, "mp4"), (3, "ts"), (0, "mp4")):
            path = folder / f"{codec}-{num_b_frames}.{suffix}"
            write_pattern(
                path,
                codec=codec,
                width=854,
                height=470,
                seconds=4.0,
                gop_size=20,
                num_b_frames=num_b_frames,
            )
            films.append(path)
        films += [_changing(folder, codec, num) for num in (0, 2)]
    return films


def _changing(folder: Path, codec: str, num_b_frames: int) -> Path:
    """One after the other in several sizes, without a container."""
    suffix = "h264" if codec == "libx264" else "hevc"
    whole = folder / f"{codec}-{num_b_frames}-changing.{suffix}"
    with whole.open("wb") as file:
        for index, (width, height) in enumerate(_SIZES):
            part = folder / f"part{index}.{suffix}"
            write_pattern(
                part,
                codec=codec,
                width=width,
                height=height,
                seconds=1.0,
                num_b_frames=num_b_frames,
            )
            file.write(part.read_bytes())
    return whole
