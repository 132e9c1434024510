"""What batches cost is known when a model is loaded."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from actors.inference.warm_up import batch_costs_ms
from engines.inspection import load_spec
from engines.onnxruntime.engine import OnnxRuntimeEngine

MODEL = Path(__file__).parents[2] / "engines/models/traffic-yolox.yaml"


def test_a_real_engine_is_measured_at_sizes_that_double() -> None:
    engine = OnnxRuntimeEngine(load_spec(MODEL), max_batch_size=3)
    engine.load()
    costs = batch_costs_ms(engine, itertools.count(0, 1e-4).__next__)
    assert list(costs) == [1, 2]
    assert list(costs.values()) == pytest.approx([0.1, 0.1])
    real = batch_costs_ms(engine)
    assert 0 < real[1] < float("inf")
    engine.close()


def test_on_a_slow_machine_only_the_smallest_batch_is_measured() -> None:
    engine = OnnxRuntimeEngine(load_spec(MODEL), max_batch_size=4)
    engine.load()
    costs = batch_costs_ms(engine, itertools.count(0, 1.0).__next__)
    assert costs == {1: 1000.0}
    engine.close()
