"""The preprocessing kernel against the CPU's letterbox, pixel by pixel."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.cuda.pool import DevicePool
from engines.families.letterbox import Letterbox
from engines.frames import Chroma, ChromaSite, ColorMatrix, DeviceFrame, Frame, Picture, Plane
from engines.spec import ColorOrder, InputSpec, Resize
from tests.engines.builders import random_frame
from tests.engines.cuda_backends import ON_BOTH, Backend, backend_of

MAX_GREY_LEVELS = 0.1
"""The issue asks for 2; float32 positions cost a small part of that."""

SIZES = [(1, 1), (2, 3), (7, 5), (33, 47), (160, 90), (161, 91), (64, 48), (640, 360)]
LAYOUTS = list(itertools.product(ColorMatrix, (False, True), Chroma, ChromaSite))


@pytest.fixture(params=ON_BOTH)
def backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


class Slots:
    """Host frames, and the same pictures in a device pool."""

    def __init__(self, backend: Backend, frames: Sequence[Frame]) -> None:
        slot_bytes = max(frame.picture.size_bytes for frame in frames)
        self.pool = DevicePool.create(len(frames), slot_bytes, memory=backend.memory)
        self.frames = frames
        for slot, frame in enumerate(frames):
            self.pool.write(slot, frame.picture, stored_planes(frame))

    def on_device(self) -> list[DeviceFrame]:
        return [self.pool.read(slot, frame.picture) for slot, frame in enumerate(self.frames)]


def stored_planes(frame: Frame) -> tuple[Plane, ...]:
    luma, cb, cr = frame.planes
    if frame.picture.chroma is Chroma.PLANAR:
        return luma, cb, cr
    return luma, np.stack((cb, cr), axis=2).reshape(len(cb), -1)


def compare(
    backend: Backend, frames: Sequence[Frame], spec: InputSpec, dtype: type[np.floating[Any]]
) -> NDArray[Any]:
    """Absolute differences in grey levels, of what the kernel gives and of the CPU's."""
    slots = Slots(backend, frames)
    given = backend.letterbox(spec, slots.on_device(), dtype).astype(np.float64)
    slots.pool.close()
    letterbox, expected = Letterbox(spec), np.empty(given.shape, np.float32)
    for frame, out in zip(frames, expected, strict=True):
        letterbox.write(frame, out)
    assert not np.isnan(given).any()
    return np.abs(given - expected) * np.array(spec.std)[:, None, None]


def all_frames() -> Iterator[Frame]:
    for (width, height), (matrix, full_range, chroma, site) in itertools.product(SIZES, LAYOUTS):
        yield random_frame(Picture(width, height, matrix, full_range, chroma, site), seed=width)


@pytest.mark.parametrize("color", ColorOrder)
@pytest.mark.parametrize("size", [(64, 64), (96, 40), (33, 65), (416, 256)])
def test_pictures_of_every_size_and_layout_in_one_batch_come_out_as_on_the_cpu(
    backend: Backend, size: tuple[int, int], color: ColorOrder
) -> None:
    spec = InputSpec(width=size[0], height=size[1], color=color)
    assert compare(backend, list(all_frames()), spec, np.float32).max() < MAX_GREY_LEVELS


def test_mean_deviation_and_padding_are_those_of_the_spec(backend: Backend) -> None:
    spec = InputSpec(
        width=96, height=96, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4), pad_value=50
    )
    assert compare(backend, list(all_frames()), spec, np.float32).max() < MAX_GREY_LEVELS


@pytest.mark.parametrize("resize", Resize)
def test_pictures_lie_where_their_resize_says(backend: Backend, resize: Resize) -> None:
    spec = InputSpec(width=96, height=64, resize=resize)
    assert compare(backend, list(all_frames()), spec, np.float32).max() < MAX_GREY_LEVELS


def test_half_precision_adds_no_more_than_its_rounding(backend: Backend) -> None:
    spec = InputSpec(width=96, height=64)
    half_of_last_bit = 2**-4  # between 128 and 256
    difference = compare(backend, list(all_frames()), spec, np.float16)
    assert difference.max() < MAX_GREY_LEVELS + half_of_last_bit


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (8192, 16)])
def test_large_pictures_keep_their_precision(backend: Backend, size: tuple[int, int]) -> None:
    picture = Picture(*size, chroma=Chroma.INTERLEAVED)
    spec = InputSpec(width=416, height=416)
    assert compare(backend, [random_frame(picture)], spec, np.float32).max() < 0.5


def test_a_black_frame_and_a_white_one_are_exact(backend: Backend) -> None:
    frames = []
    for luma in (16, 235):
        picture = Picture(32, 32, chroma=Chroma.INTERLEAVED)
        planes = [np.full(s, 128, np.uint8) for s in picture.plane_shapes]
        planes[0][:] = luma
        frames.append(Frame(picture, tuple(planes), 32, 32))
    slots = Slots(backend, frames)
    given = backend.letterbox(InputSpec(width=32, height=32), slots.on_device(), np.float32)
    slots.pool.close()
    np.testing.assert_allclose(given[0], 0, atol=1e-4)
    np.testing.assert_allclose(given[1], 255, atol=1e-4)
