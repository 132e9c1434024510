"""A GPU that lacks something: no NVDEC, no memory, no room for one more decoder.

What fills a GPU or fails on it is a process of its own, which may not recover.
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from actors.ingest.config import IngestConfig
from actors.ingest.decoding import open_decoder
from actors.ingest.fleet import Ingest
from actors.ingest.source import open_source
from actors.ledger import Ledger
from actors.messages import Assignment, PoolLease, Release, SubmitReply, SubmitRequest
from actors.pools import PoolConfig, create_pool
from actors.specs import StreamSpec
from cluster.demo.rtsp.pattern import write_pattern
from engines.errors import DeviceError, DeviceMemoryError
from engines.frames import FramePool, Picture
from engines.spec import ModelSpec, Precision

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120.0
MIB = 1 << 20


def gpu_is_missing() -> bool:
    from engines.tensorrt.runtime import platform_of

    try:
        platform_of()
    except DeviceError:
        return True
    return False


GPU_IS_MISSING = gpu_is_missing()
on_a_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(GPU_IS_MISSING, reason="no GPU with TensorRT and PyCUDA"),
]


def eventually(is_true: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)


# Without NVDEC


class Link:
    """An engine that is done with every frame at once."""

    num_slots = 8

    def __init__(self) -> None:
        self.pool = FramePool.create(self.num_slots, Picture(256, 192).size_bytes)
        self._generation = 0

    def attach(self, ingest: str) -> PoolLease:
        self._generation += 1
        return PoolLease(self.pool.layout, range(self.num_slots), self._generation)

    def submit(self, request: SubmitRequest) -> SubmitReply:
        now = time.monotonic()
        return SubmitReply(tuple(Release(ticket.slot, None, now) for ticket in request.tickets))


class Words(logging.Handler):
    """Keeps what the decoders have to say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


def watch(film: str) -> None:
    """Three cameras that NVDEC should decode; prints what is said of them."""
    words, link, ledger = Words(), Link(), Ledger.create(3)
    logging.getLogger("actors.ingest.decoding").addHandler(words)
    ingest = Ingest("ingest-0", ledger, link, IngestConfig(decoder="nvdec"))
    try:
        for number in range(3):
            job = {"id": f"cam{number}", "url": film, "loop": True}
            spec = StreamSpec.model_validate(job)
            ingest.open_stream(Assignment(spec, token=1, ledger_row=number))
        eventually(lambda: all(ledger.row(n).read().inferred > 3 for n in range(3)), 30.0)
        streams = [s.properties for s in ingest.status().streams if s.properties is not None]
    finally:
        ingest.stop()
        link.pool.unlink()
        ledger.unlink()
    print(json.dumps([[[s.decoder, s.fallback] for s in streams], words.found]))


def watched_without_nvdec(tmp_path: Path) -> tuple[list[list[str]], list[str]]:
    """Decoders with their reasons, and the log, of a process that cannot load libnvcuvid."""
    write_pattern(tmp_path / "film.mp4", width=256, height=192, seconds=1.0)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "libnvcuvid.so.1").touch()  # the loader stops at the first of this name
    libraries = ":".join(filter(None, (str(hidden), os.environ.get("LD_LIBRARY_PATH"))))
    modules = os.pathsep.join((str(ROOT), *filter(None, sys.path)))
    code = f"from {__name__} import watch; watch({(tmp_path / 'film.mp4').as_uri()!r})"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": libraries, "PYTHONPATH": modules},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    decoders, words = json.loads(answer.stdout.splitlines()[-1])
    return decoders, words


def check_fallback(tmp_path: Path) -> str:
    """The reason that each of three streams gives, and that the log gives once."""
    decoders, words = watched_without_nvdec(tmp_path)
    assert [name for name, _ in decoders] == ["cpu"] * 3
    reasons = {reason for _, reason in decoders}
    assert len(reasons) == 1
    reason = reasons.pop()
    assert words == [f"decoding on the CPU: {reason}"]
    return reason


@pytest.mark.skipif(not GPU_IS_MISSING, reason="a GPU is here")
def test_without_a_gpu_every_stream_says_why_the_cpu_decodes_and_the_log_says_it_once(
    tmp_path: Path,
) -> None:
    assert re.search("install sightline|install the NVIDIA driver", check_fallback(tmp_path))


class TestWithoutNvdec:
    pytestmark = on_a_gpu

    def test_every_stream_names_what_is_missing_and_the_log_says_it_once(
        self, tmp_path: Path
    ) -> None:
        reason = check_fallback(tmp_path)
        assert "libnvcuvid" in reason
        assert "NVIDIA_DRIVER_CAPABILITIES" in reason


# A full GPU


def fill(left_bytes: int, parent: Connection) -> None:
    """Take the memory of the GPU but for so much, and keep it until told otherwise."""
    from engines.cuda.context import open_device

    held, context = [], open_device()
    step_bytes = 1 << 36
    while step_bytes >= MIB:
        with context:
            free_bytes = context.cuda.mem_get_info()[0]
        if free_bytes - left_bytes < step_bytes:
            step_bytes //= 2
            continue
        try:
            held.append(context.allocate(step_bytes))
        except DeviceMemoryError:
            step_bytes //= 2
    parent.send("full")
    parent.poll(TIMEOUT_S)
    os._exit(0)


@contextlib.contextmanager
def another(work: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process of its own, which is given the other end of a pipe as its last argument."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield mine
    finally:
        process.kill()
        process.join()


def answer_of(pipe: Connection) -> Any:
    assert pipe.poll(TIMEOUT_S), f"no answer within {TIMEOUT_S} s"
    return pipe.recv()


@contextlib.contextmanager
def full_gpu(left_bytes: int) -> Iterator[None]:
    with another(fill, left_bytes) as pipe:
        assert answer_of(pipe) == "full"
        yield


def start_twice(spec: ModelSpec, plans: Path, parent: Connection) -> None:
    """Start a slot's engine, which builds its plan, and when told another; say how that went."""
    os.environ |= {"SIGHTLINE_PLAN_CACHE": str(plans), "SIGHTLINE_TENSORRT_LEVEL": "0"}
    from actors.inference.actor import EngineActor
    from actors.inference.options import EngineOptions

    options = EngineOptions(device="cuda", max_batch_size=2, precision=Precision.FP32)
    pool = PoolConfig(4, Picture(64, 64).size_bytes, name="full-gpu-pool", device=0)
    for _ in range(2):
        actor = EngineActor(pool, 1)
        actor.load(spec, options)
        actor.serve()
        eventually(lambda a=actor: bool(a.status().model or a.status().error))
        parent.send((actor.status().model, actor.status().error))
        parent.poll(TIMEOUT_S)
        parent.recv()
        actor.stop()
    os._exit(0)


def open_decoders(film: str, max_decoders: int, parent: Connection) -> None:
    """Open one, and when told more and more until one is not NVDEC; say how all of them are."""
    opened: list[Any] = []
    sources = []

    def decode(decoder: Any, packets: Iterator[Any]) -> int:
        return sum(len(decoder.decode(next(packets))) for _ in range(12))

    found: list[tuple[str, str, int]] = []
    while len(opened) < max_decoders and (not found or found[-1][0] == "nvdec"):
        source = open_source(film)
        decoder, packets = open_decoder("nvdec", source.codec_context, 1 / 30), source.packets()
        num_pictures = decode(decoder, packets)
        found.append((decoder.name, decoder.fallback, num_pictures))
        opened.append((decoder, packets))
        sources.append(source)
        if len(opened) == 1:
            parent.send(found[0])
            parent.poll(TIMEOUT_S)
            parent.recv()
    again = [(decode(*each), each[0].name) for each in opened]
    parent.send((found, again))
    parent.poll(TIMEOUT_S)
    os._exit(0)


class TestFullGpu:
    pytestmark = on_a_gpu

    def test_a_pool_that_does_not_fit_says_what_is_free_and_what_is_wanted(self) -> None:
        config = PoolConfig(1024, Picture(1920, 1080).size_bytes, device=0)
        words = r"pool of 1024 slots of 3110400 bytes: .* has \d+ of \d+ bytes free, 3185049600 are"
        with full_gpu(64 * MIB), pytest.raises(DeviceMemoryError, match=words):
            create_pool(config)
        create_pool(config).unlink()

    def test_an_engine_that_does_not_fit_says_what_is_free(self, tmp_path: Path) -> None:
        from tests.engines.builders import tiny_spec, tiny_yolox, write_model

        spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
        with another(start_twice, spec, tmp_path / "plans") as pipe:
            assert answer_of(pipe) == ("tiny", "")
            with full_gpu(4 * MIB):
                pipe.send("go on")
                model, error = answer_of(pipe)
        assert model == ""
        assert re.search(r"\d+ of \d+ bytes free", error), error

    def test_one_decoder_too_many_is_the_cpu_s_and_says_so_and_the_others_go_on(
        self, tmp_path: Path
    ) -> None:
        write_pattern(tmp_path / "film.mp4", width=1920, height=1080, fps=30, seconds=1.0)
        with another(open_decoders, (tmp_path / "film.mp4").as_uri(), 64) as pipe:
            assert answer_of(pipe)[:2] == ("nvdec", "")
            with full_gpu(600 * MIB):
                pipe.send("go on")
                found, again = answer_of(pipe)
        *others, (name, reason, num_pictures) = found
        assert name == "cpu", f"{len(found)} decoders of 1080p fit into 600 MiB"
        assert "NVDEC" in reason
        assert num_pictures > 0
        assert others
        assert all(each[:2] == ("nvdec", "") and each[2] > 0 for each in others)
        assert all(num > 0 for num, _ in again)
        assert [decoder for _, decoder in again] == ["nvdec"] * len(others) + ["cpu"]
