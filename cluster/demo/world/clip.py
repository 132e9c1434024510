"""A world as a video file with its truth beside it, rendered once and kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from cluster.demo.world.scenario import Scenario
from cluster.demo.world.truth import Truth
from cluster.demo.world.world import World

Codec = Literal["libx264", "libx265"]
Progress = Callable[[int, int], None]

_BT709 = 1
_LIMITED = 1


def render_clip(
    scenario: Scenario,
    path: Path,
    *,
    codec: Codec = "libx264",
    crf: int = 25,
    preset: str = "superfast",
    progress: Progress | None = None,
) -> Truth:
    """Write a scenario as MP4, and its truth beside it as ``<stem>.truth.json``.

    The video is yuv420p, tagged BT.709 limited, with a closed group of pictures each second and no
    B-frames, so that a player can loop it; identities do not continue over the loop. Both files
    appear when they are complete.

    Args:
        scenario: What to draw.
        path: The MP4 to write.
        codec: Encoder.
        crf: Constant rate factor of the encoder, lower is better.
        preset: Speed of the encoder.
        progress: Called with the number of frames done and of all frames.

    Returns:
        The truth.
    """
    world = World(scenario)
    part, truth_part = path.with_suffix(f".{os.getpid()}.part.mp4"), truth_path(path)
    truth_part = truth_part.with_suffix(f".{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _encode(world, part, _options(codec, crf, preset, scenario.fps), codec, progress)
        truth = world.truth()
        truth_part.write_text(truth.to_json())
        truth_part.replace(truth_path(path))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        truth_part.unlink(missing_ok=True)
    return truth


def cached_clip(
    scenario: Scenario,
    cache_dir: Path,
    *,
    codec: Codec = "libx264",
    crf: int = 25,
    preset: str = "superfast",
    progress: Progress | None = None,
) -> tuple[Path, Truth]:
    """Return a scenario's clip and truth, rendered only where the folder does not hold them."""
    path = clip_path(scenario, cache_dir, codec=codec, crf=crf, preset=preset)
    if path.exists() and truth_path(path).exists():
        return path, Truth.from_json(truth_path(path).read_text())
    return path, render_clip(scenario, path, codec=codec, crf=crf, preset=preset, progress=progress)


def clip_path(
    scenario: Scenario,
    cache_dir: Path,
    *,
    codec: Codec = "libx264",
    crf: int = 25,
    preset: str = "superfast",
) -> Path:
    """Return where ``cached_clip`` keeps a scenario's clip."""
    return cache_dir / f"{scenario.view}-{scenario.digest()}-{codec[3:]}-{preset}-{crf}.mp4"


def truth_path(path: Path) -> Path:
    """Return where the truth of a clip lies."""
    return path.with_suffix(".truth.json")


def _options(codec: Codec, crf: int, preset: str, fps: int) -> dict[str, str]:
    options = {"crf": str(crf), "preset": preset}
    if codec == "libx264":
        return {
            **options,
            "bf": "0",
            "x264-params": f"keyint={fps}:min-keyint={fps}:scenecut=0:open-gop=0",
        }
    gop = f"keyint={fps}:min-keyint={fps}:scenecut=0:open-gop=0"
    return {**options, "x265-params": f"{gop}:bframes=0:log-level=error"}


def _encode(
    world: World, path: Path, options: dict[str, str], codec: Codec, progress: Progress | None
) -> None:
    scenario = world.scenario
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=scenario.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = scenario.width, scenario.height, "yuv420p"
        context = stream.codec_context
        context.gop_size, context.max_b_frames = scenario.fps, 0
        context.time_base = Fraction(1, scenario.fps)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        if codec == "libx265":
            context.codec_tag = "hvc1"
        for rgb, frame in world:
            container.mux(stream.encode(video_frame(rgb, frame.index, scenario.fps)))
            if progress is not None:
                progress(frame.index + 1, scenario.num_frames)
        container.mux(stream.encode(None))


def video_frame(rgb: np.ndarray[Any, np.dtype[np.uint8]], index: int, fps: int) -> Any:
    """Return a picture as the decoder of a clip would: yuv420p, BT.709 limited."""
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace="ITU709",
        dst_color_range="MPEG",
        interpolation="AREA",
    )
    picture.pts, picture.time_base = index, Fraction(1, fps)
    return picture
