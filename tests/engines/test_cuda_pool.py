"""The device pool's protocol, on a GPU or with host memory in its place."""

import contextlib
import gc
import pickle
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engines.cuda.pool import DevicePlane, DevicePool
from engines.cuda.stand_in import HostMemory
from engines.errors import DeviceError, DeviceMemoryError, FramePoolError
from engines.families.letterbox import Letterbox
from engines.frames import Chroma, FramePool, Picture, Plane
from engines.spec import InputSpec
from tests.engines.cuda_backends import (
    ON_BOTH,
    Backend,
    Owner,
    backend_of,
    in_another_process,
    write_attached,
)

SLOT_BYTES = 8192
PICTURES = [Picture(64, 48, chroma=chroma) for chroma in Chroma] + [Picture(63, 47)]


@pytest.fixture(params=ON_BOTH)
def backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


@pytest.fixture
def pool(backend: Backend) -> Iterator[DevicePool]:
    pool = DevicePool.create(4, SLOT_BYTES, memory=backend.memory)
    yield pool
    pool.close()


def noise(picture: Picture, *, padding: int = 0, seed: int = 0) -> list[Plane]:
    """Planes as they are stored, their rows padded."""
    rng = np.random.default_rng(seed)
    shapes = picture.stored_shapes
    return [rng.integers(0, 256, (rows, n + padding), dtype=np.uint8) for rows, n in shapes]


def packed(picture: Picture, planes: list[Plane]) -> bytes:
    shapes = picture.stored_shapes
    return b"".join(p[:, :n].tobytes() for (_, n), p in zip(shapes, planes, strict=True))


def content(backend: Backend, pool: DevicePool, slot: int, picture: Picture) -> bytes:
    return backend.download(pool.read(slot, picture).address, picture.size_bytes)


@pytest.mark.parametrize("picture", PICTURES)
def test_what_another_process_writes_is_read_here(
    backend: Backend, pool: DevicePool, picture: Picture
) -> None:
    planes = noise(picture)
    in_another_process(write_attached, pool.layout, backend.memory, 2, picture, planes)
    assert content(backend, pool, 2, picture) == packed(picture, planes)


@pytest.mark.parametrize("padding", [0, 13, 64])
@pytest.mark.parametrize("picture", PICTURES)
def test_planes_of_the_host_lose_the_padding_of_their_rows(
    backend: Backend, pool: DevicePool, picture: Picture, padding: int
) -> None:
    planes = noise(picture, padding=padding)
    pool.write(1, picture, planes)
    assert content(backend, pool, 1, picture) == packed(picture, planes)


def test_rows_that_run_backwards_are_copied_too(backend: Backend, pool: DevicePool) -> None:
    picture = Picture(64, 48)
    planes = [plane[::-1] for plane in noise(picture)]
    pool.write(1, picture, planes)
    assert content(backend, pool, 1, picture) == packed(picture, planes)


def test_surfaces_of_the_device_lose_the_padding_of_their_rows(
    backend: Backend, pool: DevicePool
) -> None:
    picture = Picture(62, 34, chroma=Chroma.INTERLEAVED)
    planes = noise(picture, padding=66)
    uploads = [backend.upload(plane) for plane in planes]
    surfaces = [
        DevicePlane(address, p.shape[1]) for (address, _), p in zip(uploads, planes, strict=True)
    ]
    pool.write(0, picture, surfaces)
    assert content(backend, pool, 0, picture) == packed(picture, planes)


def test_slots_lie_one_behind_the_other_and_do_not_touch(
    backend: Backend, pool: DevicePool
) -> None:
    picture = Picture(64, 48)
    pictures = {slot: noise(picture, seed=slot) for slot in range(4)}
    with ThreadPoolExecutor(4) as threads:
        for slot, planes in pictures.items():
            threads.submit(pool.write, slot, picture, planes)
    for slot, planes in pictures.items():
        assert content(backend, pool, slot, picture) == packed(picture, planes)
    addresses = [pool.read(slot, picture).address for slot in range(4)]
    assert np.diff(addresses).tolist() == [SLOT_BYTES] * 3


def test_a_frame_keeps_the_size_of_its_source(pool: DevicePool) -> None:
    frame = pool.read(0, Picture(64, 48), source_size=(1920, 1080))
    assert (frame.source_width, frame.source_height) == (1920, 1080)
    assert pool.read(0, Picture(64, 48)).source_width == 64


def test_the_layout_goes_through_pickle_as_bytes(pool: DevicePool) -> None:
    layout = pickle.loads(pickle.dumps(pool.layout))
    assert layout == pool.layout
    assert type(layout.ipc) is bytes
    assert layout.device == 0


@pytest.mark.parametrize(
    ("slot", "picture", "message"),
    [
        (4, Picture(8, 8), "slot 4 of 4"),
        (-1, Picture(8, 8), "slot -1 of 4"),
        (0, Picture(640, 480), "640x480 picture takes 460800 bytes, a slot has 8192"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_figures(
    pool: DevicePool, slot: int, picture: Picture, message: str
) -> None:
    with pytest.raises(FramePoolError, match=message):
        pool.write(slot, picture, noise(picture))
    with pytest.raises(FramePoolError, match=message):
        pool.read(slot, picture)


@pytest.mark.parametrize("planes", [[], noise(Picture(64, 48))[:2], noise(Picture(62, 48))])
def test_planes_of_another_picture_are_refused(pool: DevicePool, planes: list[Plane]) -> None:
    with pytest.raises(ValueError, match=r"zip|broadcast|plane"):
        pool.write(0, Picture(64, 48), planes)


def test_a_pool_that_the_device_cannot_hold_names_the_figures_and_the_setting(
    backend: Backend,
) -> None:
    with pytest.raises(
        DeviceMemoryError,
        match=r"1048576 slots of 16777216 bytes.* bytes free, 17592186044416 .*pool\.num_slots",
    ):
        DevicePool.create(1 << 20, 1 << 24, memory=backend.memory)


def test_a_pool_that_is_gone_cannot_be_opened() -> None:
    pool = DevicePool.create(1, 64, memory=HostMemory)
    pool.close()
    with pytest.raises(FramePoolError, match="cannot open the pool stand-in"):
        DevicePool.attach(pool.layout, memory=HostMemory)


def test_a_closed_pool_says_so(pool: DevicePool) -> None:
    pool.close()
    pool.close()
    with pytest.raises(FramePoolError, match="is closed"):
        pool.read(0, Picture(8, 8))
    with pytest.raises(FramePoolError, match="is closed"):
        pool.write(0, Picture(8, 8), noise(Picture(8, 8)))


def test_the_owner_takes_the_memory_along_and_who_attached_does_not() -> None:
    owner = DevicePool.create(1, 64, memory=HostMemory)
    attached = DevicePool.attach(owner.layout, memory=HostMemory)
    attached.unlink()
    attached.close()
    DevicePool.attach(owner.layout, memory=HostMemory).close()
    owner.unlink()
    with pytest.raises(FramePoolError):
        DevicePool.attach(owner.layout, memory=HostMemory)


def test_an_owner_that_is_killed_takes_nobody_along_and_its_successor_is_opened(
    backend: Backend,
) -> None:
    picture = Picture(64, 48)
    with Owner(1, SLOT_BYTES, backend.memory) as owner:
        orphan = DevicePool.attach(owner.layout, memory=backend.memory)
        orphan.write(0, picture, noise(picture))
    with contextlib.suppress(DeviceError):  # the memory may be gone, the process must not
        orphan.write(0, picture, noise(picture))
    with Owner(1, SLOT_BYTES, backend.memory) as successor:
        pool = DevicePool.attach(successor.layout, memory=backend.memory)
        orphan.close()
        planes = noise(picture, seed=9)
        pool.write(0, picture, planes)
        assert content(backend, pool, 0, picture) == packed(picture, planes)
        pool.close()


@pytest.mark.parametrize("picture", PICTURES)
def test_writes_that_were_begun_are_there_once_they_are_finished(
    backend: Backend, pool: DevicePool, picture: Picture
) -> None:
    planes = [noise(picture, seed=slot) for slot in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda slot: pool.begin_write(slot, picture, planes[slot]), range(4)))
    pool.finish_writes()
    for slot in range(4):
        assert content(backend, pool, slot, picture) == packed(picture, planes[slot])


@pytest.mark.parametrize("is_interleaved", [False, True])
def test_surfaces_that_were_begun_lose_the_padding_of_their_rows(
    backend: Backend, pool: DevicePool, is_interleaved: bool
) -> None:
    picture = PICTURES[is_interleaved]
    slots = range(4)
    planes = [noise(picture, padding=32, seed=slot) for slot in slots]
    uploaded = [[backend.upload(plane) for plane in some] for some in planes]
    for slot in slots:
        surface = [
            DevicePlane(address, plane.shape[1], owner)
            for plane, (address, owner) in zip(planes[slot], uploaded[slot], strict=True)
        ]
        pool.begin_write(slot, picture, surface)
    pool.finish_writes()
    for slot in slots:
        assert content(backend, pool, slot, picture) == packed(picture, planes[slot])


def test_many_threads_may_begin_and_finish_writes_at_once(
    backend: Backend, pool: DevicePool
) -> None:
    picture = PICTURES[0]
    planes = [noise(picture, seed=slot) for slot in range(4)]

    def write(slot: int) -> list[bool]:
        begun = []
        for _ in range(200):
            begun.append(pool.begin_write(slot, picture, planes[slot]))
            pool.finish_writes()
        return [bool(kept) for kept in begun]

    with ThreadPoolExecutor(4) as threads:
        assert not any(any(kept) for kept in threads.map(write, range(4)))
    for slot in range(4):
        assert content(backend, pool, slot, picture) == packed(picture, planes[slot])


def test_of_two_pictures_begun_in_one_slot_the_later_one_stays(
    backend: Backend, pool: DevicePool
) -> None:
    picture = PICTURES[0]
    first, second = noise(picture), noise(picture, seed=1)
    pool.begin_write(0, picture, first)
    pool.begin_write(0, picture, second)
    pool.finish_writes()
    assert content(backend, pool, 0, picture) == packed(picture, second)


def test_planes_are_kept_until_their_write_is_finished_and_no_longer(
    backend: Backend, pool: DevicePool
) -> None:
    picture = PICTURES[0]
    planes = noise(picture)
    kept = [weakref.ref(plane) for plane in planes]
    begun = pool.begin_write(0, picture, planes)
    del planes
    gc.collect()
    assert begun
    assert all(plane() is not None for plane in kept)
    pool.finish_writes()
    gc.collect()
    assert not begun
    assert not any(plane() is not None for plane in kept)


def test_a_pool_that_is_closed_takes_no_writes_to_finish(pool: DevicePool) -> None:
    picture = Picture(8, 8)
    pool.begin_write(0, picture, noise(picture))
    pool.close()
    with pytest.raises(FramePoolError, match="is closed"):
        pool.finish_writes()
    with pytest.raises(FramePoolError, match="is closed"):
        pool.begin_write(0, picture, noise(picture))


class SlowMemory(HostMemory):
    """Writes when it is let go on."""

    started, go_on = threading.Event(), threading.Event()

    def write(self, *arguments: object) -> None:
        self.started.set()
        assert self.go_on.wait(10)
        super().write(*arguments)


def test_closing_waits_for_the_write_that_runs_and_lets_no_other_begin() -> None:
    pool = DevicePool.create(1, 64, memory=SlowMemory)
    picture = Picture(4, 4)
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(pool.write, 0, picture, noise(picture))
        assert SlowMemory.started.wait(10)
        pool.close()
        with pytest.raises(FramePoolError, match="is closed"):
            pool.read(0, picture)
        DevicePool.attach(pool.layout, memory=HostMemory).close()  # it is still there
        SlowMemory.go_on.set()
        writing.result(10)
    with pytest.raises(FramePoolError):
        DevicePool.attach(pool.layout, memory=HostMemory)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_interleaved_chroma_in_a_pool_of_the_host_is_read_as_planes(size: tuple[int, int]) -> None:
    picture, planar = Picture(*size, chroma=Chroma.INTERLEAVED), Picture(*size)
    luma, pairs = noise(picture)
    out = np.empty((2, 3, 32, 32), np.float32)
    letterbox = Letterbox(InputSpec(width=32, height=32))
    pool = FramePool.create(2, SLOT_BYTES)
    pool.write(0, picture, (luma, pairs))
    pool.write(1, planar, (luma, pairs[:, ::2], pairs[:, 1::2]))
    letterbox.write(pool.read(0, picture), out[0])
    letterbox.write(pool.read(1, planar), out[1])
    pool.unlink()
    np.testing.assert_array_equal(out[0], out[1])
