"""Ingest actors whose decoders do not keep up, in miniature, for tests of the degrade ladder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.inference.ladder import DegradeLadder
from actors.inference.overload import Load
from actors.messages import HELD_BACK, DegradeStep, StreamQos, StreamStep
from actors.specs import QosClass, QosSpec
from tests.actors.ladder_world import ticket

FPS = 30.0
MAX_LAG_S = 5.0
"""So much lies in a connection; what does not fit the camera throws away."""
_HELD_COST = 1 / 30
_CATCHES_UP = 2.0


@dataclass
class Decoded:
    """A camera of thirty pictures a second that does what it was told one second ago."""

    stream: str
    qos_class: QosClass
    owner: str
    order: StreamStep = field(init=False)
    lag_s: float = 0.0
    num_decoded: float = 0.0
    num_offered: float = 0.0

    def __post_init__(self) -> None:
        self.order = StreamStep(self.stream, DegradeStep.NONE)

    @property
    def is_held(self) -> bool:
        return self.order.step in HELD_BACK

    @property
    def cost_fps(self) -> float:
        return FPS * _HELD_COST if self.is_held else FPS

    def play(self, speed: float) -> None:
        """A second in which its ingest actor decodes at so many times the speed of its cameras."""
        if self.is_held:
            self.lag_s = max(0.0, self.lag_s - _CATCHES_UP)
            fps = FPS * _HELD_COST if self.order.step is DegradeStep.KEY_FRAMES else 0.0
        else:
            speed = min(speed, 1.0 + self.lag_s)
            self.lag_s = min(MAX_LAG_S, self.lag_s + 1.0 - speed)
            fps = FPS * speed
        self.num_decoded += fps
        self.num_offered += fps if self.order.max_fps is None else min(fps, self.order.max_fps)


class DecoderWorld:
    """Cameras, an engine, and what the decoders of each ingest actor do.

    Args:
        cameras: Of all ingest actors.
        speeds: By ingest actor, in parts of what its cameras send.
        engine: In parts of what all cameras send.
        shares_cores: See ``DegradeLadder``.
    """

    def __init__(
        self,
        cameras: list[Decoded],
        speeds: Mapping[str, float],
        *,
        engine: float = 3.0,
        shares_cores: bool = False,
    ) -> None:
        self.ladder = DegradeLadder(shares_cores=shares_cores)
        self.cameras = cameras
        self.sent_fps = Counter[str]()
        for camera in cameras:
            self.sent_fps[camera.owner] += FPS
            self.ladder.open(
                camera.owner, StreamQos(camera.stream, QosSpec(class_name=camera.qos_class))
            )
        self.speeds = dict(speeds)
        self.engine_fps = engine * FPS * len(cameras)
        self.now = 100.0
        self.inferred = self.given_up = self.max_lag_s = 0.0
        self.num_moves = 0

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self._second()

    def measure(self, seconds: int) -> float:
        """Share of what cameras send that is decoded and inferred in the next seconds."""
        before, self.max_lag_s = self.inferred, 0.0
        self.run(seconds)
        return (self.inferred - before) / (FPS * len(self.cameras) * seconds)

    def held(self) -> set[str]:
        status = self.ladder.status(self.now, 0.0)
        held = {name for name, step in status.steps.items() if step in HELD_BACK}
        assert status.num_held == len(held)
        return held

    def lags_s(self) -> dict[str, float]:
        lags_s: dict[str, float] = {}
        for camera in self.cameras:
            lags_s[camera.owner] = max(lags_s.get(camera.owner, 0.0), camera.lag_s)
        return lags_s

    def _second(self) -> None:
        self.now += 1.0
        costs_fps = Counter[str]()
        for camera in self.cameras:
            costs_fps[camera.owner] += camera.cost_fps
        before = sum(c.num_offered for c in self.cameras)
        for camera in self.cameras:
            owner = camera.owner
            camera.play(self.speeds[owner] * self.sent_fps[owner] / costs_fps[owner])
            self.ladder.learn(ticket(camera.stream, int(camera.num_decoded), self.now))
        offered_fps = sum(c.num_offered for c in self.cameras) - before
        served_fps = min(offered_fps, self.engine_fps)
        self.inferred += served_fps
        self.given_up += offered_fps - served_fps
        self._tell()
        load = Load(
            utilisation=served_fps / self.engine_fps,
            batches_fps=self.engine_fps,
            num_inferred=round(self.inferred),
            num_given_up=round(self.given_up),
            decode_lags_s=self.lags_s(),
        )
        self.max_lag_s = max(self.max_lag_s, *load.decode_lags_s.values())
        self.num_moves += self.ladder.update(load, self.now)

    def _tell(self) -> None:
        cameras = {camera.stream: camera for camera in self.cameras}
        for owner in self.speeds:
            for step in self.ladder.take_steps(owner):
                assert cameras[step.stream].owner == owner
                cameras[step.stream].order = step
