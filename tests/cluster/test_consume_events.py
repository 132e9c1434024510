"""The example consumer: each event counts once, however often it comes and whoever is killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from actors.analytics.events import Event, EventType, Phase
from cluster.embedded import EmbeddedRedis
from tests.cluster.builders import eventually

SCRIPT = Path(__file__).parents[2] / "scripts" / "consume_events"
STREAM, GROUP = "sightline:events", "example"


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def event(number: int) -> Event:
    return Event(
        f"{number:032x}", EventType.LINE_CROSS, Phase.INSTANT, f"cam-{number % 2}", number, 0.0
    )


def append(client: redis.Redis, *numbers: int) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number in numbers:
            pipeline.xadd(STREAM, event(number).to_fields())  # type: ignore[arg-type]
        pipeline.execute()


def consumer(url: str, database: Path, *options: str) -> subprocess.Popen[str]:
    words = ["--redis", url, "--database", str(database), "--batch", "10", *options]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    return said


def ids(database: Path) -> list[int]:
    try:
        with sqlite3.connect(database) as connection:
            rows = connection.execute("SELECT id FROM events ORDER BY ts").fetchall()
    except sqlite3.OperationalError:  # it has not been made yet
        return []
    return [int(row[0], 16) for row in rows]


def counts(database: Path) -> dict[str, int]:
    with sqlite3.connect(database) as connection:
        return dict(connection.execute("SELECT stream, number FROM counts").fetchall())


def num_pending(client: redis.Redis) -> int:
    return int(client.xpending(STREAM, GROUP)["pending"])  # type: ignore[index, call-overload]


def test_an_event_that_is_written_twice_counts_once(
    server: EmbeddedRedis, client: redis.Redis, tmp_path: Path
) -> None:
    append(client, *range(25), *range(15, 40))
    said = finish(consumer(server.url, tmp_path / "db", "--once"))
    assert said == "40 new events, 10 known already\n"
    assert ids(tmp_path / "db") == list(range(40))
    assert counts(tmp_path / "db") == {"cam-0": 20, "cam-1": 20}
    assert num_pending(client) == 0


def test_one_that_dies_between_writing_and_acknowledging_counts_nothing_twice(
    server: EmbeddedRedis, client: redis.Redis, tmp_path: Path
) -> None:
    append(client, *range(30))
    client.execute_command("ACL", "SETUSER", "mute", "on", "nopass", "~*", "+@all", "-xack")
    mute = server.url.replace("redis://", "redis://mute:any@")
    process = consumer(mute, tmp_path / "db", "--once")
    assert "xack" in process.communicate(timeout=120)[1].lower()
    assert process.returncode != 0
    assert ids(tmp_path / "db") == list(range(10))
    assert num_pending(client) == 10
    said = finish(consumer(server.url, tmp_path / "db", "--once"))
    assert said == "20 new events, 10 known already\n"
    assert counts(tmp_path / "db") == {"cam-0": 15, "cam-1": 15}
    assert num_pending(client) == 0


def test_consumers_that_are_killed_in_the_middle_lose_and_repeat_nothing(
    server: EmbeddedRedis, client: redis.Redis, tmp_path: Path
) -> None:
    database, num, stop = tmp_path / "db", 3000, threading.Event()

    def produce() -> None:
        for first in range(0, num, 20):
            append(client, *range(first, first + 20), *range(max(first - 5, 0), first))
            stop.wait(0.01)

    producer = threading.Thread(target=produce)
    producer.start()
    for life in range(4):
        had = len(ids(database))
        process = consumer(server.url, database, "--name", f"worker-{life}", "--idle-ms", "50")
        eventually(lambda: len(ids(database)) > had + 100, 60)  # noqa: B023 - at once
        process.kill()
        process.communicate()
    stop.set()
    producer.join()
    finish(consumer(server.url, database, "--name", "heir", "--idle-ms", "0", "--once"))
    assert ids(database) == list(range(num))
    assert counts(database) == {"cam-0": num // 2, "cam-1": num // 2}
    assert num_pending(client) == 0


def test_one_that_is_asked_to_end_finishes_what_it_has(
    server: EmbeddedRedis, client: redis.Redis, tmp_path: Path
) -> None:
    append(client, *range(10))
    process = consumer(server.url, tmp_path / "db")
    eventually(lambda: len(ids(tmp_path / "db")) == 10, 60)
    process.terminate()
    assert finish(process) == "10 new events, 0 known already\n"
    assert num_pending(client) == 0
