"""The file sink: whole lines, in files that are bounded, through full disks and restarts."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.analytics.events import Event
from actors.errors import SinkError
from actors.sinks import FileSinkSpec, Sink, open_sink
from tests.actors.builders import event, eventually

LINE_BYTES = len(event(0).to_json()) + 1


def opened(path: Path, **fields: object) -> Sink:
    return open_sink(FileSinkSpec.model_validate({"path": path, **fields}))


def rotated(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.*"))


def text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def numbers(*paths: Path) -> list[int]:
    lines = [line for path in paths for line in text(path).splitlines()]
    return [int(Event.from_dict(json.loads(line)).id, 16) for line in lines]


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """As a disk with so much room left: a write takes what fits, the next one nothing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_gets_one_object_a_line(tmp_path):
    path = tmp_path / "new" / "events.jsonl"
    sink = opened(path)
    sink.write([event(1), event(2, token=7)])
    sink.write([event(3)])
    assert sink.status().num_written == 3
    assert sink.flush(0)
    sink.close()
    lines = path.read_text().splitlines()
    assert [Event.from_dict(json.loads(line)) for line in lines] == [event(n) for n in (1, 2, 3)]


def test_a_file_that_cannot_be_written_is_named():
    with pytest.raises(SinkError, match=r"sinks.file.path: cannot write '/proc/none/events'"):
        opened(Path("/proc/none/events"))


def test_a_full_file_is_renamed_and_the_oldest_go(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = opened(path, max_bytes=20 * LINE_BYTES, max_files=4)
    for n in range(0, 200, 7):
        sink.write([event(k) for k in range(n, min(n + 7, 200))])
    sink.close()
    files = [*rotated(path), path]
    assert len(files) == 4
    assert all(file.stat().st_size <= 20 * LINE_BYTES for file in files)
    found = numbers(*files)
    assert found == list(range(found[0], 200))
    assert len(found) > 3 * 15
    assert sink.status().num_written == 200


def test_one_batch_may_fill_several_files_and_one_line_may_be_larger_than_a_file(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = opened(path, max_bytes=1024)
    large = event(1, data={"text": "x" * 3000})
    sink.write([event(0), large, *(event(n) for n in range(2, 12))])
    sink.close()
    assert numbers(*rotated(path), path) == list(range(12))
    assert len(rotated(path)) >= 4


def test_a_single_file_is_all_that_is_kept_where_one_is_asked_for(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = opened(path, max_bytes=10 * LINE_BYTES, max_files=1)
    sink.write([event(n) for n in range(55)])
    sink.close()
    assert rotated(path) == []
    assert numbers(path)[-1] == 54


def test_renamed_files_are_compressed_where_it_is_asked_for(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = opened(path, max_bytes=50 * LINE_BYTES, compress=True)
    for n in range(200):
        sink.write([event(n)])
        eventually(lambda: all(p.suffix == ".gz" for p in rotated(path)))
    sink.close()
    assert len(rotated(path)) >= 3
    assert numbers(*rotated(path), path) == list(range(200))


def test_a_restart_goes_on_with_the_same_file_and_numbers(tmp_path):
    path = tmp_path / "events.jsonl"
    for first in range(0, 100, 10):
        sink = opened(path, max_bytes=25 * LINE_BYTES)
        sink.write([event(n) for n in range(first, first + 10)])
        sink.close()
    assert numbers(*rotated(path), path) == list(range(100))
    assert [p.suffix for p in rotated(path)] == [".000001", ".000002", ".000003", ".000004"]


def test_a_line_that_a_crash_left_torn_is_taken_away_before_the_next_one(tmp_path):
    path = tmp_path / "events.jsonl"
    torn = event(1).to_json()[:40]
    path.write_text(event(0).to_json() + "\n" + torn)
    sink = opened(path)
    sink.write([event(2)])
    with path.open("a") as another:
        another.write(torn)
    sink.write([event(3)])
    sink.close()
    assert numbers(path) == [0, 2, 3]


def test_a_full_disk_costs_counted_events_and_is_shown_until_there_is_room(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = opened(path)
    sink.write([event(0)])
    with files_of_at_most(3 * LINE_BYTES + 100):
        sink.write([event(n) for n in range(1, 10)])
        full = sink.status()
        sink.write([event(10)])
    num_kept = full.num_written
    assert numbers(path) == list(range(num_kept))
    assert 2 <= num_kept <= 3
    assert full.num_dropped == 10 - num_kept
    assert not full.is_connected
    assert "make room" in full.error
    assert sink.status().num_dropped == 11 - num_kept
    sink.write([event(11)])
    assert sink.status().is_connected
    sink.close()
    assert numbers(path) == [*range(num_kept), 11]


def test_a_disk_without_any_room_is_named():
    sink = opened(Path("/dev/full"))
    sink.write([event(0), event(1)])
    assert sink.status().num_dropped == 2
    assert sink.status().error.startswith("No space left on device")
    sink.close()


def _write_many(path: Path, first: int) -> None:
    sink = opened(path, max_bytes=40 * LINE_BYTES, max_files=1000, compress=True)
    for n in range(first, first + 300, 3):
        sink.write([event(k) for k in range(n, n + 3)])
    assert sink.status().num_written == 300
    sink.close(30)


def test_processes_that_share_a_file_tear_no_line_and_lose_none(tmp_path):
    path = tmp_path / "events.jsonl"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_many, args=(path, 1000 * n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    found = numbers(*rotated(path), path)
    for n in range(3):
        own = [number for number in found if number // 1000 == n]
        assert own == list(range(1000 * n, 1000 * n + 300))


def test_what_comes_after_the_end_is_counted_as_lost(tmp_path):
    sink = opened(tmp_path / "events.jsonl")
    sink.close()
    sink.close()
    sink.write([event(0)])
    assert (sink.status().num_written, sink.status().num_dropped) == (0, 1)
