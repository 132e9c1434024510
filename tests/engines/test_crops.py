"""Crops: which part of a frame is cut, and that the model sees just that part."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.crops import Crop, cut
from engines.families.letterbox import Letterbox
from engines.families.placement import SourceMaps, place
from engines.frames import Chroma, ChromaSite, ColorMatrix, Frame, FramePool, Picture
from engines.spec import ColorOrder, InputSpec, Resize
from tests.engines.builders import grey_frame, random_frame
from tests.engines.test_letterbox import bilinear, rgb

FRAME = grey_frame(200, 100)


def boxes(*rows: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_boxes_are_clamped_to_the_picture() -> None:
    found = cut(FRAME, boxes((-20, 10, 50, 140)))
    assert found.crops[0].xyxy == (0, 10, 50, 100)


def test_a_margin_is_a_share_of_the_box_and_stays_within_the_picture() -> None:
    found = cut(FRAME, boxes((50, 50, 70, 90), (0, 0, 10, 10)), margin=0.5)
    assert [crop.xyxy for crop in found.crops] == [(40, 30, 80, 100), (0, 0, 15, 15)]


def test_boxes_that_are_too_small_are_left_out_and_the_others_say_which_they_are() -> None:
    given_boxes = boxes((0, 0, 9, 30), (0, 0, 10, 30), (195, 0, 230, 30), (20, 20, 60, 60))
    found = cut(FRAME, given_boxes, min_size_px=10)
    assert found.rows.tolist() == [1, 3]


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (9, 9, 5, 5), (300, 0, 400, 50), (0, -50, 50, -1), (math.nan,) * 4]
)
def test_boxes_without_a_picture_give_no_crop(box: tuple[float, float, float, float]) -> None:
    assert cut(FRAME, boxes(box), margin=0.2).crops == ()


def test_no_boxes_give_no_crops() -> None:
    assert cut(FRAME, np.empty((0, 4))).rows.tolist() == []


def test_boxes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3\], not \[n, 4\]"):
        cut(FRAME, np.zeros(3))


def reference(crop: Crop, spec: InputSpec) -> NDArray[np.float64]:
    """Each pixel on its own, as the formula of letterbox.py says."""
    frame = crop.frame
    picture = frame.picture
    x, y = picture.width / frame.source_width, picture.height / frame.source_height
    left, top, right, bottom = np.array(crop.xyxy) * [x, y, x, y]
    width, height = right - left, bottom - top
    if spec.resize is Resize.FILL:
        ratio = min(width / spec.width, height / spec.height)
        left += (width - spec.width * ratio) / 2
        top += (height - spec.height * ratio) / 2
        width, height = spec.width * ratio, spec.height * ratio
    at = place(width, height, spec)
    out = np.full((3, spec.height, spec.width), spec.pad_value)
    for row in range(at.height):
        for column in range(at.width):
            sx = left + (column + 0.5) * width / at.width - 0.5
            sy = top + (row + 0.5) * height / at.height - 0.5
            luma = bilinear(frame.planes[0], sx, sy)
            cx = sx / 2 if picture.site is ChromaSite.LEFT else (sx + 0.5) / 2 - 0.5
            cb, cr = (bilinear(p, cx, (sy + 0.5) / 2 - 0.5) for p in frame.planes[1:])
            color = rgb(luma, cb, cr, picture)
            order = color if spec.color is ColorOrder.RGB else color[::-1]
            out[:, at.top + row, at.left + column] = np.clip(order, 0, 255)
    return (out - np.array(spec.mean)[:, None, None]) / np.array(spec.std)[:, None, None]


fractions = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.1, 1), st.floats(0.1, 1))


@settings(max_examples=60, deadline=None)
@given(
    picture=st.builds(
        Picture,
        width=st.integers(4, 60),
        height=st.integers(4, 60),
        matrix=st.sampled_from(ColorMatrix),
        full_range=st.booleans(),
        site=st.sampled_from(ChromaSite),
    ),
    resize=st.sampled_from(Resize),
    size=st.tuples(st.integers(4, 24), st.integers(4, 24)),
    part=fractions,
    zoom=st.sampled_from([1, 2, 3.5]),
    color=st.sampled_from(ColorOrder),
)
@example(Picture(51, 33), Resize.STRETCH, (8, 8), (0.9, 0.9, 1, 1), 1, ColorOrder.RGB)
def test_every_pixel_of_a_crop_is_what_the_formula_says(
    picture: Picture,
    resize: Resize,
    size: tuple[int, int],
    part: tuple[float, float, float, float],
    zoom: float,
    color: ColorOrder,
) -> None:
    spec = InputSpec(
        width=size[0], height=size[1], resize=resize, color=color, mean=(1, 2, 3), std=(4, 5, 6)
    )
    source = round(picture.width * zoom), round(picture.height * zoom)
    frame = random_frame(picture, source_size=source)
    left, top, width, height = np.array(part) * [*source, *source]
    for crop in cut(frame, boxes((left, top, left + width, top + height))).crops:
        out = np.full((3, size[1], size[0]), np.nan, np.float32)
        Letterbox(spec).write(crop, out)
        np.testing.assert_allclose(out, reference(crop, spec), atol=2e-3)


def test_a_crop_of_all_is_the_whole_frame() -> None:
    frame = random_frame(Picture(96, 54))
    spec = InputSpec(width=32, height=32)
    out, expected = np.empty((2, 3, 32, 32), np.float32)
    Letterbox(spec).write(Crop(frame, (0, 0, 96, 54)), out)
    Letterbox(spec).write(frame, expected)
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_a_crop_is_the_same_of_planar_and_of_interleaved_chroma() -> None:
    planar, paired = Picture(64, 48), Picture(64, 48, chroma=Chroma.INTERLEAVED)
    frame = random_frame(planar)
    pool = FramePool.create(2, planar.size_bytes)
    try:
        pool.write(0, planar, frame.planes)
        pairs = np.stack(frame.planes[1:], axis=2).reshape(24, 64)
        pool.write(1, paired, (frame.planes[0], pairs))
        out = np.empty((2, 3, 16, 16), np.float32)
        for slot, picture in enumerate((planar, paired)):
            crop = Crop(pool.read(slot, picture), (13, 7, 41, 40))
            Letterbox(InputSpec(width=16, height=16)).write(crop, out[slot])
            del crop
        np.testing.assert_array_equal(out[0], out[1])
    finally:
        pool.close()
        pool.unlink()


@pytest.mark.parametrize(
    ("resize", "placed"),
    [
        (Resize.LETTERBOX, (0, 0, 32, 8)),
        (Resize.CENTERED, (0, 4, 32, 8)),
        (Resize.STRETCH, (0, 0, 32, 16)),
        (Resize.FIT_HEIGHT, (0, 0, 32, 16)),
        (Resize.FILL, (0, 0, 32, 16)),
    ],
)
def test_a_wide_picture_lies_where_its_resize_says(
    resize: Resize, placed: tuple[int, int, int, int]
) -> None:
    at = place(128, 32, InputSpec(width=32, height=16, resize=resize))
    assert (at.left, at.top, at.width, at.height) == placed


def test_a_narrow_text_fills_the_height_and_keeps_its_ratio() -> None:
    at = place(30, 20, InputSpec(width=64, height=32, resize=Resize.FIT_HEIGHT))
    assert (at.left, at.top, at.width, at.height) == (0, 0, 48, 32)


def test_fill_cuts_both_sides_off_alike() -> None:
    frame = grey_frame(96, 32, luma=0, bright=[(32, 0, 64, 32)], light=255)
    out = np.empty((3, 32, 32), np.float32)
    Letterbox(InputSpec(width=32, height=32, resize=Resize.FILL)).write(frame, out)
    np.testing.assert_allclose(out, 255, atol=0.01)


@settings(max_examples=60, deadline=None)
@given(resize=st.sampled_from(Resize), part=fractions, size=st.tuples(*[st.integers(8, 64)] * 2))
def test_the_way_back_leads_to_where_a_pixel_came_from(
    resize: Resize, part: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    """A picture whose luma is its column: what is read at a place says where it came from."""
    picture = Picture(200, 120, full_range=True)
    planes = [np.full(shape, 128, np.uint8) for shape in picture.plane_shapes]
    planes[0][:] = np.arange(200)
    frame = Frame(picture, tuple(planes), 400, 240)
    spec = InputSpec(width=size[0], height=size[1], resize=resize)
    left, top, width, height = np.array(part) * [400, 240, 400, 240]
    crop = cut(frame, boxes((left, top, left + width, top + height))).crops[0]
    out = np.empty((3, size[1], size[0]), np.float32)
    Letterbox(spec).write(crop, out)
    at = place(*_size_seen(crop, spec), spec)
    column, row = at.left + at.width // 2, at.top + at.height // 2
    pixel = np.array([[column, row, column + 1, row + 1]], np.float32)
    back = SourceMaps(spec).of(crop).apply(pixel)[0]
    # The middle of the pixel, in samples of the picture, half a sample before its number.
    assert out[0, row, column] == pytest.approx((back[0] + back[2]) / 4 - 0.5, abs=0.6)


def _size_seen(crop: Crop, spec: InputSpec) -> tuple[float, float]:
    left, top, right, bottom = crop.xyxy
    width, height = (right - left) / 2, (bottom - top) / 2
    if spec.resize is Resize.FILL:
        return float(spec.width), float(spec.height)
    return width, height


def test_a_pool_of_smaller_pictures_is_cut_in_source_pixels() -> None:
    frame = replace(
        grey_frame(64, 64, luma=0, bright=[(32, 32, 64, 64)], light=255),
        source_width=640,
        source_height=640,
    )
    out = np.empty((3, 8, 8), np.float32)
    Letterbox(InputSpec(width=8, height=8)).write(Crop(frame, (340, 340, 640, 640)), out)
    np.testing.assert_allclose(out, 255, atol=0.01)
