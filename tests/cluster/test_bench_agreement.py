"""The comparison of GPU and CPU, with the CPU on both sides; on a GPU the command itself is run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from actors.ingest.nvdec import nvdec_fault, unsupported
from actors.ingest.source import open_source
from cluster.bench.claims import all_hold
from cluster.bench.gpu.agreement import (
    REFERENCE,
    AgreementPlan,
    Comparison,
    claims_of,
    class_of,
    document,
    grey_levels,
    measure_agreement,
)
from cluster.bench.gpu.pets import EVERY, Pets, ap50, coded_copy, play
from cluster.bench.gpu.sides import CpuSide, unpacked
from cluster.cli.main import app
from cluster.demo.rtsp.pattern import write_pattern
from cluster.errors import UnavailableError
from cluster.models import BUILTIN_SPEC
from engines.cuda.pool import DevicePool
from engines.cuda.stand_in import HostMemory
from engines.detections import Detections
from engines.errors import ModelError
from engines.frames import Chroma, FramePool, Picture
from engines.onnxruntime import OnnxRuntimeEngine
from engines.spec import ModelSpec
from engines.spec_file import read_spec
from tests.engines.builders import random_frame
from tests.engines.cuda_backends import backend_of

DATA = Path(__file__).parents[3] / "shared" / "data"
SIZE = {"width": 128, "height": 96}
SLOT_BYTES = Picture(**SIZE).size_bytes
SPEC = read_spec(BUILTIN_SPEC)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write_pattern(path, codec="mpeg4", fps=10, seconds=2.0, **SIZE)
    return path


@pytest.fixture(scope="module")
def reference() -> OnnxRuntimeEngine:
    engine = OnnxRuntimeEngine(SPEC, max_batch_size=1)
    engine.load()
    return engine


def cpu_side() -> CpuSide:
    return CpuSide(SPEC, SLOT_BYTES, (4,), print)


def test_both_sides_of_the_cpu_see_the_same(film: Path, reference: OnnxRuntimeEngine) -> None:
    side = cpu_side()
    seen = Comparison(SPEC.input, reference, side).watch(film, "cpu")
    side.close()
    assert set(seen.found) == {REFERENCE, "onnxruntime fp32, batches"}
    numbers = list(range(1, 21, EVERY))
    for found in seen.found.values():
        assert list(found) == numbers
    for ours, theirs in zip(*(found.values() for found in seen.found.values()), strict=True):
        np.testing.assert_array_equal(ours.xyxy, theirs.xyxy)
    assert (seen.num_different, seen.decoded_levels, seen.prepared_levels) == (0, 0, {})


def test_pictures_that_the_other_decoder_gives_differently_are_counted(
    film: Path, reference: OnnxRuntimeEngine
) -> None:
    class Darker(CpuSide):
        num_written = 0

        def write(self, slot: int, frame: av.VideoFrame) -> None:
            self.num_written += 1
            planes = frame.to_ndarray()
            if self.num_written == 3:
                planes[:96] -= 3
            super().write(slot, av.VideoFrame.from_ndarray(planes, format="yuv420p"))

    side = Darker(SPEC, SLOT_BYTES, (4,), print)
    seen = Comparison(SPEC.input, reference, side).watch(film, "cpu")
    side.close()
    assert (seen.num_different, seen.decoded_levels) == (1, 3)


class KernelSide(CpuSide):
    """Has the preprocessing kernel, compiled for the host, and pictures in a device pool."""

    def __init__(self, spec: ModelSpec, offset: float = 0.0) -> None:
        super().__init__(spec, SLOT_BYTES, (4,), print)
        self._backend = backend_of("host")
        self._offset = offset
        self._spec = spec
        self._device_pool = DevicePool.create(4, SLOT_BYTES, memory=HostMemory)

    def prepare(self, num: int, dtype: type[np.floating[Any]]) -> Any:
        frames = []
        for slot in range(num):
            frame = self.download(slot)
            self._device_pool.write(slot, frame.picture, frame.planes)
            frames.append(self._device_pool.read(slot, frame.picture))
        return self._backend.letterbox(self._spec.input, frames, dtype) + dtype(self._offset)

    def close(self) -> None:
        super().close()
        self._device_pool.unlink()


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_the_input_that_the_kernel_makes_is_compared_with_that_of_the_cpu(
    film: Path, reference: OnnxRuntimeEngine, offset: float
) -> None:
    side = KernelSide(SPEC, offset)
    seen = Comparison(SPEC.input, reference, side).watch(film, "cpu", max_frames=6)
    side.close()
    assert set(seen.prepared_levels) == {"float32", "float16"}
    std = max(SPEC.input.std)
    for levels in seen.prepared_levels.values():
        assert levels == pytest.approx(offset * std, abs=0.3)


def test_a_batch_that_is_not_full_is_compared_too(film: Path, reference: OnnxRuntimeEngine) -> None:
    side = cpu_side()
    seen = Comparison(SPEC.input, reference, side).watch(film, "cpu", max_frames=6)
    side.close()
    assert [len(found) for found in seen.found.values()] == [6, 6]


def test_the_copy_is_h264_that_nvdec_takes_with_every_frame_nearly_as_it_was(
    film: Path, tmp_path: Path
) -> None:
    copy = coded_copy(film, tmp_path / "cache")
    context = open_source(copy.as_uri()).codec_context
    assert (context.name, unsupported(context)) == ("h264", "")
    pairs = zip(play(film, "cpu"), play(copy, "cpu"), strict=True)
    differences = [np.abs(a.to_ndarray().astype(int) - b.to_ndarray()).mean() for a, b in pairs]
    assert len(differences) == 10
    assert max(differences) < 2
    made_at = copy.stat().st_mtime_ns
    assert coded_copy(film, tmp_path / "cache") == copy
    assert copy.stat().st_mtime_ns == made_at
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


@pytest.mark.skipif(not nvdec_fault(), reason="NVDEC works here")
def test_what_nvdec_does_not_decode_is_no_comparison(film: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"film.*\.mp4 without nvdec: "):
        next(play(coded_copy(film, tmp_path), "nvdec"))


@pytest.mark.parametrize("chroma", Chroma)
def test_packed_planes_come_apart_as_a_pool_reads_them(chroma: Chroma) -> None:
    frame = random_frame(Picture(7, 5, chroma=chroma))
    planes = frame.planes
    if chroma is Chroma.INTERLEAVED:
        planes = (planes[0], np.stack(planes[1:], axis=2).reshape(len(planes[1]), -1))
    pool = FramePool.create(1, frame.picture.size_bytes)
    try:
        pool.write(0, frame.picture, planes)
        data = np.concatenate([np.ascontiguousarray(plane).ravel() for plane in planes])
        shown = unpacked(data, frame.picture)
        assert grey_levels(shown, pool.read(0, frame.picture)) == 0
        assert grey_levels(shown, frame) == 0
        data[0] ^= 128
        assert grey_levels(shown, frame) == 128
    finally:
        pool.unlink()


def detections(*boxes: tuple[float, float, float, float], class_id: int = 0) -> Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections.of(xyxy, np.linspace(0.9, 0.5, len(boxes)), np.full(len(boxes), class_id))


TRUTH = np.array(
    [  # frame, id, left, top, width, height, counts
        [1, 1, 10, 10, 20, 40, 1],
        [1, 2, 60, 10, 20, 40, 1],
        [3, 1, 12, 10, 20, 40, 1],
        [3, 3, 90, 10, 20, 40, 0],
    ],
    float,
)


def test_average_precision_counts_those_that_count() -> None:
    first = detections((10, 10, 30, 50), (60, 10, 80, 50))
    third = detections((12, 10, 32, 50), (90, 10, 110, 50))
    assert ap50({1: first, 3: third}, TRUTH, 0) == pytest.approx(1.0)
    assert ap50({1: first, 3: Detections.empty()}, TRUTH, 0) == pytest.approx(2 / 3)
    cars = detections((10, 10, 30, 50), class_id=2)
    assert ap50({1: cars, 3: third}, TRUTH, 0) == pytest.approx(1 / 3)


def figures(difference: float = 0.004, levels: float = 0.1) -> dict[str, Any]:
    rows = [
        {"engine": REFERENCE, "difference": 0.0},
        {"engine": "tensorrt fp32", "difference": 0.001},
        {"engine": "tensorrt fp16", "difference": difference},
    ]
    return {"rows": rows, "preprocessing": {"cpu": {"float32": levels, "float16": 0.0}}}


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (figures(), True),
        (figures(difference=-0.004), True),
        (figures(difference=-0.006), False),
        (figures(levels=2.1), False),
        ({**figures(), "preprocessing": {"cpu": {}}}, True),
        ({"rows": figures()["rows"][:1], "preprocessing": {}}, False),
    ],
)
def test_claims_hold_within_their_limits_on_either_side(found: dict[str, Any], holds: bool) -> None:
    assert all_hold(claims_of(found)) is holds


def test_the_document_says_how_far_each_engine_is_from_the_reference(
    film: Path, reference: OnnxRuntimeEngine
) -> None:
    side = cpu_side()
    seen = Comparison(SPEC.input, reference, side).watch(film, "cpu", max_frames=2)
    side.close()
    right = {1: detections((10, 10, 30, 50), (60, 10, 80, 50)), 3: detections((12, 10, 32, 50))}
    seen.found = {REFERENCE: right, "other": {**right, 3: Detections.empty()}}
    found = document({"cpu": seen}, TRUTH, 0)
    assert [(row["engine"], row["ap50"]) for row in found["rows"]] == [
        (REFERENCE, 1.0),
        ("other", 0.6667),
    ]
    assert found["rows"][1]["difference"] == pytest.approx(-1 / 3, abs=1e-4)
    assert (found["num_frames"], found["holds"]) == ({"cpu": 2}, False)
    assert json.loads(json.dumps(found)) == found


def test_a_folder_without_the_film_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"pets09.*does not exist.*--data"):
        Pets.within(tmp_path)


def test_a_model_that_knows_no_person_is_refused() -> None:
    spec = SPEC.model_copy(update={"labels": ("car", "bus")})
    with pytest.raises(ModelError, match=r"labels: .* has no class person: car, bus"):
        class_of(spec, "person")
    assert class_of(spec, "bus") == 1


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="shared/data is absent")
def test_pets_gives_the_same_alone_and_in_batches() -> None:
    open_side = partial(CpuSide, batch_sizes=(4,), report=print)
    plan = AgreementPlan(DATA, None, "cpu", open_side, max_frames=10)
    found = measure_agreement(plan, print)
    assert found["holds"]
    assert found["num_frames"] == {"cpu": 10}
    assert all(row["ap50"] > 0.7 for row in found["rows"])


@pytest.mark.parametrize(("difference", "status"), [(0.001, 0), (0.01, 1)])
def test_the_command_ends_as_the_claims_say_and_writes_what_it_found(
    difference: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def measure(plan: AgreementPlan, report: Any) -> dict[str, Any]:
        plans.append(plan)
        found = figures(difference)
        known = {"decoder": "cpu", "ap50": 0.9}
        found["rows"] = [{**known, **row} for row in found["rows"]]
        found["decoding"] = {"cpu": {"num_different": 0, "grey_levels": 0}}
        claims = claims_of(found)
        listed = [{"text": c.text, "found": c.found, "holds": c.holds} for c in claims]
        return {**found, "claims": listed, "holds": all_hold(claims)}

    monkeypatch.setattr("cluster.bench.gpu.agreement.measure_agreement", measure)
    path = tmp_path / "agreement.json"
    arguments = ["bench", "agreement", "--data", str(tmp_path), "--device", "cpu"]
    result = CliRunner().invoke(app, [*arguments, "--json", str(path)])
    assert result.exit_code == status, result.output
    assert "num_different 0" in result.output
    assert json.loads(path.read_text())["holds"] is (status == 0)
    assert (plans[0].data, plans[0].decoder, plans[0].max_frames) == (tmp_path, "nvdec", None)
    assert plans[0].open_side.func is CpuSide
    assert plans[0].open_side.keywords["batch_sizes"] == (8,)
