"""``sightline up`` and ``sightline down``: a Sightline that stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.output import console, fail
from cluster.cli.running import is_alive, running
from cluster.config import SightlineConfig, load_config
from cluster.folders import announcement, make_private, state_dir
from cluster.local import LocalCluster
from cluster.redaction import redacted
from cluster.stopping import Stop

_START_TIMEOUT_S = 1920.0
"""Longer than ``LocalCluster`` waits for a plan that is built first; it ends by itself before."""
_STOP_TIMEOUT_S = 60.0

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file; the defaults without one.")
]


def up(
    config: ConfigOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; 0 takes a free one.")] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Join a Ray that runs, on its head: auto, or HOST:PORT; it runs on."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is up.")] = False,
) -> None:
    """Start Sightline on this machine and keep it running until Ctrl-C or `sightline down`.

    Stream jobs are kept: they run again after the next `up`. The API asks for a token, which the
    commands of this machine find; `sightline token show` prints it for others.
    """
    settings = load_config(config)
    if port is not None:
        settings = settings.model_copy(
            update={"api": settings.api.model_copy(update={"port": port})}
        )
    found = running()
    if found is not None:
        fail(f"it runs already (pid {found['pid']}, {found['api']}): `sightline down` first")
    if detach:
        _detach(config, port, address)
    else:
        _serve(settings, address)


def down() -> None:
    """End the Sightline that `up` started on this machine; its stream jobs are kept."""
    found = running()
    if found is None:
        console.print("nothing runs here")
        return
    pid = int(found["pid"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    with console.status("stopping"):
        while is_alive(pid):  # it stops to answer long before it has ended
            if time.monotonic() > deadline:
                fail(f"pid {pid} has not ended after {_STOP_TIMEOUT_S:.0f} s")
            time.sleep(0.1)
    console.print("stopped")


def _serve(settings: SightlineConfig, address: str | None) -> None:
    data = make_private(state_dir()) / "valkey"
    with Stop() as stop, console.status("starting") as status:
        cluster = LocalCluster(settings, data_dir=data, address=address, report=status.update)
        with cluster, _announced(cluster):
            stop.take_signals()
            status.stop()
            console.print(f"API   {cluster.api_url}    (docs: {cluster.api_url}/docs)")
            console.print(f"Redis {redacted(cluster.redis_url)}")
            stop.wait()
            console.print("stopping")


def _detach(config: Path | None, port: int | None, address: str | None) -> None:
    """Run ``up`` in a session of its own, and wait until it has said that it runs."""
    log_path = make_private(state_dir()) / "up.log"
    command = [sys.executable, "-m", "cluster.cli", "up"]
    command += ["--config", str(config.resolve())] if config else []
    command += ["--port", str(port)] if port is not None else []
    command += ["--address", address] if address is not None else []
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + _START_TIMEOUT_S
    with console.status("starting"):
        while (found := running()) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                fail(f"it did not start:\n{log_path.read_text()[-2000:]}")
            time.sleep(0.1)
    console.print(f"API   {found['api']}\nRedis {redacted(found['redis'])}\nlog   {log_path}")


@contextmanager
def _announced(cluster: LocalCluster) -> Iterator[None]:
    file = announcement()
    temporary = file.with_suffix(".new")
    says = {"pid": os.getpid(), "api": cluster.api_url, "redis": cluster.redis_url}
    temporary.write_text(json.dumps(says))
    temporary.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
