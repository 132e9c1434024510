"""Ingest: the cameras of one actor, its outbox and its feeder, without Ray."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from random import Random

from actors.ingest.backoff import Backoff
from actors.ingest.camera import Camera
from actors.ingest.config import IngestConfig
from actors.ingest.facilities import Facilities
from actors.ingest.feeder import EngineLink, Feeder
from actors.ingest.session import DEVICE_LOST
from actors.ingest.status import IngestStatus
from actors.ledger import Ledger
from actors.messages import Assignment, StreamQos

_LATE_S = 0.2
"""A watchdog that wakes later than this was not alone in that: the process stood still."""

log = logging.getLogger(__name__)


class Ingest:
    """Many cameras, a thread each, that share one way to one engine.

    Thread-safe. A camera's faults stay its own.

    Args:
        name: The actor's, unique at its engine.
        ledger: Where frames are counted.
        link: The way to the engine.
        config: Time-outs.
        incarnation: Of its process; None makes one up.
    """

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        link: EngineLink,
        config: IngestConfig | None = None,
        incarnation: str | None = None,
    ) -> None:
        self.name = name
        self.incarnation = incarnation or uuid.uuid4().hex
        self._config = config or IngestConfig()
        self._ledger = ledger
        self._facilities = Facilities.of(self._config)
        self._outbox = self._facilities.outbox
        self._feeder = Feeder(name, link, self._outbox, self._config)
        self._cameras: dict[str, Camera] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name=f"cameras-{name}", daemon=True)
        self._feeder.start()
        self._watchdog.start()

    def open_stream(self, assignment: Assignment) -> None:
        """Take a stream on; the same as ``update_stream`` where it is here already."""
        self.update_stream(assignment)

    def update_stream(self, assignment: Assignment) -> None:
        """Follow a changed spec; an older generation than the one in force is ignored.

        Only another url, transport, loop, enabled or ledger row opens the camera anew.
        """
        stream = assignment.spec.id
        row = self._ledger.row(assignment.ledger_row)
        with self._lock:
            camera = self._cameras.get(stream)
            if camera is None:
                backoff = Backoff(Random())
                self._cameras[stream] = Camera(
                    assignment, row, self._facilities, backoff, time.time()
                )
            elif assignment.generation >= camera.assignment.generation:
                camera.update(assignment, row, time.time())
            else:
                return
            self._announce(assignment)

    def close_stream(self, stream: str) -> None:
        """Close a camera and wait until all its frames have ended and are in the ledger."""
        with self._lock:
            camera = self._cameras.pop(stream, None)
            if camera is None:
                return
            self._close(stream, camera)
        self._outbox.drain(stream, self._config.close_timeout_s)

    def status(self) -> IngestStatus:
        """What each stream is doing."""
        now = time.monotonic()
        with self._lock:
            streams = tuple(camera.status(now) for camera in self._cameras.values())
        return IngestStatus(
            name=self.name,
            incarnation=self.incarnation,
            is_attached=self._feeder.is_attached,
            num_free_slots=len(self._outbox.slot_use().free),
            streams=streams,
            cpu_s=time.process_time(),
        )

    def has_lost_device(self) -> bool:
        """Whether this process can use its GPU no more: a camera ended so, or a call hangs."""
        if self._facilities.rounds.stuck_s(time.monotonic()) > self._config.max_round_s:
            return True
        return any(stream.reason == DEVICE_LOST for stream in self.status().streams)

    def stop(self) -> None:
        """Close all cameras, wait for their frames and end the threads; may be called twice."""
        deadline = time.monotonic() + self._config.close_timeout_s
        with self._lock:
            cameras, self._cameras = self._cameras, {}
            for stream, camera in cameras.items():
                self._close(stream, camera)
        for stream in cameras:
            self._outbox.drain(stream, max(0.0, deadline - time.monotonic()))
        self._stop.set()
        self._facilities.rounds.stop()
        self._watchdog.join()
        self._feeder.stop(max(0.5, deadline - time.monotonic()))
        for camera in cameras.values():
            camera.join(deadline)

    def _close(self, stream: str, camera: Camera) -> None:
        camera.close()
        self._outbox.close_stream(stream)

    def _announce(self, assignment: Assignment) -> None:
        spec = assignment.spec
        if spec.enabled:
            self._outbox.open_stream(StreamQos(spec.id, spec.qos, spec.max_fps))
        else:
            self._outbox.close_stream(spec.id)

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._stop.wait(self._config.tick_s):
            before, looked_at = looked_at, time.monotonic()
            late_s = looked_at - before - self._config.tick_s
            stood_still_s = late_s if late_s > _LATE_S else 0.0
            with self._lock:
                lags_s = [self._tick(camera, stood_still_s) for camera in self._cameras.values()]
            self._feeder.decode_lag_s = max(lags_s, default=0.0)

    def _tick(self, camera: Camera, stood_still_s: float) -> float:
        """Look after a camera; how far it is behind, seconds."""
        now = time.monotonic()
        try:
            camera.tick(now, time.time(), stood_still_s)
        except Exception:  # the other cameras must go on being looked after
            log.exception("stream %s: looking after it failed", camera.assignment.spec.id)
        return camera.decode_lag_s(now)
