"""Benchmarks measure what they say; how much it is, is not tested."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame

from cluster.bench import scheduler
from cluster.bench.e2e import percentiles, rate_fps, sum_drops
from cluster.bench.plain import _Preparation, plain_loop
from cluster.config import PipelineSpec
from cluster.demo.world import Scenario, render_clip
from cluster.models import resolve_model

MODEL = resolve_model(PipelineSpec())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "tiny.mp4"
    render_clip(Scenario(seed=3, view="bridge", width=64, height=36, fps=5, duration_s=1), path)
    return path


def stats(decoded: int, at_s: float, **fields: Any) -> dict[str, Any]:
    return {"decoded": decoded, "updated_at": at_s, **fields}


@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_the_plain_loop_infers_one_frame_of_so_many_and_starts_its_films_again(
    clip: Path, monkeypatch: pytest.MonkeyPatch, ratio: float
) -> None:
    clock = SimpleNamespace(monotonic=itertools.count().__next__)  # a second a frame
    monkeypatch.setattr("cluster.bench.plain.time", clock)
    found = plain_loop([clip, clip], MODEL, seconds=40, decoded_per_inferred=ratio)
    assert found["decoded_fps"] == pytest.approx(40 / 41)
    assert found["inferred_fps"] == pytest.approx(40 / ratio / 41)


def test_the_plain_loop_feeds_the_model_as_the_model_wants() -> None:
    grey = np.full((90, 160, 3), 200, np.uint8)
    tensor = _Preparation(MODEL)(VideoFrame.from_ndarray(grey, format="rgb24"))
    wanted = MODEL.input
    assert tensor.shape == (1, 3, wanted.height, wanted.width)
    assert tensor.dtype == np.float32
    filled = tensor[0, :, : wanted.width * 90 // 160, :]
    np.testing.assert_allclose(filled, 200, atol=2)
    np.testing.assert_array_equal(tensor[0, :, wanted.width * 90 // 160 :, :], wanted.pad_value)


def test_the_schedulers_cost_is_measured_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_NUM_FRAMES", 100)
    monkeypatch.setattr(scheduler, "_SIZES", (3, 30))
    figures = scheduler.measure_scheduler()
    costs = figures["us_per_frame"]
    assert list(costs) == ["3", "30"]
    assert list(figures["growth_over_log_n"]) == ["30"]
    assert all(cost > 0 for cost in costs.values())


def test_rates_of_cameras_add_up_by_their_own_clocks() -> None:
    before = [stats(100, 10.0), stats(0, 10.5)]
    after = [stats(200, 14.0), stats(50, 12.5)]
    assert rate_fps(before, after, "decoded") == pytest.approx(25 + 25)


def test_latencies_are_those_of_all_cameras_in_the_span_alone() -> None:
    before = [{"latency_counts": {"900.0": 50}}, {"latency_counts": {}}]
    after = [{"latency_counts": {"900.0": 50, "5.0": 60}}, {"latency_counts": {"30.0": 40}}]
    assert percentiles(before, after) == {"p50": 5.0, "p95": 30.0, "p99": 30.0}


def test_drops_of_cameras_add_up_by_reason() -> None:
    drops = [{"sampled": 2, "deadline": 1}, {"sampled": 3, "deadline": 0}]
    assert sum_drops([{"dropped": d} for d in drops]) == {"sampled": 5, "deadline": 1}
