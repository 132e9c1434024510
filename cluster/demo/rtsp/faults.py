"""What can be made to go wrong with a camera while it runs."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cluster.demo.rtsp.clip import Clip
from cluster.demo.rtsp.errors import InvalidFaultError


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one camera."""


@dataclass(frozen=True, slots=True)
class Stall(Fault):
    """Connections stay and requests are answered; no data comes."""


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """All connections are reset once; new ones work."""


@dataclass(frozen=True, slots=True)
class Down(Fault):
    """Connections are reset, and new ones as soon as they name the camera."""


@dataclass(frozen=True, slots=True)
class Loss(Fault):
    """A share of the RTP packets is left out.

    Attributes:
        fraction: Probability of each packet to be lost, 0 to 1.
        seed: Of the random choice.
    """

    fraction: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise InvalidFaultError(f"loss: fraction is {self.fraction}; give 0 to 1")


@dataclass(frozen=True, slots=True)
class Jitter(Fault):
    """Pictures are late by a random time; their order is kept.

    Attributes:
        max_ms: Longest delay, milliseconds.
        seed: Of the random choice.
    """

    max_ms: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.max_ms <= 60_000:
            raise InvalidFaultError(f"jitter: max_ms is {self.max_ms}; give 0 to 60000")


@dataclass(frozen=True, slots=True)
class NotFound(Fault):
    """The camera answers 404; running sessions end."""


@dataclass(frozen=True, slots=True)
class Unauthorized(Fault):
    """The camera answers 401 whatever the credentials are; running sessions end."""


@dataclass(frozen=True, slots=True)
class Mute(Fault):
    """Connections are accepted and nothing is ever answered or sent."""


@dataclass(frozen=True, slots=True)
class ResolutionChange(Fault):
    """Another clip is played, from its beginning, in the same sessions.

    Attributes:
        clip: Of the same codec as the camera's own.
    """

    clip: Clip


@dataclass(frozen=True, slots=True)
class TimestampJump(Fault):
    """RTP timestamps jump once, and stay where they are when the fault is cleared.

    Attributes:
        seconds: Forward, or backward where negative.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not abs(self.seconds) <= 86_400:
            message = f"timestamp_jump: seconds is {self.seconds}; give -86400 to 86400"
            raise InvalidFaultError(message)


FaultKind = TypeVar("FaultKind", bound=Fault)

ENDS_SESSIONS = (Reset, Down, NotFound, Unauthorized)
ONE_SHOT = (Reset, TimestampJump)
FAULTS: Mapping[str, type[Fault]] = {
    "stall": Stall,
    "reset": Reset,
    "down": Down,
    "loss": Loss,
    "jitter": Jitter,
    "not_found": NotFound,
    "unauthorized": Unauthorized,
    "mute": Mute,
    "resolution_change": ResolutionChange,
    "timestamp_jump": TimestampJump,
}


def fault_named(kind: str, parameters: Mapping[str, object]) -> Fault:
    """Build a fault from its name and parameters, as a command gives them.

    Raises:
        InvalidFaultError: Unknown kind, or parameters that it does not take.
    """
    fault_type = FAULTS.get(kind)
    if fault_type is None:
        raise InvalidFaultError(f"fault: {kind!r} is none of {', '.join(FAULTS)}")
    make: Callable[..., Fault] = fault_type
    names = [field.name for field in dataclasses.fields(fault_type)]
    fitting = all(
        isinstance(value, Clip if name == "clip" else (int, float))
        for name, value in parameters.items()
    )
    try:
        if fitting and parameters.keys() <= set(names):
            return make(**parameters)
    except TypeError:
        pass  # one is missing
    takes = ", ".join(names) or "none"
    raise InvalidFaultError(f"{kind}: parameters {dict(parameters)} do not fit; it takes: {takes}")


class ActiveFaults:
    """The faults of one camera: at most one of each kind, several kinds together."""

    def __init__(self) -> None:
        self._faults: dict[type[Fault], Fault] = {}
        self._random: dict[type[Fault], random.Random] = {}

    def set(self, fault: Fault) -> None:
        """Let a fault begin, in place of one of the same kind."""
        if isinstance(fault, ONE_SHOT):
            return
        self._faults[type(fault)] = fault
        if isinstance(fault, (Loss, Jitter)):
            self._random[type(fault)] = random.Random(fault.seed)

    def clear(self) -> None:
        """Let all faults end."""
        self._faults.clear()

    def get(self, kind: type[FaultKind]) -> FaultKind | None:
        """Return the fault of a kind, where it is active."""
        fault = self._faults.get(kind)
        return fault if isinstance(fault, kind) else None

    def is_silent(self) -> bool:
        """Tell whether no data is sent."""
        return Stall in self._faults or Mute in self._faults

    def survivors(self, packets: list[bytes]) -> list[bytes]:
        """Return the packets that are not lost."""
        loss = self.get(Loss)
        if loss is None:
            return packets
        generator = self._random[Loss]
        return [packet for packet in packets if generator.random() >= loss.fraction]

    def max_delay_s(self) -> float:
        """Return how late a picture can be."""
        jitter = self.get(Jitter)
        return 0.0 if jitter is None else jitter.max_ms / 1000

    def delay_s(self) -> float:
        """Return how late the next picture is."""
        jitter = self.get(Jitter)
        return 0.0 if jitter is None else self._random[Jitter].random() * jitter.max_ms / 1000
