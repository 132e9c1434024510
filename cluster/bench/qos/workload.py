"""Cameras and the frames that arrive from them: seeded traces, the same on every machine.

Only sums, products and uniform random numbers are used, which every IEEE machine computes alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from actors.messages import Ticket
from actors.specs import CLASS_DEFAULTS, QosClass
from engines.frames import Picture

_JITTER_OF_PERIOD = 0.5
_PAUSE_S, _PAUSE_EVERY_S = 0.4, 2.0
_STALL_S, _STALL_EVERY_S, _STALLED_SHARE = 1.5, 6.0, 0.25
_CATCH_UP = 1e-3  # of the time between frames that were held up, when at last they come
_PICTURE = Picture(1280, 720)


class Trace(str, Enum):
    """How frames arrive."""

    REGULAR = "regular"  # as by a clock, each camera with its own phase
    JITTERED = "jittered"  # up to half a period late
    PAUSES = "pauses"  # every 2 s each camera is silent for 400 ms around its I-frame
    BURSTS = "bursts"  # every 6 s a quarter of the cameras stalls for 1.5 s
    FAST = "fast camera"  # one camera of class normal at 120 fps, jittered like all others
    MANY = "1,000 streams"  # jittered


@dataclass(frozen=True, slots=True)
class Camera:
    """One stream of a workload."""

    name: str
    qos_class: QosClass
    fps: float


@dataclass(frozen=True, slots=True)
class Workload:
    """What all policies are given.

    Attributes:
        cameras: The streams.
        tickets: Their frames in order of arrival; ``slot`` is the frame's number here, from 0.
        seconds: Length of the trace.
    """

    cameras: tuple[Camera, ...]
    tickets: tuple[Ticket, ...]
    seconds: float


def make_workload(
    cameras: Sequence[Camera], trace: Trace, seconds: float, seed: int = 1
) -> Workload:
    """Draw the arrivals of all cameras.

    Frames that a pause or a stall held up come together at its end, in order.
    """
    frames = []
    for number, camera in enumerate(cameras):
        times = _arrivals(camera, trace, seconds, random.Random(f"{seed}-{number}"))
        frames += [(time, number, index) for index, time in enumerate(times)]
    frames.sort()
    tickets = (_ticket(slot, cameras[n], i, time) for slot, (time, n, i) in enumerate(frames))
    return Workload(tuple(cameras), tuple(tickets), seconds)


def _arrivals(camera: Camera, trace: Trace, seconds: float, chance: random.Random) -> list[float]:
    period = 1.0 / camera.fps
    first = chance.random() * period
    taken = [first + i * period for i in range(int((seconds - first) / period) + 1)]
    delayed = _DELAYS[trace](taken, period, chance)
    return sorted(time for time in (round(t, 6) for t in delayed) if time < seconds)


def _regular(taken: list[float], _period: float, _chance: random.Random) -> list[float]:
    return taken


def _jittered(taken: list[float], period: float, chance: random.Random) -> list[float]:
    return [time + chance.random() * period * _JITTER_OF_PERIOD for time in taken]


def _paused(taken: list[float], _period: float, chance: random.Random) -> list[float]:
    offset = chance.random() * _PAUSE_EVERY_S
    return [_held_up(time, (time - offset) % _PAUSE_EVERY_S, _PAUSE_S) for time in taken]


def _stalled(taken: list[float], _period: float, chance: random.Random) -> list[float]:
    num_stalls = int(taken[-1] / _STALL_EVERY_S) + 1
    stalls = [chance.random() < _STALLED_SHARE for _ in range(num_stalls)]
    return [
        _held_up(time, time % _STALL_EVERY_S, _STALL_S)
        if stalls[int(time / _STALL_EVERY_S)]
        else time
        for time in taken
    ]


def _held_up(time: float, since_s: float, hold_s: float) -> float:
    """When a frame comes that was taken ``since_s`` after a hold of ``hold_s`` began."""
    if since_s >= hold_s:
        return time
    return time - since_s + hold_s + since_s * _CATCH_UP


_DELAYS: dict[Trace, Callable[[list[float], float, random.Random], list[float]]] = {
    Trace.REGULAR: _regular,
    Trace.JITTERED: _jittered,
    Trace.PAUSES: _paused,
    Trace.BURSTS: _stalled,
    Trace.FAST: _jittered,
    Trace.MANY: _jittered,
}


def _ticket(slot: int, camera: Camera, index: int, arrival: float) -> Ticket:
    deadline_s = CLASS_DEFAULTS[camera.qos_class].deadline_ms / 1e3
    return Ticket(
        stream=camera.name,
        session=1,
        index=index,
        slot=slot,
        picture=_PICTURE,
        source_size=(_PICTURE.width, _PICTURE.height),
        pts_s=arrival,
        ts=arrival,
        arrival=arrival,
        deadline=arrival + deadline_s,
        ready=arrival,
    )
