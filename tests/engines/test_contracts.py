"""Frames, detections and errors: the values that everything else passes on."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from engines.detections import NO_TRACK, Detections
from engines.errors import FramePoolError, ModelError
from engines.frames import FramePool, Picture
from tests.engines.builders import random_frame

PICTURE = Picture(7, 5)


def test_a_picture_that_one_pool_writes_another_reads_in_place(tmp_path: Path) -> None:
    frame = random_frame(PICTURE)
    writer = FramePool.create(3, PICTURE.size_bytes, directory=str(tmp_path))
    reader = FramePool.attach(writer.layout)
    writer.write(2, PICTURE, frame.planes)
    read = reader.read(2, PICTURE, source_size=(70, 50))
    for plane, expected in zip(read.planes, frame.planes, strict=True):
        np.testing.assert_array_equal(plane, expected)
    assert (read.source_width, read.source_height) == (70, 50)


def test_rows_with_padding_are_packed(tmp_path: Path) -> None:
    frame = random_frame(PICTURE)
    padded = [np.pad(plane, ((0, 1), (0, 9))) for plane in frame.planes]
    pool = FramePool.create(1, PICTURE.size_bytes, directory=str(tmp_path))
    pool.write(0, PICTURE, padded)
    np.testing.assert_array_equal(pool.read(0, PICTURE).planes[1], frame.planes[1])


def test_slots_do_not_touch_each_other(tmp_path: Path) -> None:
    pool = FramePool.create(2, PICTURE.size_bytes, directory=str(tmp_path))
    first, second = random_frame(PICTURE, seed=1), random_frame(PICTURE, seed=2)
    pool.write(0, PICTURE, first.planes)
    pool.write(1, PICTURE, second.planes)
    np.testing.assert_array_equal(pool.read(0, PICTURE).planes[2], first.planes[2])


@pytest.mark.parametrize("slot", [-1, 1])
def test_a_slot_that_is_not_there_is_refused(tmp_path: Path, slot: int) -> None:
    pool = FramePool.create(1, PICTURE.size_bytes, directory=str(tmp_path))
    with pytest.raises(FramePoolError, match=f"slot {slot} of 1"):
        pool.read(slot, PICTURE)


def test_a_picture_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    pool = FramePool.create(1, PICTURE.size_bytes - 1, directory=str(tmp_path))
    with pytest.raises(FramePoolError, match="7x5 picture takes 59 bytes, a slot has 58"):
        pool.read(0, PICTURE)


def test_a_closed_pool_leaves_views_alive_and_no_file_behind(tmp_path: Path) -> None:
    pool = FramePool.create(1, PICTURE.size_bytes, directory=str(tmp_path))
    view = pool.read(0, PICTURE).planes[0]
    pool.close()
    pool.unlink()
    pool.unlink()
    assert view.sum() == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(FramePoolError, match="is closed"):
        pool.read(0, PICTURE)
    with pytest.raises(FramePoolError, match="cannot open"):
        FramePool.attach(pool.layout)


def test_a_pool_that_cannot_be_mapped_names_its_size() -> None:
    with pytest.raises(FramePoolError, match="2 slots of 100"):
        FramePool.create(2, 100, directory="/nowhere")


def test_detections_are_selected_together() -> None:
    every = Detections.of(np.arange(12).reshape(3, 4), np.array([0.9, 0.8, 0.7]), np.arange(3))
    some = every[every.confidence < 0.85]
    assert len(some) == 2
    assert some.class_id.tolist() == [1, 2]
    assert some.xyxy.dtype == np.float32
    assert some.track_id.tolist() == [NO_TRACK, NO_TRACK]


def test_detections_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths differ"):
        Detections.of(np.zeros((2, 4)), np.zeros(3), np.zeros(3))


def test_a_model_error_crosses_a_process_whole() -> None:
    error = ModelError("is 0", field="input.width", remedy="Write 416.")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == "input.width: is 0. Write 416."
    assert (copy.field, copy.remedy) == ("input.width", "Write 416.")
