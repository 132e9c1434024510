"""What of a picture is copied onto a GPU in one go; the copies themselves need one."""

from __future__ import annotations

import numpy as np

from engines.cuda.memory import joined
from engines.cuda.pool import DevicePlane

SHAPES = [(1080, 1920), (540, 1920)]
PITCH = 2048


def test_the_planes_of_a_surface_that_follow_each_other_are_one():
    luma, chroma = DevicePlane(4096, PITCH), DevicePlane(4096 + 1080 * PITCH, PITCH)
    assert joined(SHAPES, [luma, chroma]) == [((1620, 1920), luma)]


def test_planes_with_a_gap_or_another_pitch_are_two():
    luma = DevicePlane(4096, PITCH)
    for chroma in (
        DevicePlane(4096 + 1088 * PITCH, PITCH),
        DevicePlane(4096 + 1080 * PITCH, 2 * PITCH),
    ):
        assert joined(SHAPES, [luma, chroma]) == list(zip(SHAPES, [luma, chroma], strict=True))


def test_planes_of_the_host_are_copied_one_by_one():
    planes = [np.zeros((4, 8), np.uint8), np.zeros((2, 8), np.uint8)]
    assert [shape for shape, _ in joined([(4, 8), (2, 8)], planes)] == [(4, 8), (2, 8)]


def test_planes_of_another_width_are_copied_one_by_one():
    shapes = [(4, 8), (2, 4), (2, 4)]
    planes = [DevicePlane(0, 8), DevicePlane(32, 8), DevicePlane(48, 8)]
    assert joined(shapes, planes) == [((4, 8), planes[0]), ((4, 4), planes[1])]
