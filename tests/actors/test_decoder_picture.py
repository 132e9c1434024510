from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ingest.picture import PictureLayout, fitted_size
from engines.frames import ColorMatrix, FramePool, Picture

RED = (255, 0, 0)
PLENTY = 1 << 24


def painted(pixel_format: str, width: int = 64, height: int = 48, rgb=RED) -> av.VideoFrame:
    picture = np.full((height, width, 3), rgb, np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return frame.reformat(
        format=pixel_format, dst_colorspace=5, dst_color_range=2 if "j" in pixel_format else 1
    )


def laid_out(frame: av.VideoFrame, max_bytes: int = PLENTY):
    layout = PictureLayout()
    picture = layout.picture(frame, max_bytes)
    pool = FramePool.create(1, max(picture.size_bytes, 1))
    pool.write(0, picture, layout.planes(frame, picture))
    pool.unlink()
    return picture, pool.read(0, picture).planes


@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "nv12", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "p010le", "uyvy422"],
)
def test_every_limited_range_format_becomes_the_same_planes(pixel_format):
    picture, planes = laid_out(painted(pixel_format))
    assert (picture.width, picture.height, picture.full_range) == (64, 48, False)
    for plane, value in zip(planes, (81, 90, 240), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_full_range_formats_keep_their_range(pixel_format):
    picture, planes = laid_out(painted(pixel_format))
    assert picture.full_range
    for plane, value in zip(planes, (76, 85, 255), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "bgra", "gbrp"])
def test_rgb_is_converted_with_the_matrix_that_the_picture_names(pixel_format):
    picture, planes = laid_out(painted(pixel_format))
    assert picture.matrix is ColorMatrix.BT601
    expected = (76, 85, 255) if picture.full_range else (81, 90, 240)
    for plane, value in zip(planes, expected, strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1


def test_gray_keeps_its_values():
    frame = av.VideoFrame.from_ndarray(np.full((48, 64), 200, np.uint8), format="gray")
    picture, planes = laid_out(frame)
    assert picture.full_range
    assert [int(plane.min()) for plane in planes] == [200, 128, 128]


def test_palettes_are_resolved():
    palette = np.zeros((256, 4), np.uint8)
    palette[7] = (255, *RED)
    indices = np.full((48, 64), 7, np.uint8)
    frame = av.VideoFrame.from_ndarray((indices, palette), format="pal8")
    _, planes = laid_out(frame)
    for plane, value in zip(planes, (81, 90, 240), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1


@pytest.mark.parametrize(
    ("colorspace", "height", "matrix"),
    [
        (2, 48, ColorMatrix.BT601),
        (2, 720, ColorMatrix.BT709),
        (1, 48, ColorMatrix.BT709),
        (9, 48, ColorMatrix.BT709),
        (5, 1080, ColorMatrix.BT601),
        (6, 1080, ColorMatrix.BT601),
    ],
)
def test_the_matrix_is_the_picture_s_own_or_goes_by_its_height(colorspace, height, matrix):
    frame = av.VideoFrame(64, height, "yuv420p")
    frame.colorspace = colorspace
    assert PictureLayout().picture(frame, PLENTY).matrix is matrix


@pytest.mark.parametrize(("width", "height"), [(63, 47), (65, 48), (1, 1), (854, 480)])
def test_odd_sizes_and_padded_rows_are_copied_exactly(width, height):
    rng = np.random.default_rng(1)
    frame = av.VideoFrame(width, height, "yuv420p")
    content = []
    for plane in frame.planes:
        rows = rng.integers(0, 256, (plane.height, plane.line_size), np.uint8)
        plane.update(rows.tobytes())
        content.append(rows[:, : plane.width])
    _, planes = laid_out(frame)
    for plane, expected in zip(planes, content, strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_size_and_format_may_change_at_any_picture():
    layout = PictureLayout()
    for pixel_format, width, height in [("yuv420p", 64, 48), ("nv12", 32, 32), ("gray", 64, 48)]:
        frame = av.VideoFrame(width, height, pixel_format)
        picture = layout.picture(frame, PLENTY)
        assert (picture.width, picture.height) == (width, height)
        assert [plane.shape[0] for plane in layout.planes(frame, picture)] == [
            rows for rows, _ in picture.plane_shapes
        ]


def test_a_picture_larger_than_the_slot_is_scaled_down():
    frame = painted("yuv420p", 640, 360)
    picture, planes = laid_out(frame, max_bytes=Picture(320, 240).size_bytes)
    assert (picture.width, picture.height) == (368, 206)
    assert planes[2].mean() == pytest.approx(240, abs=1)


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(16, 1 << 22))
def test_a_fitted_size_fits_and_keeps_the_ratio(width, height, max_bytes):
    fitted = fitted_size(width, height, max_bytes)
    if Picture(width, height).size_bytes <= max_bytes:
        assert fitted == (width, height)
    elif min(fitted) > 2:
        assert Picture(*fitted).size_bytes <= max_bytes
        assert abs(fitted[0] / width - fitted[1] / height) <= 2 / min(width, height) + 1e-9
