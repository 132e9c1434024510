"""What a camera costs: CPU of the server's process while clients only demultiplex."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from cluster.demo.rtsp.errors import CameraProcessError
from cluster.demo.rtsp.pattern import write_pattern
from cluster.demo.rtsp.process import CameraProcess

CLIENT_OPTIONS = {"timeout": "5000000", "probesize": "32", "analyzeduration": "0"}
_START_TIMEOUT_S = 20.0


@dataclass(slots=True)
class _Client:
    """Counts the packets of a camera and the pauses between them."""

    url: str
    transport: str
    arrivals: list[float] = field(default_factory=list)

    def run(self, until: threading.Event) -> None:
        options = {**CLIENT_OPTIONS, "rtsp_transport": self.transport}
        with av.open(self.url, options=options) as container:
            for _ in container.demux(video=0):
                self.arrivals.append(time.monotonic())
                if until.is_set():
                    return


def measure_rtsp(
    num_cameras: int = 16, seconds: float = 10.0, transport: str = "tcp"
) -> dict[str, Any]:
    """Serve 640x360 at 25 fps and 600 kbit/s from one process to one client for each camera.

    Args:
        num_cameras: Cameras, with one client each, in threads of this process.
        seconds: Length of the measurement.
        transport: ``"tcp"`` or ``"udp"``.

    Returns:
        ``cpu_percent_per_camera`` (of one core), ``cpu_percent``, ``peak_rss_mib``, and over the
        clients ``fps_min``, ``fps_max`` and ``max_gap_ms``.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "pattern.mp4"
        write_pattern(clip, seconds=5.0)
        with CameraProcess({f"cam{index}": clip for index in range(num_cameras)}) as process:
            clients = [_Client(camera.url, transport) for camera in process.cameras.values()]
            return _measure(process, clients, seconds)


def _measure(process: CameraProcess, clients: list[_Client], seconds: float) -> dict[str, Any]:
    until = threading.Event()
    threads = [
        threading.Thread(target=client.run, args=(until,), daemon=True) for client in clients
    ]
    for thread in threads:
        thread.start()
    _await_first_packets(clients)
    begin_s, cpu_begin_s = time.monotonic(), process.stats()["cpu_s"]
    time.sleep(seconds)
    end_s, stats = time.monotonic(), process.stats()
    until.set()
    for thread in threads:
        thread.join()
    cpu_percent = 100 * (stats["cpu_s"] - cpu_begin_s) / (end_s - begin_s)
    return {
        "cameras": len(clients),
        "transport": clients[0].transport,
        "cpu_percent": round(cpu_percent, 2),
        "cpu_percent_per_camera": round(cpu_percent / len(clients), 3),
        "peak_rss_mib": round(stats["peak_rss_bytes"] / 2**20),
        **_arrivals(clients, begin_s, end_s),
    }


def _await_first_packets(clients: list[_Client]) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not all(client.arrivals for client in clients):
        if time.monotonic() > deadline_s:
            num_waiting = sum(not client.arrivals for client in clients)
            message = f"{num_waiting} of {len(clients)} clients got no packet; see what they wrote"
            raise CameraProcessError(f"{message} to standard error")
        time.sleep(0.01)


def _arrivals(clients: list[_Client], begin_s: float, end_s: float) -> dict[str, float]:
    windows = [[at for at in client.arrivals if begin_s <= at <= end_s] for client in clients]
    rates = [len(window) / (end_s - begin_s) for window in windows]
    gaps = [later - earlier for window in windows for earlier, later in itertools.pairwise(window)]
    return {
        "fps_min": round(min(rates), 2),
        "fps_max": round(max(rates), 2),
        "max_gap_ms": round(1000 * max(gaps, default=0.0), 1),
    }
