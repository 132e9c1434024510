"""What a run takes: processor time of all our processes, and the GPU's own gauges."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cluster.errors import UnavailableError
from cluster.nvml import READ_EVERY_S, GpuReader
from cluster.registry import GpuLoad
from engines.cuda.address import bus_address

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PERCENT = 100
_MIB = 2**20
_US_PER_S = 1e6

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Processor time of a process, seconds: its own code, and the kernel for it."""

    user_s: float = 0.0
    system_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Both."""
        return self.user_s + self.system_s

    def __add__(self, other: CpuTime) -> CpuTime:
        return CpuTime(self.user_s + other.user_s, self.system_s + other.system_s)

    def __sub__(self, other: CpuTime) -> CpuTime:
        return CpuTime(self.user_s - other.user_s, self.system_s - other.system_s)


def cpu_times(root: int, without: Collection[int] = ()) -> dict[int, CpuTime]:
    """Processor time so far of a process and all that descend from it, by process id.

    Args:
        root: The oldest.
        without: Processes that are left out, with all that descend from them.
    """
    found = _processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    wanted, times = [root], {}
    while wanted:
        pid = wanted.pop()
        if pid in found and pid not in without:
            times[pid] = found[pid][1]
            wanted += children.get(pid, [])
    return times


def spent(before: Mapping[int, CpuTime], after: Mapping[int, CpuTime]) -> dict[int, CpuTime]:
    """Processor time between two looks; of a process that is new, all of its own."""
    return {pid: time - before.get(pid, CpuTime()) for pid, time in after.items()}


def cpu_us_a_frame(
    times: Mapping[int, CpuTime], names: Mapping[int, str], num_frames: float
) -> dict[str, dict[str, float]]:
    """Processor time a frame, microseconds: of all, and of each kind of process.

    Args:
        times: By process id.
        names: Of the slot's actors, as ``ingest-3``: its kind is what comes before the number.
            Processes without a name are the rest.
        num_frames: Among how many frames it is divided.

    Returns:
        By kind: ``user``, ``system`` and ``total``.
    """
    kinds = {"all": CpuTime()}
    for pid, time in times.items():
        kind = names.get(pid, "rest").partition("-")[0]
        kinds[kind] = kinds.get(kind, CpuTime()) + time
        kinds["all"] += time
    us_a_s = _US_PER_S / max(1.0, num_frames)
    return {
        kind: {
            "user": round(time.user_s * us_a_s, 1),
            "system": round(time.system_s * us_a_s, 1),
            "total": round(time.total_s * us_a_s, 1),
        }
        for kind, time in kinds.items()
    }


def busy_cores(
    times: Mapping[int, CpuTime], names: Mapping[int, str], elapsed_s: float
) -> dict[str, float]:
    """How much of a core each actor of the slot keeps busy, by name; near 1 it holds up the others.

    Args:
        times: By process id, while so many seconds passed.
        names: Of the slot's actors.
        elapsed_s: So many.
    """
    return {
        name: round(times[pid].total_s / elapsed_s, 3)
        for pid, name in sorted(names.items(), key=lambda item: item[1])
        if pid in times
    }


def _processes() -> dict[int, tuple[int, CpuTime]]:
    """Parent and processor time of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold spaces.
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        time = CpuTime(int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S)
        found[int(path.parent.name)] = (int(fields[1]), time)
    return found


class GpuGauges:
    """Reads the first GPU of this process once a second while a ``with`` lasts.

    Says nothing where there is none, or NVML is missing.

    Attributes:
        medians: Of ``sm_percent``, ``decoder_percent``, ``memory_mb``, at its end; without those
            that the GPU does not have.
    """

    def __init__(self, open_reader: Callable[[str], GpuReader] = GpuReader.at) -> None:
        self.medians: dict[str, float] = {}
        self._open = open_reader
        self._stop = threading.Event()
        self._loads: list[GpuLoad] = []
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def __enter__(self) -> GpuGauges:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.medians = medians(self._loads)

    def _run(self) -> None:
        address = bus_address()
        try:
            reader = self._open(address) if address else None
            while reader and not self._stop.wait(READ_EVERY_S):
                self._loads.append(reader.read())
        except UnavailableError as error:
            log.warning("the GPU is not measured: %s", error)


def medians(loads: Sequence[GpuLoad]) -> dict[str, float]:
    """Medians of a GPU's gauges, in percent and MiB; of those only that it has."""
    columns = {
        "sm_percent": [load.sm * _PERCENT for load in loads if load.sm is not None],
        "decoder_percent": [load.decoder * _PERCENT for load in loads if load.decoder is not None],
        "memory_mb": [
            load.memory_used_bytes / _MIB for load in loads if load.memory_used_bytes is not None
        ],
    }
    return {name: round(median(values), 1) for name, values in columns.items() if values}
