"""Rendering: clips of the synthetic world, sent through H.264, kept as YCbCr pictures with truth.

Seeds are disjoint: training 1,000 to 7,999, validation 8,000 to 8,999, test from 10,000 on. The
demo's default cameras have seeds below 1,000, so that it never shows what was trained on.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray
from progress import Progress

from cluster.demo.world import VIEWS, FrameTruth, Scenario, World

SOURCE_WIDTH, SOURCE_HEIGHT = 640, 360
TIMES_OF_DAY = ("day", "dusk", "night")
FIRST_SEEDS = {"train": 1_000, "validation": 8_000, "test": 10_000}
MAX_CLIPS = {"train": 7_000, "validation": 1_000, "test": 10_000}

# More is learnt than is scored. A car is lower than a lorry beside it: where what is just too small
# to be scored counts neither way, all that is learnt far away are lorries.
LEARNT_HEIGHT_PX, LEARNT_AREA_PX, LEARNT_VISIBLE = 7.0, 56.0, 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """How clips of a split are filmed.

    Attributes:
        fps: Frames a second that are drawn and encoded.
        duration_s: Length of a clip.
        keep_every: One frame of so many is kept.
        long_every: One clip of so many lasts three times as long at a third of the rate, so that
            what takes time (parking, driving the wrong way) is seen too; 0 for none.
    """

    fps: int
    duration_s: float
    keep_every: int
    long_every: int = 0


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """One clip: what is drawn, how hard it is compressed, and which frames are kept."""

    split: str
    scenario: Scenario
    crf: int
    keep_every: int

    @property
    def name(self) -> str:
        """File name of the clip; it tells view and time of day."""
        scenario = self.scenario
        return f"{scenario.seed:05d}-{scenario.view}-{scenario.time_of_day}.npz"


@dataclass(frozen=True, slots=True)
class Clip:
    """Kept frames of a clip.

    Attributes:
        planes: Packed yuv420p pictures, uint8 ``[N, 640 * 360 * 3 / 2]``, BT.709, limited range.
        counts: Number of objects in each frame, ``[N]``.
        xyxy: Boxes of all frames, source pixels, float32 ``[sum(counts), 4]``.
        class_id: Classes, int32.
        ignore: Objects that count neither way, bool: in training clips those that are not learnt,
            in others those that are not scored.
    """

    planes: NDArray[np.uint8]
    counts: NDArray[np.int32]
    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    ignore: NDArray[np.bool_]


def plan(split: str, num_clips: int, pace: Pace) -> list[ClipPlan]:
    """Clips of a split: every view at every time of day in turn, each with a seed of its own.

    Raises:
        ValueError: if the split has not so many seeds.
    """
    if num_clips > MAX_CLIPS[split]:
        raise ValueError(f"{num_clips} {split} clips: at most {MAX_CLIPS[split]} have own seeds")
    return [_clip_plan(split, i, pace) for i in range(num_clips)]


def _clip_plan(split: str, index: int, pace: Pace) -> ClipPlan:
    views = sorted(VIEWS)
    seed = FIRST_SEEDS[split] + index
    chance = random.Random(seed)
    slower = 3 if pace.long_every and chance.randrange(pace.long_every) == 0 else 1
    scenario = Scenario(
        seed=seed,
        view=views[index % len(views)],
        time_of_day=TIMES_OF_DAY[index // len(views) % len(TIMES_OF_DAY)],
        width=SOURCE_WIDTH,
        height=SOURCE_HEIGHT,
        fps=max(1, pace.fps // slower),
        duration_s=pace.duration_s * slower,
        density=round(chance.uniform(0.5, 1.6), 2),
    )
    return ClipPlan(split, scenario, chance.randint(18, 34), pace.keep_every)


def render(clips: list[ClipPlan], folder: Path, *, num_workers: int, limit_s: float) -> int:
    """Render the clips that are not there yet, in parallel, and stop at the time limit.

    Returns:
        Number of clips that are there at the end.
    """
    missing = [clip for clip in clips if not clip_path(clip, folder).exists()]
    deadline = time.monotonic() + limit_s
    context = multiprocessing.get_context("spawn")
    with (
        _renderer_environment(),
        ProcessPoolExecutor(num_workers, mp_context=context) as pool,
        Progress("render", len(missing)) as progress,
    ):
        waiting = iter(missing)
        running = {
            pool.submit(write_clip, clip, folder)
            for _, clip in zip(range(num_workers), waiting, strict=False)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= _next_jobs(pool, done, waiting, folder, deadline)
            progress.advance(len(done))
    return sum(clip_path(clip, folder).exists() for clip in clips)


@contextmanager
def _renderer_environment() -> Iterator[None]:
    """Let processes that start meanwhile compute on one thread each and keep freed memory.

    Pictures come and go by the megabyte; giving them back to the system takes a third of the time.
    """
    settings = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    }
    before = {name: os.environ.pop(name, None) for name in settings}
    os.environ.update(settings)
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def _next_jobs(
    pool: ProcessPoolExecutor,
    done: set[Future[None]],
    waiting: Iterator[ClipPlan],
    folder: Path,
    deadline: float,
) -> set[Future[None]]:
    for job in done:
        job.result()
    if time.monotonic() >= deadline:
        return set()
    following = itertools.islice(waiting, len(done))
    return {pool.submit(write_clip, clip, folder) for clip in following}


def clip_path(clip: ClipPlan, folder: Path) -> Path:
    """Where a clip is kept."""
    return folder / clip.split / clip.name


def write_clip(clip: ClipPlan, folder: Path) -> None:
    """Render, encode, decode and store one clip; the file appears whole or not at all.

    A scenario for which the world finds no traffic is tried with less of it, then left out.
    """
    path = clip_path(clip, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    world = _world(clip.scenario)
    if world is None:
        return
    planes, truths = _render_clip(clip, world)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            planes=np.stack(planes),
            counts=np.array([len(truth) for truth in truths], dtype=np.int32),
            xyxy=np.concatenate([truth.xyxy for truth in truths]),
            class_id=np.concatenate([truth.class_id for truth in truths]),
            ignore=np.concatenate([_ignored(clip.split, truth) for truth in truths]),
        )
    part.rename(path)


def _ignored(split: str, truth: FrameTruth) -> NDArray[np.bool_]:
    if split != "train":
        return truth.ignore
    size = truth.xyxy[:, 2:] - truth.xyxy[:, :2]
    small = (size[:, 1] < LEARNT_HEIGHT_PX) | (size.prod(axis=1) < LEARNT_AREA_PX)
    hard: NDArray[np.bool_] = small | (truth.visible < LEARNT_VISIBLE)
    return hard


def read_clip(path: Path) -> Clip:
    """Read a stored clip."""
    with np.load(path) as arrays:
        return Clip(**{name: arrays[name] for name in Clip.__slots__})


def _world(scenario: Scenario) -> World | None:
    for density in (scenario.density, 0.6 * scenario.density):
        try:
            return World(replace(scenario, density=density))
        except RuntimeError as error:
            print(f"render: {error}", flush=True)
    return None


def _render_clip(clip: ClipPlan, world: World) -> tuple[list[NDArray[np.uint8]], list[FrameTruth]]:
    truths: list[FrameTruth] = []
    offset = clip.scenario.seed % clip.keep_every

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for rgb, truth in world:
            truths.append(truth)
            yield rgb

    planes = [
        _packed(frame)
        for index, frame in enumerate(_through_h264(pictures(), clip.scenario.fps, clip.crf))
        if index % clip.keep_every == offset
    ]
    return planes, truths[offset :: clip.keep_every]


def _through_h264(
    pictures: Iterator[NDArray[np.uint8]], fps: int, crf: int
) -> Iterator[av.VideoFrame]:
    """Encode and decode pictures, in memory and in order, as a camera and its viewer do."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = SOURCE_WIDTH, SOURCE_HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(fps), Fraction(1, fps)
    encoder.options = {"preset": "veryfast", "crf": str(crf), "g": "25", "bf": "0"}
    decoder = av.CodecContext.create("h264", "r")
    encoder.thread_count = decoder.thread_count = 1
    for index, rgb in enumerate(pictures):
        frame = to_ycbcr(rgb)
        frame.pts = index
        for packet in encoder.encode(frame):
            yield from decoder.decode(packet)
    for packet in encoder.encode(None):
        yield from decoder.decode(packet)
    yield from decoder.decode(None)


def to_ycbcr(rgb: NDArray[np.uint8]) -> av.VideoFrame:
    """Convert a picture [H, W, 3] to yuv420p, BT.709, limited range."""
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.AREA,
    )


def _packed(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray(format="yuv420p").reshape(-1)
