"""What a run takes: processor time of all our processes, and the GPU's own gauges."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import median

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_QUERY = ("utilization.gpu", "utilization.decoder", "memory.used")
_NAMES = ("sm_percent", "decoder_percent", "memory_mb")
_SAMPLE_EVERY_S = 1.0


def cpu_seconds(root: int, without: Collection[int] = ()) -> dict[int, float]:
    """Processor time so far of a process and all that descend from it, by process id.

    Args:
        root: The oldest.
        without: Processes that are left out, with all that descend from them.
    """
    found = _processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    wanted, seconds = [root], {}
    while wanted:
        pid = wanted.pop()
        if pid in found and pid not in without:
            seconds[pid] = found[pid][1]
            wanted += children.get(pid, [])
    return seconds


def spent(before: Mapping[int, float], after: Mapping[int, float]) -> dict[int, float]:
    """Processor time between two looks; of a process that is new, all of its own."""
    return {pid: seconds - before.get(pid, 0.0) for pid, seconds in after.items()}


def _processes() -> dict[int, tuple[int, float]]:
    """Parent and processor time, seconds, of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold spaces.
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        found[int(path.parent.name)] = (int(fields[1]), cpu_s)
    return found


class GpuGauges:
    """Asks ``nvidia-smi`` once a second while a ``with`` lasts; says nothing where there is none.

    Attributes:
        medians: Of ``sm_percent``, ``decoder_percent``, ``memory_mb``, at its end.
    """

    def __init__(self) -> None:
        self.medians: dict[str, float] = {}
        self._stop = threading.Event()
        self._samples: list[tuple[float, ...]] = []
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def __enter__(self) -> GpuGauges:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        columns = zip(*self._samples, strict=True)
        self.medians = {name: median(c) for name, c in zip(_NAMES, columns, strict=False)}

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_EVERY_S):
            try:
                self._samples.append(_ask())
            except (OSError, ValueError, subprocess.SubprocessError):
                return


def _ask() -> tuple[float, ...]:
    command = ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return tuple(float(value) for value in answer.stdout.splitlines()[0].split(","))
