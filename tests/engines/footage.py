"""Published models and real footage for tests: frames as our engines take them and as others do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import av
import numpy as np
import onnxruntime
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from engines.frames import ChromaSite, ColorMatrix, Frame, Picture
from engines.spec import ModelSpec

DATA = Path(__file__).parents[3] / "shared" / "data"
VIDEOS, MODELS, PLATES = DATA / "videos", DATA / "models", DATA / "plates"
HD_ROWS = 720

Rgb = NDArray[np.uint8]


def spec(family: str, file: str, **fields: object) -> ModelSpec:
    """The spec of a shared model."""
    return ModelSpec.model_validate(
        {"name": Path(file).stem, "path": MODELS / file, "family": family, **fields}
    )


def pictures(path: Path, wanted: Collection[int] | None = None) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded pictures with their numbers from 0; all, or those that are wanted."""
    with av.open(str(path)) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if wanted is None or index in wanted:
                yield index, decoded
            if wanted is not None and index >= max(wanted):
                break


def frame_of(decoded: VideoFrame) -> Frame:
    """A decoded picture as engines take it; a JPEG spans the full range, its chroma is centred."""
    is_jpeg = decoded.format.name.startswith("yuvj")
    picture = Picture(
        decoded.width,
        decoded.height,
        ColorMatrix.BT601 if decoded.height < HD_ROWS else ColorMatrix.BT709,
        full_range=is_jpeg,
        site=ChromaSite.CENTER if is_jpeg else ChromaSite.LEFT,
    )
    planes = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:rows, :columns]
        for plane, (rows, columns) in zip(decoded.planes, picture.plane_shapes, strict=True)
    )
    return Frame(picture, tuple(map(np.copy, planes)), decoded.width, decoded.height)


def shot(video: str, index: int) -> tuple[Frame, Rgb]:
    """One picture of a video: as our frame, and as RGB [height, width, 3] made by FFmpeg."""
    _, decoded = next(pictures(VIDEOS / video, {index}))
    return frame_of(decoded), decoded.to_ndarray(format="rgb24")


def stretched(rgb: Rgb, box: tuple[int, int, int, int], width: int, height: int) -> NDArray:
    """A crop, resized bilinearly with clamping at its own edges: float64 [height, width, 3]."""
    left, top, right, bottom = box
    crop = rgb[top:bottom, left:right].astype(np.float64)
    for axis, size in ((0, height), (1, width)):
        at = (np.arange(size) + 0.5) * crop.shape[axis] / size - 0.5
        at = np.clip(at, 0, crop.shape[axis] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, crop.shape[axis] - 1)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        crop = crop.take(low, axis) * (1 - share) + crop.take(high, axis) * share
    return crop


def run_plainly(file: str, image: NDArray) -> list[NDArray]:
    """The outputs of a shared model for one picture [height, width, 3], already normalised."""
    session = onnxruntime.InferenceSession(str(MODELS / file), providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    dtype = np.float16 if wanted.type == "tensor(float16)" else np.float32
    batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(dtype)
    return [output.astype(np.float32) for output in session.run(None, {wanted.name: batch})]
