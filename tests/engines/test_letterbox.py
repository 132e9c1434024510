"""The letterbox against a reference that computes each pixel on its own, as a kernel would."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.families.bilinear import EvenTaps, taps
from engines.families.letterbox import Letterbox
from engines.families.placement import place
from engines.frames import ChromaSite, ColorMatrix, Frame, Picture
from engines.spec import ColorOrder, InputSpec
from tests.engines.builders import grey_frame, random_frame


def bilinear(plane: NDArray[np.uint8], x: float, y: float) -> float:
    x, y = min(max(x, 0), plane.shape[1] - 1), min(max(y, 0), plane.shape[0] - 1)
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = min(x0 + 1, plane.shape[1] - 1), min(y0 + 1, plane.shape[0] - 1)
    fx, fy = x - x0, y - y0
    top = (1 - fx) * plane[y0, x0] + fx * plane[y0, x1]
    bottom = (1 - fx) * plane[y1, x0] + fx * plane[y1, x1]
    return float((1 - fy) * top + fy * bottom)


def rgb(y: float, cb: float, cr: float, picture: Picture) -> tuple[float, float, float]:
    """The textbook equations, written out."""
    kr, kb = (0.299, 0.114) if picture.matrix is ColorMatrix.BT601 else (0.2126, 0.0722)
    if not picture.full_range:
        y, cb, cr = (y - 16) * 255 / 219, (cb - 128) * 255 / 224, (cr - 128) * 255 / 224
    else:
        cb, cr = cb - 128, cr - 128
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return red, green, blue


def reference(frame: Frame, spec: InputSpec) -> NDArray[np.float64]:
    picture = frame.picture
    ratio = min(spec.width / picture.width, spec.height / picture.height)
    width, height = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    out = np.full((3, spec.height, spec.width), spec.pad_value)
    for y, x in itertools.product(range(height), range(width)):
        sx = (x + 0.5) * picture.width / width - 0.5
        sy = (y + 0.5) * picture.height / height - 0.5
        luma = bilinear(frame.planes[0], sx, sy)
        cx = sx / 2 if picture.site is ChromaSite.LEFT else (sx + 0.5) / 2 - 0.5
        cb, cr = (bilinear(p, cx, (sy + 0.5) / 2 - 0.5) for p in frame.planes[1:])
        channels = rgb(luma, cb, cr, picture)
        out[:, y, x] = np.clip(channels if spec.color is ColorOrder.RGB else channels[::-1], 0, 255)
    return (out - np.array(spec.mean)[:, None, None]) / np.array(spec.std)[:, None, None]


pictures = st.builds(
    Picture,
    width=st.integers(2, 50),
    height=st.integers(2, 50),
    matrix=st.sampled_from(ColorMatrix),
    full_range=st.booleans(),
    site=st.sampled_from(ChromaSite),
)


@settings(max_examples=30, deadline=None)
@given(
    picture=pictures,
    color=st.sampled_from(ColorOrder),
    width=st.integers(8, 32),
    height=st.integers(8, 32),
    seed=st.integers(0, 99),
)
def test_every_pixel_is_what_the_formula_says(
    picture: Picture, color: ColorOrder, width: int, height: int, seed: int
) -> None:
    spec = InputSpec(width=width, height=height, color=color, mean=(1, 2, 3), std=(4, 5, 6))
    frame = random_frame(picture, seed=seed)
    out = np.full((3, height, width), np.nan, np.float32)
    Letterbox(spec).write(frame, out)
    np.testing.assert_allclose(out, reference(frame, spec), atol=1e-3)


@pytest.mark.parametrize("color", ColorOrder)
@pytest.mark.parametrize("height", [12, 9])
@pytest.mark.parametrize("ratio", [1, 2, 3, 4, 5, 6, 8])
def test_whole_ratios_are_what_the_formula_says(ratio: int, height: int, color: ColorOrder) -> None:
    spec = InputSpec(width=16, height=height, color=color)
    frame = random_frame(Picture(16 * ratio, 9 * ratio), seed=ratio)
    out = np.full((3, height, 16), np.nan, np.float32)
    Letterbox(spec).write(frame, out)
    np.testing.assert_allclose(out, reference(frame, spec), atol=1e-3)


def test_narrow_pictures_are_what_the_formula_says() -> None:
    for picture in (Picture(24, 40), Picture(32, 40), Picture(7, 20)):
        spec = InputSpec(width=24, height=20, mean=(1, 2, 3), std=(4, 5, 6))
        frame = random_frame(picture)
        out = np.full((3, 20, 24), np.nan, np.float32)
        Letterbox(spec).write(frame, out)
        np.testing.assert_allclose(out, reference(frame, spec), atol=1e-3)


def test_whole_ratios_gather_nothing_and_others_do() -> None:
    for ratio, is_even in ((1, True), (2, True), (3, True), (6, True), (0.5, False), (2.5, False)):
        positions = (np.arange(20, dtype=np.float64) + 0.5) * ratio - 0.5
        assert isinstance(taps(positions, int(20 * ratio)), EvenTaps) == is_even


@pytest.mark.parametrize("picture", [Picture(32, 16), Picture(25, 21)])
def test_planes_may_be_views_of_interleaved_samples(picture: Picture) -> None:
    spec = InputSpec(width=16, height=8)
    frame = random_frame(picture)
    pairs = np.stack(frame.planes[1:], axis=2)
    views = replace(frame, planes=(frame.planes[0], pairs[..., 0], pairs[..., 1]))
    out, expected = np.empty((2, 3, 8, 16), np.float32)
    Letterbox(spec).write(views, out)
    Letterbox(spec).write(frame, expected)
    np.testing.assert_array_equal(out, expected)


def test_the_brightest_plane_does_not_overflow() -> None:
    spec = InputSpec(width=16, height=8)
    picture = Picture(64, 32, full_range=True)
    planes = tuple(np.full(shape, 255, np.uint8) for shape in picture.plane_shapes)
    out = np.empty((3, 8, 16), np.float32)
    frame = Frame(picture, planes, 64, 32)
    Letterbox(spec).write(frame, out)
    np.testing.assert_allclose(out, reference(frame, spec), atol=1e-3)


@pytest.mark.parametrize(
    ("ycbcr", "expected"),
    [((16, 128, 128), (0, 0, 0)), ((235, 128, 128), (255, 255, 255)), ((81, 90, 240), (255, 0, 0))],
)
def test_known_colours_of_bt601_come_out(ycbcr: tuple[int, ...], expected: tuple[int, ...]) -> None:
    picture = Picture(8, 8, ColorMatrix.BT601)
    planes = [np.full(s, v, np.uint8) for s, v in zip(picture.plane_shapes, ycbcr, strict=True)]
    out = np.empty((3, 8, 8), np.float32)
    Letterbox(InputSpec(width=8, height=8)).write(Frame(picture, tuple(planes), 8, 8), out)
    np.testing.assert_allclose(out[:, 4, 4], expected, atol=1.5)


def test_a_buffer_that_is_used_again_keeps_nothing_of_the_last_picture() -> None:
    letterbox = Letterbox(InputSpec(width=32, height=32))
    out, fresh = np.empty((2, 3, 32, 32), np.float32)
    letterbox.write(grey_frame(64, 64, luma=200), out)
    letterbox.write(grey_frame(64, 16, luma=50), out)
    Letterbox(InputSpec(width=32, height=32)).write(grey_frame(64, 16, luma=50), fresh)
    np.testing.assert_array_equal(out, fresh)
    assert (out[:, 8:] == 114).all()


def test_one_letterbox_serves_cameras_of_different_sizes_in_turn() -> None:
    spec = InputSpec(width=32, height=32)
    shared = Letterbox(spec)
    for picture in (Picture(40, 30), Picture(20, 31), Picture(64, 64), Picture(40, 30)):
        frame = random_frame(picture)
        out, alone = np.empty((2, 3, 32, 32), np.float32)
        shared.write(frame, out)
        Letterbox(spec).write(frame, alone)
        np.testing.assert_array_equal(out, alone)


@pytest.mark.parametrize(
    ("size", "placed"),
    [
        ((640, 360), (320, 180)),
        ((768, 576), (256, 192)),
        ((100, 1000), (19, 192)),
        ((9999, 1), (320, 1)),
    ],
)
def test_the_placement_keeps_the_ratio_and_stays_within(
    size: tuple[int, int], placed: tuple[int, int]
) -> None:
    placement = place(*size, InputSpec(width=320, height=192))
    assert (placement.width, placement.height) == placed
