"""Sightline on several machines of this one, with cameras on the air, for the benches of clusters.

Nothing here is connected to Ray once it runs: what is measured is seen from outside, and the head
may die.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster.bench.gpu.farm import path_feeds, serve_farm
from cluster.bench.machines import Machines
from cluster.client import ApiClient
from cluster.config import SightlineConfig
from cluster.demo.clips import demo_clips, demo_scenarios
from cluster.demo.feeds import Feed, job
from cluster.devices import with_device_of_cluster
from cluster.embedded import EmbeddedRedis, free_port
from cluster.errors import ClusterError, UnavailableError
from cluster.local import run_application
from cluster.runtime import joined_ray
from cluster.security.provisioning import own_token
from cluster.seeding import seed
from cluster.slot.leftovers import remove_leftovers

_NUM_FILMS = 4
_READY_TIMEOUT_S = 180.0
_LOOK_EVERY_S = 0.1
_POOL_SLOTS = 64

Report = Callable[[str], None]


class ServerAway:
    """A Redis that can be gone for a while: same port, same data afterwards."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedRedis(data_dir=folder)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self._server.url

    def kill(self) -> None:
        """SIGKILL: what it answered lies in its append-only file."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.close()

    def start(self) -> None:
        """Start it again where it was."""
        self._server = EmbeddedRedis(self._server.port, self._folder)

    def close(self) -> None:
        """End it."""
        self._server.close()


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs, and how to ask it.

    Attributes:
        config: As it runs.
        machines: Head and others.
        redis: That of the registry and the events; Ray's is another one.
        api: A client.
        feeds: Cameras on the air, whether watched or not.
        report: Told what is going on.
    """

    config: SightlineConfig
    machines: Machines
    redis: ServerAway
    api: ApiClient
    feeds: Sequence[Feed]
    report: Report

    def watch(self, feed: Feed, max_fps: float) -> None:
        """Post the stream job of a camera."""
        # Number 0 sends over TCP: what UDP loses on loopback would not be ours to count.
        self.api.post("/v1/streams", job(feed, 0, feed.url, max_fps))

    def slots(self) -> list[dict[str, Any]]:
        """As the API tells; none while it is away."""
        with contextlib.suppress(ClusterError):
            return [dict(slot) for slot in self.api.get("/v1/slots")["slots"]]
        return []

    def ready_slots(self) -> list[dict[str, Any]]:
        """Those that take streams."""
        return [slot for slot in self.slots() if slot["state"] == "ready"]

    def holders(self) -> dict[str, str]:
        """Slot of each stream that has one; empty while the API is away."""
        with contextlib.suppress(ClusterError):
            streams = self.api.get("/v1/streams")["streams"]
            return {s["id"]: s["status"]["slot"] for s in streams if s["status"]["slot"]}
        return {}

    def skipped(self, streams: Iterable[str]) -> int:
        """Packets of these that were left out to catch up, by the slots that hold them now."""
        num = 0
        for stream in streams:
            with contextlib.suppress(ClusterError):
                num += int(self.api.get(f"/v1/streams/{stream}/stats")["skipped"])
        return num

    def await_slots(self, num: int) -> None:
        """Wait until so many slots are ready.

        Raises:
            UnavailableError: They are not, in three minutes.
        """
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while len(self.ready_slots()) < num:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{len(self.ready_slots())} slots are ready after {_READY_TIMEOUT_S:.0f} s, "
                    f"{num} are wanted: {[slot['state'] for slot in self.slots()]}"
                )
            time.sleep(_LOOK_EVERY_S)


@contextlib.contextmanager
def deployed(
    num_machines: int, num_cameras: int, report: Report, **settings: Any
) -> Iterator[Deployment]:
    """Run it for the time of the block; no stream is watched yet.

    Args:
        num_machines: With a slot each, besides the head.
        num_cameras: On the air, 640x360 at 25 pictures a second.
        report: Told what is being started.
        settings: Of the configuration, besides.
    """
    report("drawing the films")
    films = demo_clips(demo_scenarios(min(_NUM_FILMS, num_cameras)), lambda _done, _all: None)
    feeds = path_feeds([path for path, _ in films], num_cameras)
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        stack.callback(remove_leftovers)
        folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        redis = ServerAway(folder / "redis")
        stack.callback(lambda: redis.close())
        farm = stack.enter_context(serve_farm(feeds))
        served = [
            Feed(feed.name, feed.clip, farm.cameras[feed.name].url, feed.qos_class, feed.rules)
            for feed in feeds
        ]
        report(f"starting a head and {num_machines} machines")
        machines: Machines = stack.enter_context(Machines(num_machines))
        config = _config(redis.url, folder / "spool", num_machines, settings)
        report("starting Sightline")
        config = _deploy(config, machines.address)
        signal.signal(signal.SIGTERM, _leave)  # Ray has taken it: it would end us where we stand
        stack.callback(signal.signal, signal.SIGTERM, signal.SIG_IGN)  # whoever leaves does so once
        api = stack.enter_context(ApiClient(_url(config), own_token(config.api.auth)))
        found = Deployment(config, machines, redis, api, served, report)
        found.await_slots(config.slots.num)
        yield found


def _config(
    redis_url: str, spool_dir: Path, num_slots: int, settings: dict[str, Any]
) -> SightlineConfig:
    given: dict[str, dict[str, Any]] = {
        "redis": {"url": redis_url, "spool_dir": str(spool_dir)},
        "api": {"port": free_port()},
        "slots": {
            "num": num_slots,
            "device": "cpu",
            "reserve_gpu": True,
            "num_cpus": 1,
            "num_ingest": 1,
            "num_analytics": 1,
            "spares": True,
        },
        "pool": {"num_slots": _POOL_SLOTS},
    }
    for name, fields in settings.items():
        given[name] = {**given.get(name, {}), **fields}
    return SightlineConfig.model_validate(given)


def _deploy(config: SightlineConfig, address: str) -> SightlineConfig:
    """As ``up --address`` does, but the application stays when we have left."""
    with joined_ray(address):
        config = with_device_of_cluster(config)
        seed(config)
        run_application(config)
    return config


def _leave(_signum: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _url(config: SightlineConfig) -> str:
    return f"http://{config.api.host}:{config.api.port}"
