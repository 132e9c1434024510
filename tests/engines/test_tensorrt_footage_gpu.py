"""Published models of crops on TensorRT in FP16, on real pictures, beside ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from engines.crops import View, cut
from engines.errors import DeviceError
from engines.readings import Attributes, Embeddings, Readings, Texts
from engines.spec import ModelSpec, Precision
from engines.tensorrt import TensorRtReader
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.options import BuildOptions
from tests.engines import footage
from tests.engines.footage import DATA, shot
from tests.engines.test_families_footage import (
    PERSONS,
    PETS,
    STREET,
    VEHICLES,
    plates,
    plates_spec,
    reader,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.data,
    pytest.mark.skipif(not DATA.exists(), reason="shared/data is absent"),
]

BATCH_SIZE = 8
NUM_PLATES = 80

Load = Callable[[ModelSpec], TensorRtReader]


@pytest.fixture
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    made: list[TensorRtReader] = []

    def loaded(spec: ModelSpec) -> TensorRtReader:
        from engines.tensorrt.runtime import platform_of

        try:
            platform_of()
        except DeviceError as error:
            pytest.skip(str(error))
        engine = TensorRtReader(
            spec,
            batch_sizes=(BATCH_SIZE,),
            precision=Precision.FP16,
            options=BuildOptions(optimization_level=0).overridden(),
            cache=PlanCache(tmp_path_factory.mktemp("plans")),
        )
        engine.load()
        made.append(engine)
        return engine

    yield loaded
    for engine in made:
        engine.close()


def on_both(load: Load, spec: ModelSpec, views: Sequence[View]) -> list[tuple[Readings, Readings]]:
    """What TensorRT reads and what ONNX Runtime does, batch by batch."""
    engine, reference = load(spec), reader(spec)
    batches = [views[first : first + BATCH_SIZE] for first in range(0, len(views), BATCH_SIZE)]
    return [(engine.infer(batch), reference.infer(batch)) for batch in batches]


def crops_of(video: str, index: int) -> Sequence[View]:
    """Boxes all over a picture, whatever is in them."""
    frame = shot(video, index)[0]
    x, y = np.meshgrid(np.linspace(0, 0.6, 4), np.linspace(0, 0.5, 4))
    share = np.stack((x, y, x + 0.2, y + 0.4), axis=-1).reshape(-1, 4)
    size = np.array([frame.source_width, frame.source_height] * 2)
    return cut(frame, share * size).crops


def test_plates_are_read_as_on_the_cpu(load: Load) -> None:
    views, _ = plates()
    same, num = 0, 0
    for found, wanted in on_both(load, plates_spec(), views[:NUM_PLATES]):
        assert isinstance(found, Texts)
        assert isinstance(wanted, Texts)
        same += sum(a == b for a, b in zip(found.text, wanted.text, strict=True))
        num += len(wanted)
    assert num == NUM_PLATES
    assert same >= 0.97 * num


def test_attributes_are_those_of_the_cpu(load: Load) -> None:
    spec = footage.spec("attributes", "vehicle_attributes_0039.onnx", **VEHICLES)
    for found, wanted in on_both(load, spec, crops_of(STREET, 60)):
        assert isinstance(found, Attributes)
        assert isinstance(wanted, Attributes)
        for head, reference in zip(found.probabilities, wanted.probabilities, strict=True):
            assert np.abs(head - reference).mean() < 0.01
            np.testing.assert_allclose(head, reference, atol=0.1)


def test_embeddings_point_where_those_of_the_cpu_do(load: Load) -> None:
    spec = footage.spec("embedding", "osnet_x0_25_dynbatch.onnx", **PERSONS)
    for found, wanted in on_both(load, spec, crops_of(PETS, 100)):
        assert isinstance(found, Embeddings)
        assert isinstance(wanted, Embeddings)
        assert (found.vectors * wanted.vectors).sum(axis=1).min() > 0.99
