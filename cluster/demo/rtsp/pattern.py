"""A test picture that moves, as a video file: for benchmarks and tests that need no objects."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_pattern(
    path: str | Path,
    *,
    codec: str = "libx264",
    width: int = 640,
    height: int = 360,
    fps: int = 25,
    seconds: float = 10.0,
    bit_rate: int = 600_000,
    num_b_frames: int = 0,
    gop_size: int | None = None,
) -> None:
    """Encode a moving gradient with a block that runs through it.

    Args:
        path: File to write; its suffix names the container.
        codec: ``"libx264"``, ``"libx265"`` or another encoder of FFmpeg.
        width: Pixels.
        height: Pixels.
        fps: Pictures a second.
        seconds: Length.
        bit_rate: Bits a second.
        num_b_frames: B-frames between two others.
        gop_size: Pictures from keyframe to keyframe; None is a second.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = bit_rate
        stream.codec_context.gop_size = gop_size or fps
        stream.codec_context.max_b_frames = num_b_frames
        stream.options = _options(codec, gop_size or fps, num_b_frames)
        for index in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(_picture(index, width, height), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def _options(codec: str, gop_size: int, num_b_frames: int) -> dict[str, str]:
    if codec == "libx264":
        return {"preset": "ultrafast", "sc_threshold": "0", "bf": str(num_b_frames)}
    if codec == "libx265":
        settings = f"keyint={gop_size}:scenecut=0:open-gop=0:bframes={num_b_frames}:log-level=none"
        return {"preset": "ultrafast", "x265-params": settings}
    return {}


def _picture(index: int, width: int, height: int) -> NDArray[np.uint8]:
    rows, columns = np.ogrid[:height, :width]
    picture = ((rows + columns + 3 * index) % 256).astype(np.uint8)
    left = 7 * index % max(1, width - 32)
    picture[height // 3 : height // 3 + 32, left : left + 32] = 255 - index % 200
    return picture
