from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path

import av
import pytest

from actors.ingest.decoder import CpuDecoder
from cluster.bench.gpu import decode, films, usage
from cluster.bench.gpu import farm as farm_bench
from cluster.bench.gpu import path as path_bench
from cluster.bench.gpu.document import summary
from cluster.bench.gpu.engine import best_fps, tables
from cluster.bench.gpu.farm import Farm, path_feeds, serve_farm
from cluster.bench.gpu.path import judge, losses, mb_a_stream
from cluster.bench.gpu.run import batch_sizes_of
from cluster.config import PipelineSpec
from cluster.demo.rtsp.pattern import write_pattern
from cluster.demo.rtsp.process import ServedCamera
from cluster.errors import UnavailableError
from engines.cuda.stand_in import HostMemory
from engines.spec import Precision
from engines.tensorrt.measure import Measurement

LATENCY = {"p50": 30.0, "p95": 90.0, "p99": 120.0}


def row(size: int, use_graphs: bool, fps: float, precision=Precision.FP16) -> Measurement:
    return Measurement(
        precision, size, use_graphs, 10.0, 20.0 if use_graphs else 400.0, 1.0, fps / 2, fps
    )


def decoded(processes: int, fps: float) -> dict[str, object]:
    return {
        "processes": processes,
        "decoders": 32,
        "copies": True,
        "fps": fps,
        "cpu_us": 90.0,
        "mb_a_stream": 75.0,
    }


ROWS = [row(1, False, 900.0), row(1, True, 2000.0), row(8, False, 5000.0), row(8, True, 9000.0)]


def cpu(user: float, system: float) -> dict[str, float]:
    return {"user": user, "system": system, "total": user + system}


def step(cameras: int, **fields: object) -> dict[str, object]:
    values = {
        "cameras": cameras,
        "decoded_fps": 30.0 * cameras,
        "inferred_fps": 30.0 * cameras,
        "latency_ms": LATENCY,
        "lost": {},
        "stages_ms": {"queue": {"p50": 4.0, "p95": 9.0, "p99": 12.0}},
        "cpu_us": {"all": cpu(250.0, 100.0), "ingest": cpu(150.0, 80.0)},
        "gpu": {"memory_mb": 5000.0 + 70 * cameras},
        "holds": True,
    }
    return {**values, **fields}


SLOW = row(8, True, 20_000.0, Precision.FP32)
FIGURES = {
    "setting": {"precision": "fp16"},
    "films": [{"film": "a.mp4", "codec": "h264", "mbit_s": 4.0, "rtp_packets": 12.3}],
    "decode": [decoded(2, 4800.0), decoded(4, 5000.0)],
    "engine": {
        "fp16": {"best": best_fps(ROWS), **tables(ROWS)},
        "fp32": {"best": best_fps([SLOW]), **tables([SLOW])},
    },
    "path": {"steps": [step(32), step(140)], "best": step(140), "mb_a_stream": 70.0},
    "ingest": {"2": step(96, lost={"overload": 7}, holds=False)},
    "mps": {"path": {"steps": [step(156)], "best": step(156)}},
}


@pytest.mark.parametrize(
    "fields",
    [{"lost": {"overload": 1}}, {"latency_ms": {"p95": 151.0}}, {"decoded_fps": 0.97 * 300}],
)
def test_a_number_of_cameras_fails_where_frames_are_lost_or_late(fields):
    assert judge(step(10), 150.0)
    assert not judge(step(10, **fields), 150.0)


def test_what_was_lost_in_between_is_told_by_reason():
    before = [{"dropped": {"overload": 3, "deadline": 0}, "decode_errors": 1}] * 2
    after = [{"dropped": {"overload": 5, "deadline": 0}, "decode_errors": 2}] * 2
    assert losses(before, after) == {"overload": 4, "refused": 2}
    assert losses(after, after) == {}


def test_memory_of_a_stream_is_the_slope_over_the_numbers_of_cameras():
    assert mb_a_stream([step(32), step(64), step(140)]) == 70.0
    assert mb_a_stream([step(32)]) is None
    assert mb_a_stream([step(32, gpu={}), step(64, gpu={})]) is None


def test_memory_of_one_number_of_cameras_includes_what_all_need():
    assert path_bench.mb_with_contexts([step(32), step(100)], 4000.0) == 80.0
    assert path_bench.mb_with_contexts([step(32)], None) is None
    assert path_bench.mb_with_contexts([step(32, gpu={})], 4000.0) is None


def test_cameras_share_the_films_and_are_of_one_class():
    feeds = path_feeds([Path("a.mp4"), Path("b.mp4")], 5)
    assert [feed.clip.name for feed in feeds] == ["a.mp4", "b.mp4", "a.mp4", "b.mp4", "a.mp4"]
    assert len({feed.name for feed in feeds}) == 5
    assert {feed.qos_class for feed in feeds} == {"normal"}
    assert all(len(feed.rules) == 3 for feed in feeds)


def test_the_ratio_is_of_the_slower_of_decoder_and_engine():
    found = summary(FIGURES)
    assert (found["decode_fps"], found["engine_fps"], found["path_fps"]) == (5000, 9000, 4200)
    assert (found["ratio"], found["ratio_holds"], found["cpu_holds"]) == (0.84, False, True)
    assert (found["cameras"], found["cpu_us"], found["latency_holds"]) == (140, 350.0, True)
    assert found["mps"]["cameras"] == 156


@pytest.mark.parametrize("missing", ["decode", "engine", "path"])
def test_without_a_part_there_is_no_ratio(missing):
    found = summary({part: figures for part, figures in FIGURES.items() if part != missing})
    assert found["ratio"] is None


def test_a_path_that_never_held_has_no_figure():
    found = summary({**FIGURES, "path": {"steps": [step(32, holds=False)], "best": None}})
    assert (found["path_fps"], found["ratio"], found.get("cpu_holds")) == (None, None, None)


def test_the_engine_is_judged_by_its_fastest_batch_of_the_precision_that_runs():
    fp32 = summary({**FIGURES, "setting": {"precision": "fp32"}})
    assert (summary(FIGURES)["engine_fps"], fp32["engine_fps"]) == (9000, 20_000)


def test_gains_of_graphs_and_of_the_second_lane_are_told_for_each_size():
    gains = tables(ROWS)["gains"]
    assert [gain["batch_size"] for gain in gains] == [1, 8]
    assert {gain["enqueue_ratio"] for gain in gains} == {20.0}
    assert {gain["double_over_single"] for gain in gains} == {2.0}


@pytest.mark.parametrize(
    ("fields", "sizes"),
    [
        ({"max_batch_size": 1}, (1,)),
        ({"max_batch_size": 8}, (1, 2, 4, 8)),
        ({"max_batch_size": 12}, (1, 2, 4, 8, 12)),
        ({"batch_sizes": (1, 12)}, (1, 12)),
        ({}, (1, 2, 4, 8, 16, 32)),
    ],
)
def test_the_engine_alone_is_built_for_the_sizes_of_a_slot(fields, sizes):
    assert batch_sizes_of(PipelineSpec(**fields)) == sizes


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_processor_time_counts_a_process_with_its_children_but_for_those_left_out():
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=burn, args=(60.0,))
    worker.start()
    try:
        pid = worker.pid or 0
        before = usage.cpu_times(os.getpid())
        while usage.cpu_times(pid).get(pid, usage.CpuTime()).total_s < 0.3:
            time.sleep(0.02)
        after = usage.cpu_times(os.getpid())
        assert usage.spent(before, after)[pid].user_s > 0
        assert {os.getpid(), pid} <= set(after)
        assert pid not in usage.cpu_times(os.getpid(), {pid})
    finally:
        worker.kill()
        worker.join()


def test_without_nvidia_smi_the_gauges_say_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with usage.GpuGauges() as gauges:
        pass
    assert gauges.medians == {}


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", "h264"), ("libx265", "hevc")])
def test_films_are_scaled_up_and_begin_each_second_with_a_key_frame(
    encoder, codec, tmp_path, monkeypatch
):
    monkeypatch.setattr(films, "WIDTH", 320)
    monkeypatch.setattr(films, "HEIGHT", 180)
    write_pattern(tmp_path / "small.mp4", width=160, height=90, fps=30, seconds=2.0)
    films.enlarge(tmp_path / "small.mp4", tmp_path / "large.mp4", encoder, 500_000)
    with av.open(str(tmp_path / "large.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == (codec, 320, 180)
        assert stream.average_rate == 30
        assert sum(1 for _ in container.decode(video=0)) == 60
    context, packets = films.packets_of(tmp_path / "large.mp4")
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [0, 30]
    assert all(data[:4] == b"\0\0\0\1" for data in map(bytes, packets))
    pictures = [picture for packet in [*packets, None] for picture in context.decode(packet)]
    assert [(p.width, p.height) for p in pictures] == [(320, 180)] * 60


class Api:
    """Answers as the API does for cameras that all run, until there are too many of them."""

    def __init__(self, most: int, *, stuck_from: int = 1000) -> None:
        self.most = most
        self.stuck_from = stuck_from
        self.bodies: list[dict[str, object]] = []
        self.num_looks = 0

    def post(self, path: str, body: dict[str, object]) -> None:
        self.bodies.append(body)

    def get(self, path: str) -> dict[str, object]:
        if path == "/v1/slots":
            actors = [{"name": "engine", "pid": os.getpid()}]
            load = {"batch_ms": {}, "batch_fill": 8.0, "utilisation": 0.5, "batch_counts": {}}
            counts = {"latency_counts": {"5.0": 30 * self.num_looks}}
            stages = {"queue": {"normal": counts, "high": counts}}
            return {"slots": [{"details": {"actors": actors}, "stages": stages, **load}]}
        self.num_looks += 1
        num_frames = 0 if len(self.bodies) > self.stuck_from else self.num_looks
        return {
            "decoded": num_frames * 30,
            "inferred": num_frames * 30,
            "updated_at": float(self.num_looks),
            "dropped": {"overload": self.num_looks if len(self.bodies) > self.most else 0},
            "decode_errors": 0,
            "latency_counts": {"20.0": num_frames * 30},
            "source": {"decoder": "nvdec", "fallback": ""},
        }


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(path_bench, "_WARM_UP_S", 0.0)
    monkeypatch.setattr(path_bench, "judge", lambda step, _: not step["lost"])


def raised(api: Api, step: int | None = 3) -> list[dict[str, object]]:
    plan = path_bench.PathPlan(4, step, 12, 0.01, 150.0, {}, {})
    feeds = path_feeds([Path("a.mp4")], plan.num_feeds)
    served = {f.name: ServedCamera(f.name, f"rtsp://127.0.0.1/{f.name}", 0, 30, 1) for f in feeds}
    farm = Farm(served, frozenset())
    return path_bench._raise(api, feeds, farm, plan, lambda _: None)


def test_cameras_are_added_until_frames_are_lost(quick):
    api = Api(most=7)
    steps = raised(api)
    assert [(step["cameras"], step["holds"]) for step in steps] == [
        (4, True),
        (7, True),
        (10, False),
    ]
    assert steps[-1]["lost"]["overload"] > 0
    assert steps[0]["decoders"] == {"nvdec": 4}
    assert steps[0]["latency_ms"] == {"p50": 20.0, "p95": 20.0, "p99": 20.0}
    assert set(steps[0]["cameras_p95_ms"].values()) == {20.0}
    assert set(steps[0]["busy_cores"]) == {"engine"}
    assert {"all", "engine"} <= set(steps[0]["cpu_us"]) <= {"all", "engine", "rest"}
    assert steps[0]["stages_ms"] == {"queue": {"p50": 5.0, "p95": 5.0, "p99": 5.0}}
    assert {body["transport"] for body in api.bodies} == {"tcp"}
    assert len({body["id"] for body in api.bodies}) == 10


def test_the_best_the_middle_and_the_worst_camera_are_told():
    def stats(num: int, ms: float) -> dict[str, object]:
        return {"inferred": num, "latency_counts": {str(ms): num}}

    before = [stats(0, 20.0)] * 4
    after = [stats(30, 80.0), stats(30, 20.0), stats(0, 20.0), stats(30, 40.0)]
    found = path_bench.of_cameras(before, after)
    assert found == {"least": 20.0, "median": 40.0, "most": 80.0}
    assert path_bench.of_cameras(before, before) == {}


def test_all_cameras_are_measured_where_all_of_them_hold(quick):
    assert [step["cameras"] for step in raised(Api(most=100))] == [4, 7, 10, 12]


def test_without_a_step_one_number_of_cameras_is_measured(quick):
    assert [step["cameras"] for step in raised(Api(most=100), step=None)] == [4]


def test_cameras_that_do_not_start_end_the_search_with_what_was_measured(quick, monkeypatch):
    def await_all(api: Api, feeds: list[object]) -> None:
        if len(feeds) > 4:
            raise TimeoutError("not all cameras run after 60 s")

    monkeypatch.setattr(path_bench, "await_all", await_all)
    assert [step["cameras"] for step in raised(Api(most=100))] == [4]


def test_streams_are_told_apart_by_what_decodes_them():
    on_cpu = {"source": {"decoder": "cpu", "fallback": "no libnvcuvid"}}
    streams = [{"source": {"decoder": "nvdec", "fallback": ""}}, on_cpu, {"source": None}]
    assert path_bench.decoders(streams) == {"nvdec": 1, "cpu: no libnvcuvid": 1, "none": 1}


def test_the_cameras_are_spread_over_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(farm_bench, "_CAMERAS_A_PROCESS", 2)
    write_pattern(tmp_path / "clip.mp4", width=64, height=64, seconds=1.0)
    with serve_farm(path_feeds([tmp_path / "clip.mp4"], 3)) as farm:
        assert len(farm.pids) == 2
        assert sorted(farm.cameras) == ["cam000", "cam001", "cam002"]
        assert farm.pids <= set(usage.cpu_times(os.getpid()))


@pytest.mark.parametrize("copies", [False, True])
def test_decoders_of_a_process_start_together_and_are_counted_together(
    copies, tmp_path, monkeypatch
):
    """With the decoder of the CPU and memory of the host in the place of the GPU's."""

    class Decoder(CpuDecoder):
        def __init__(self, context, interval_s: float) -> None:
            super().__init__(av.CodecContext.create(context.name, "r"), interval_s)
            self._context.extradata = context.extradata
            self.name = "nvdec"

    monkeypatch.setattr(decode, "NvdecDecoder", Decoder)
    monkeypatch.setattr(decode, "nvdec_fault", str)
    monkeypatch.setattr(decode, "_free_bytes", int)
    monkeypatch.setattr(decode, "_ready", threading.Barrier(1))
    monkeypatch.setattr("engines.cuda.pool._cuda_memory", lambda: HostMemory)
    write_pattern(tmp_path / "film.mp4", width=64, height=64, fps=30, seconds=2.0)
    found = decode._decode_in_rounds(tmp_path / "film.mp4", 3, 0.2, copies)
    assert found["frames"] > 60
    assert found["fps"] > 0
    assert found["mb_a_stream"] == 0


def test_a_decoder_that_falls_back_is_no_measurement(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "NvdecDecoder", CpuDecoder)
    monkeypatch.setattr(decode, "nvdec_fault", str)
    monkeypatch.setattr(decode, "_free_bytes", int)
    write_pattern(tmp_path / "film.mp4", width=64, height=64, fps=30, seconds=1.0)
    with pytest.raises(UnavailableError, match="the GPU is full, try fewer decoders"):
        decode._decode_in_rounds(tmp_path / "film.mp4", 2, 0.1, False)


def test_processes_that_cannot_decode_say_why_and_leave_nobody_waiting(tmp_path):
    if not decode.nvdec_fault():
        pytest.skip("NVDEC works here")
    write_pattern(tmp_path / "film.mp4", width=64, height=64, fps=30, seconds=1.0)
    with pytest.raises(UnavailableError, match="NVDEC cannot be measured"):
        decode.measure_decode(
            tmp_path / "film.mp4",
            num_processes=(2,),
            num_decoders=4,
            seconds=0.1,
            report=lambda _: None,
        )
