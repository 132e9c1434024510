"""Models of crops on their way to TensorRT, and what its plans say of their tensors."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx.helper import make_tensor_value_info

from engines.crops import Crop
from engines.errors import ModelError
from engines.fake import FAKE_SPEC
from engines.families.placement import SourceMaps
from engines.frames import DeviceFrame, Frame, Picture
from engines.signature import TensorInfo
from engines.spec import Precision
from engines.tensorrt.bindings import check_rows, signature_of
from engines.tensorrt.builder import build_plan, graph_for, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.plan import Platform
from engines.tensorrt.reading import RecordReader
from engines.tensorrt.staging import Staging
from tests.engines.answering import answering_model, fixed, spec_of
from tests.engines.builders import random_frame, tiny_spec, tiny_yolox, write_model
from tests.engines.random_networks import HEADS, LABELS, READERS, network_of
from tests.engines.tensorrt_api import API, PLAN, VERSIONS, stand_in

HERE = Platform("8.6.0", "NVIDIA H200", "sm_90")


@pytest.mark.parametrize("family", [*READERS, "ssd"])
def test_a_plan_whose_outputs_stay_is_named_by_the_network_alone(
    family: str, tmp_path: Path
) -> None:
    spec = network_of(tmp_path, family)
    request = request_for(spec, HERE, precision=Precision.FP16, batch_sizes=(1, 4))
    assert request.file_name.startswith("tiny-fp16-trt8.6.0-sm_90-")
    assert (request.num_classes, request.max_candidates) == (0, 0)
    renamed = spec.model_copy(update={"labels": ("a", "b")})
    assert request_for(renamed, HERE, precision=Precision.FP16, batch_sizes=(1, 4)) == request
    network_of(tmp_path, family, seed=1)
    assert request_for(spec, HERE, precision=Precision.FP16, batch_sizes=(1, 4)) != request


def test_a_detector_with_a_cut_is_named_by_what_it_is_cut_to(tmp_path: Path) -> None:
    spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
    assert request_for(spec, HERE).max_candidates == 84


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_outputs_of_readers_stay_in_fp32_under_their_names(
    precision: Precision, tmp_path: Path
) -> None:
    graph = graph_for(network_of(tmp_path, "attributes"), precision).graph
    outputs = [(o.name, o.type.tensor_type.elem_type) for o in graph.output]
    assert sorted(outputs) == [(name, 1) for name in sorted(HEADS)]
    axes = [d.dim_value or d.dim_param for d in graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["N", 3, 64, 48]


def test_a_file_in_half_precision_whose_batch_is_fixed_is_taken_as_it_is(tmp_path: Path) -> None:
    model = answering_model({"p": fixed(np.array([0.25, 0.75]))}, half=True)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    # As older files do, it lists its weights as inputs, too, and first.
    weights = [make_tensor_value_info(w.name, w.data_type, w.dims) for w in model.graph.initializer]
    inputs = [*weights, *model.graph.input]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    spec = spec_of(write_model(tmp_path / "half.onnx", model), "classifier", labels=["a", "b"])
    graph = graph_for(spec, Precision.FP16).graph
    (image,) = [i for i in graph.input if i.name == "image"]
    assert image.type.tensor_type.elem_type == 10
    assert image.type.tensor_type.shape.dim[0].dim_param == "N"


@pytest.mark.skipif(not API.exists(), reason="the recorded API is absent")
@pytest.mark.parametrize("version", VERSIONS)
def test_readers_are_built_with_every_release(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    spec, cache = network_of(tmp_path, "ctc"), PlanCache(tmp_path / "plans")
    request = request_for(
        spec, replace(HERE, tensorrt=version), precision=Precision.FP16, batch_sizes=(1, 4, 16)
    )
    build_plan(spec, request, cache)
    assert cache.read(request) == PLAN
    assert [shape for _, shape, *_ in trt.called("set_shape")] == [
        (size, 3, 32, 96) for size in (1, 4, 16)
    ]


def test_a_model_that_does_not_fit_its_spec_is_not_built(tmp_path: Path) -> None:
    spec = network_of(tmp_path, "classifier").model_copy(update={"labels": LABELS[:3]})
    with pytest.raises(ModelError, match="Give 5 labels"):
        graph_for(spec, Precision.FP16)


class Plan:
    """As much of ``ICudaEngine`` as says what a plan takes and gives."""

    def __init__(self, *tensors: tuple[str, str, str, tuple[int, ...]]) -> None:
        self._tensors = {name: rest for name, *rest in tensors}
        self.num_io_tensors = len(tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return self._tensors[name][0]

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=self._tensors[name][1])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name][2]


TRT = SimpleNamespace(TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"))


def test_a_signature_has_the_tensors_of_the_plan_with_the_batch_free() -> None:
    plan = Plan(
        ("type", "out", "FLOAT", (-1, 4)),
        ("image", "in", "HALF", (-1, 3, 64, 48)),
        ("color", "out", "HALF", (-1, 7)),
    )
    signature = signature_of(TRT, plan)
    assert signature.inputs == (TensorInfo("image", "float16", (None, 3, 64, 48)),)
    assert [str(t) for t in signature.outputs] == ["type float32 [?, 4]", "color float16 [?, 7]"]


def test_an_output_that_is_no_number_is_refused() -> None:
    with pytest.raises(ModelError, match="flags is of BOOL"):
        signature_of(TRT, Plan(("flags", "out", "BOOL", (-1, 4))))


def test_an_output_with_more_rows_than_its_batch_is_refused_before_it_is_written() -> None:
    check_rows("p", (4, 7), 4)
    for shape in ((8, 7), (), (1, 7)):
        with pytest.raises(ModelError, match="not one row a picture"):
            check_rows("p", shape, 4)


class HostContext:
    """A device whose memory is the host's."""

    def __init__(self) -> None:
        self.cuda = self
        self.num_copied_bytes = 0
        self._kept: list[np.ndarray] = []

    def __enter__(self) -> HostContext:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def allocate(self, size_bytes: int) -> Any:
        self._kept.append(np.zeros(size_bytes, np.uint8))
        return self._kept[-1].ctypes.data

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.empty(shape, dtype)

    def memcpy_htod_async(self, address: int, source: np.ndarray, stream: object) -> None:
        ctypes.memmove(address, source.ctypes.data, source.nbytes)
        self.num_copied_bytes += source.nbytes


def test_a_picture_of_several_crops_is_uploaded_once_and_one_on_the_device_not_at_all() -> None:
    context = HostContext()
    staging = Staging(context, None)  # type: ignore[arg-type]
    frame = random_frame(Picture(33, 17), source_size=(66, 34))
    there = DeviceFrame(Picture(8, 8), 4096, 8, 8)
    crops = [Crop(frame, (0, 0, 20, 20)), Crop(frame, (10, 10, 66, 34))]
    inner = Crop(there, (1, 1, 4, 4))
    given = staging.upload([crops[0], there, crops[1], frame, inner])
    assert given[1] is there
    assert isinstance(given[4], Crop)
    assert given[4].frame is there
    one, other, whole = given[0], given[2], given[3]
    assert isinstance(one, Crop)
    assert isinstance(other, Crop)
    assert (one.xyxy, other.xyxy) == (crops[0].xyxy, crops[1].xyxy)
    assert one.frame is other.frame is whole
    assert isinstance(whole, DeviceFrame)
    assert (whole.source_width, whole.source_height) == (66, 34)
    assert context.num_copied_bytes == 1024  # 867 bytes, in whole lines
    assert ctypes.string_at(whole.address, frame.picture.size_bytes) == packed(frame)


def packed(frame: Frame) -> bytes:
    return b"".join(plane.tobytes() for plane in frame.planes)


def test_boxes_of_a_batch_of_any_layouts_are_those_of_each_view_alone(tmp_path: Path) -> None:
    spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
    wide, small = Picture(640, 360), Picture(64, 64)
    frames = [DeviceFrame(wide, n, 1920, 1080) for n in range(3)]
    frames += [DeviceFrame(small, 3, 64, 64), DeviceFrame(wide, 4, 640, 360)]
    views = [*frames, Crop(frames[0], (100.0, 100.0, 900.0, 700.0)), frames[0]]
    rng = np.random.default_rng(3)
    records = np.full((8, 1 + spec.max_detections, 6), np.nan, np.float32)
    for record, num in zip(records, (2, 0, 5, 1, 3, 4, 1, 0), strict=True):
        record[0, 0] = num
        record[1 : 1 + num] = rng.uniform(0, 64, (num, 6))
    found = RecordReader(spec).read([records[: len(views)]], views)
    assert [len(one) for one in found] == [2, 0, 5, 1, 3, 4, 1]
    for one, view, record in zip(found, views, records, strict=False):
        (alone,) = RecordReader(spec).read([record[None]], [view])
        for name in ("xyxy", "confidence", "class_id", "track_id"):
            np.testing.assert_array_equal(getattr(one, name), getattr(alone, name))
        assert not np.shares_memory(one.xyxy, records)
        way_back = SourceMaps(spec.input).of(view)
        np.testing.assert_array_equal(one.xyxy, way_back.apply(record[1 : 1 + len(one), :4]))


def test_a_batch_without_detections_has_none() -> None:
    spec = FAKE_SPEC
    records = np.zeros((2, 1 + spec.max_detections, 6), np.float32)
    views = [DeviceFrame(Picture(64, 36), n, 64, 36) for n in range(2)]
    assert [len(one) for one in RecordReader(spec).read([records], views)] == [0, 0]
