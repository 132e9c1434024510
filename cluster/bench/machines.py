"""Several machines of a Ray cluster on this one: a head without slots, and others with a GPU each.

The GPUs exist in Ray's books only. Everything listens on loopback, lies in a folder of its own, and
ends with this process, also where that is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.bench.processes import descendants, is_alive
from cluster.embedded import EmbeddedRedis, free_port
from cluster.environment import environment_with
from cluster.errors import UnavailableError
from cluster.runtime import OBJECT_STORE_BYTES, RECOVERY_ENVIRONMENT, prepare_environment, quiet

_CPUS_A_MACHINE = 8
"""Counted, not measured: there are as many real ones as this machine has."""
_END_TIMEOUT_S = 20.0
_MAX_HEAD_STARTS = 3


class Machines:
    """Starts at ``with``. Its main thread must be the one that starts it, as for EmbeddedRedis.

    What the head knows is kept in a Redis of its own, so that another head goes on with it.

    Args:
        num: Machines besides the head.
        resources: What each offers besides its GPU.

    Raises:
        UnavailableError: Ray has been imported already, with other settings.
    """

    def __init__(self, num: int, resources: dict[str, float] | None = None) -> None:
        self._num = num
        self._resources = dict(resources or {})
        self._port = free_port()
        self._machines: dict[str, Any] = {}
        self._num_started = 0
        self._cluster: Any = None
        self._stack = contextlib.ExitStack()

    @property
    def address(self) -> str:
        """Of the head, also of the next one."""
        return f"127.0.0.1:{self._port}"

    @property
    def names(self) -> list[str]:
        """Machines that run, the head left out; the label ``machine`` of each."""
        return list(self._machines)

    def __enter__(self) -> Machines:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_environment())
            stack.callback(self._end)
            self._start_all()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, *, wait: bool = True) -> str:
        """Start one more machine; its name."""
        self._num_started += 1
        name = f"machine-{self._num_started}"
        self._machines[name] = self._cluster.add_node(
            wait=wait,
            num_cpus=_CPUS_A_MACHINE,
            num_gpus=1,
            resources=self._resources,
            labels={"machine": name},
            **_common(),
        )
        return name

    def machine_of(self, pid: int) -> str:
        """The machine that a process runs on.

        Raises:
            UnavailableError: It runs on none.
        """
        for name, machine in self._machines.items():
            if pid in descendants(_raylet(machine)):
                return name
        raise UnavailableError(f"process {pid} runs on none of {', '.join(self.names)}")

    def nodes(self) -> dict[int, str]:
        """The Ray node of each actor that lives, by its process, as GCS knows them."""
        from ray.core.generated import gcs_pb2

        table: Any = vars(gcs_pb2)["ActorTableData"]  # protobuf makes it when it is imported
        accessor = self._cluster.global_state._connect_and_get_accessor()
        found = map(table.FromString, accessor.get_actor_table(None, None))
        return {a.pid: a.address.node_id.hex() for a in found if a.state == table.ALIVE}

    def kill(self, name: str) -> None:
        """Pull a machine's plug: all its processes get SIGKILL at once."""
        machine = self._machines.pop(name)
        _kill_processes(machine)
        self._cluster.worker_nodes.discard(machine)

    def kill_head(self) -> None:
        """The same to the head: GCS, Serve's controller and its HTTP port are gone."""
        _kill_processes(self._cluster.head_node)
        self._cluster.head_node = None

    def start_head(self) -> None:
        """Start a head at the same address; it goes on with what its predecessor knew."""
        for attempt in range(_MAX_HEAD_STARTS):
            before = descendants(os.getpid())
            try:
                self._cluster.add_node(
                    num_cpus=0, num_gpus=0, gcs_server_port=self._port, **_common()
                )
                return
            except Exception:  # Ray gives it half a minute, which a busy machine may exceed
                if attempt + 1 == _MAX_HEAD_STARTS:
                    raise
                _kill(descendants(os.getpid()) - before)

    def _start_all(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self.start_head()
        for _ in range(self._num):
            self.add(wait=False)
        self._cluster.wait_for_nodes(timeout=120)

    def _end(self) -> None:
        """What processes have started ends with them; the head first, so that none starts more."""
        if self._cluster is None:
            return
        with quiet():
            if self._cluster.head_node is not None:
                _kill_processes(self._cluster.head_node)
            for machine in self._machines.values():
                _kill_processes(machine)


def _common() -> dict[str, Any]:
    """Each process more makes the start of a machine longer, for which Ray has little patience."""
    return {
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
        "object_store_memory": OBJECT_STORE_BYTES,
    }


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """What Ray's processes find, and a folder that they leave nothing outside of."""
    prepare_environment()
    folder = Path(tempfile.mkdtemp(prefix="sightline-ray-"))
    (folder / "ray").mkdir()
    with EmbeddedRedis() as redis, contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        found = {
            **RECOVERY_ENVIRONMENT,
            "RAY_TMPDIR": str(folder),
            "RAY_REDIS_ADDRESS": f"127.0.0.1:{redis.port}",
            "RAY_external_storage_namespace": "sightline",
        }
        stack.enter_context(environment_with(found))
        yield


def _raylet(machine: Any) -> int:
    return int(machine.all_processes["raylet"][0].process.pid)


def _kill_processes(machine: Any) -> None:
    """All at once, so that none has time to put anything in order; then take their exit status."""
    started = [info.process for infos in machine.all_processes.values() for info in infos]
    pids = {process.pid for process in started if process.poll() is None}
    every = pids.union(*map(descendants, pids))
    _kill(every)
    for process in started:
        process.wait()
    machine.all_processes.clear()
    deadline = time.monotonic() + _END_TIMEOUT_S
    while any(is_alive(pid) for pid in every) and time.monotonic() < deadline:
        time.sleep(0.01)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
