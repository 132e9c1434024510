"""Crops in the preprocessing kernel against the CPU's, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.crops import Box, Crop, View, frame_of
from engines.cuda.descriptors import PICTURE, PictureRecords
from engines.cuda.pool import DevicePool
from engines.families.letterbox import Letterbox
from engines.frames import Chroma, DeviceFrame, Frame, Picture
from engines.spec import ColorOrder, InputSpec, Resize
from tests.engines.builders import random_frame
from tests.engines.cuda_backends import ON_BOTH, Backend, backend_of
from tests.engines.test_cuda_preprocess import LAYOUTS, MAX_GREY_LEVELS, stored_planes

PARTS = [
    (0.0, 0.0, 1.0, 1.0),
    (0.0, 0.0, 0.3, 0.4),
    (0.7, 0.55, 1.0, 1.0),
    (0.31, 0.27, 0.33, 0.9),
    (0.413, 0.2, 0.871, 0.233),
]
"""Left, top, right and bottom in shares of the picture: all of it, corners, a tall one, a wide."""


@pytest.fixture(params=ON_BOTH)
def backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


def box_of(frame: Frame | DeviceFrame, part: Box) -> Box:
    width, height = frame.source_width, frame.source_height
    return (part[0] * width, part[1] * height, part[2] * width, part[3] * height)


def crops_of(frames: Sequence[Frame], parts: Sequence[Box] = PARTS) -> list[Crop]:
    return [Crop(frame, box_of(frame, part)) for frame in frames for part in parts]


def frames() -> list[Frame]:
    """Of every layout and of several sizes, some smaller than what the camera gives."""
    made = []
    for number, (matrix, full_range, chroma, site) in enumerate(LAYOUTS):
        width, height = [(160, 90), (161, 91), (97, 55), (64, 128)][number % 4]
        picture = Picture(width, height, matrix, full_range, chroma, site)
        zoom = (1, 2, 3.7)[number % 3]
        size = round(width * zoom), round(height * zoom)
        made.append(random_frame(picture, seed=number, source_size=size))
    return made


def differences(
    backend: Backend,
    views: Sequence[View],
    spec: InputSpec,
    dtype: type[np.floating[Any]] = np.float32,
) -> NDArray[Any]:
    """In grey levels, of what the kernel makes of views and of what the CPU does."""
    pictures = {id(frame): frame for frame in map(frame_of, views)}
    slot_bytes = max(frame.picture.size_bytes for frame in pictures.values())
    pool = DevicePool.create(len(pictures), slot_bytes, memory=backend.memory)
    placed: dict[int, DeviceFrame] = {}
    for slot, (key, frame) in enumerate(pictures.items()):
        assert isinstance(frame, Frame)
        pool.write(slot, frame.picture, stored_planes(frame))
        size = frame.source_width, frame.source_height
        placed[key] = pool.read(slot, frame.picture, source_size=size)
    on_device = [
        replace(view, frame=placed[id(view.frame)]) if isinstance(view, Crop) else placed[id(view)]
        for view in views
    ]
    given = backend.letterbox(spec, on_device, dtype).astype(np.float64)
    pool.close()
    letterbox, expected = Letterbox(spec), np.empty(given.shape, np.float32)
    for view, out in zip(views, expected, strict=True):
        letterbox.write(view, out)
    assert not np.isnan(given).any()
    return np.abs(given - expected) * np.abs(np.array(spec.std))[:, None, None]


@pytest.mark.parametrize("resize", Resize)
@pytest.mark.parametrize("size", [(48, 32), (17, 40)])
def test_crops_of_every_layout_and_placement_come_out_as_on_the_cpu(
    backend: Backend, resize: Resize, size: tuple[int, int]
) -> None:
    spec = InputSpec(width=size[0], height=size[1], resize=resize)
    assert differences(backend, crops_of(frames()), spec).max() < MAX_GREY_LEVELS


@pytest.mark.parametrize("color", ColorOrder)
def test_mean_and_deviation_of_each_channel_are_those_of_the_spec(
    backend: Backend, color: ColorOrder
) -> None:
    spec = InputSpec(
        width=32,
        height=48,
        color=color,
        mean=(123.7, 116.3, 103.5),
        std=(58.4, -57.1, 0.5),
        pad_value=50,
        resize=Resize.CENTERED,
    )
    assert differences(backend, crops_of(frames()), spec).max() < MAX_GREY_LEVELS


def test_crops_of_several_cameras_and_whole_pictures_may_be_of_one_batch(backend: Backend) -> None:
    some = frames()[:4]
    views: list[View] = [
        crop for pair in zip(crops_of(some), some * 5, strict=True) for crop in pair
    ]
    spec = InputSpec(width=40, height=40)
    assert differences(backend, views, spec).max() < MAX_GREY_LEVELS
    half_of_last_bit = 2**-4  # between 128 and 256
    rounded = differences(backend, views, spec, np.float16)
    assert rounded.max() < MAX_GREY_LEVELS + half_of_last_bit


def test_small_crops_of_large_pictures_keep_their_precision(backend: Backend) -> None:
    picture = Picture(3840, 2160, chroma=Chroma.INTERLEAVED)
    parts = [(0.97, 0.95, 0.985, 0.962), (0.5, 0.5, 0.5004, 0.5009), (0.9, 0.0, 1.0, 0.01)]
    spec = InputSpec(width=94, height=24, resize=Resize.STRETCH)
    crops = crops_of([random_frame(picture)], parts)
    assert differences(backend, crops, spec).max() < 0.5


def test_a_crop_of_all_is_described_as_the_whole_picture() -> None:
    frame = DeviceFrame(Picture(96, 54), 4096, 192, 108)
    records = np.zeros(2, PICTURE)
    whole = Crop(frame, (0, 0, 192, 108))
    PictureRecords(InputSpec(width=32, height=32)).fill([frame, whole], records)
    assert records[0] == records[1]
    assert records["address"].tolist() == [4096, 4096]


@pytest.mark.parametrize(
    "box", [(0, 0, 97, 54), (-1, 0, 9, 9), (5, 5, 5, 9), (0, 0, 9, 55), (float("nan"), 0, 9, 9)]
)
def test_a_crop_that_is_larger_than_its_picture_or_empty_cannot_be(box: Box) -> None:
    for frame in (DeviceFrame(Picture(96, 54), 0, 96, 54), random_frame(Picture(96, 54))):
        with pytest.raises(ValueError, match="is no part of a picture of 96x54"):
            Crop(frame, box)


def test_pictures_on_the_wrong_side_are_refused() -> None:
    spec = InputSpec(width=8, height=8)
    on_host, on_device = random_frame(Picture(8, 8)), DeviceFrame(Picture(8, 8), 0, 8, 8)
    for host_view in (on_host, Crop(on_host, (0, 0, 4, 4))):
        with pytest.raises(TypeError, match="in host memory"):
            PictureRecords(spec).fill([host_view], np.zeros(1, PICTURE))  # type: ignore[list-item]
    for device_view in (on_device, Crop(on_device, (0, 0, 4, 4))):
        with pytest.raises(TypeError, match="in the memory of a GPU"):
            Letterbox(spec).write(device_view, np.empty((3, 8, 8), np.float32))
