"""The engine's actor, without Ray: what it says of itself while a model is made ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from actors.inference.actor import EngineActor
from actors.inference.options import EngineOptions
from actors.pools import PoolConfig
from engines.errors import PlanError
from engines.spec import ModelSpec
from engines.tensorrt.versions import BuildProgress
from tests.actors.builders import eventually
from tests.actors.secondary_street import plate_model, shade_model
from tests.engines.builders import tiny_spec, tiny_yolox, write_model


@pytest.fixture
def actor() -> Iterator[EngineActor]:
    made = EngineActor(PoolConfig(4, 1024, name="test-engine-actor"), 1)
    yield made
    made.stop()


def test_a_plan_that_is_built_is_told_until_it_is_done(
    actor: EngineActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Event()
    asked: dict[str, Any] = {}

    def create_engine(
        spec: ModelSpec, *, report: Callable[[BuildProgress], None], **options: object
    ) -> None:
        asked.update(options)
        report(BuildProgress(37.2))
        assert done.wait(30)
        raise PlanError("/plans/tiny.plan cannot be written")

    monkeypatch.setattr("engines.factory.create_engine", create_engine)
    actor.load(tiny_spec(Path("tiny.onnx")), EngineOptions(device="cuda", batch_sizes=(1, 8)))
    eventually(lambda: actor.status().building == "building the plan of tiny (37 s)")
    assert actor.status().error == ""
    done.set()
    eventually(lambda: actor.status().building == "")
    assert actor.status().error == "plan: /plans/tiny.plan cannot be written"
    assert asked["batch_sizes"] == (1, 8)


def test_secondaries_are_loaded_with_the_model_and_a_bad_one_leaves_all_as_it_was(
    actor: EngineActor, tmp_path: Path
) -> None:
    spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
    shade, plate = shade_model(tmp_path), plate_model(tmp_path)
    actor.load(spec, EngineOptions(secondaries=(shade,)))  # as a spare does
    eventually(lambda: actor.status().load_s is not None)
    actor.serve()
    eventually(lambda: actor.status().model == "tiny")
    wrong = replace(plate, model=plate.model.model_copy(update={"alphabet": ("A",)}))
    actor.load(spec.model_copy(update={"name": "other"}), EngineOptions(secondaries=(shade, wrong)))
    eventually(lambda: actor.status().error != "")
    assert "secondaries.1.model.alphabet" in actor.status().error
    assert actor.status().model == "tiny"
    actor.load(spec.model_copy(update={"name": "other"}), EngineOptions(secondaries=(plate,)))
    eventually(lambda: actor.status().model == "other")
    assert actor.status().error == ""
