"""A slot in miniature for tests of the degrade ladder: cameras, engine and decoders."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.inference.ladder import DegradeLadder, LadderStatus
from actors.inference.overload import LadderConfig, Load
from actors.messages import DegradeStep, StreamQos, StreamStep, Ticket
from actors.specs import QosClass, QosSpec
from engines.frames import Picture

PICTURE = Picture(16, 16)
KEY_FPS = 0.5


def ticket(stream: str, index: int, arrival: float, session: int = 1) -> Ticket:
    return Ticket(
        stream, session, index, 0, PICTURE, (16, 16), 0.0, 0.0, arrival, arrival + 1, arrival
    )


def qos(name: QosClass, min_fps: float | None = None) -> QosSpec:
    return QosSpec(class_name=name, min_fps=min_fps)


@dataclass
class Camera:
    """A camera that does what it was told one second ago."""

    stream: str
    qos_class: QosClass
    fps: float
    min_fps: float
    max_fps: float | None = None
    order: StreamStep | None = None
    index: float = 0.0
    due: float = 0.0

    @property
    def step(self) -> DegradeStep:
        return self.order.step if self.order else DegradeStep.NONE

    def decoded_fps(self) -> float:
        rates = {DegradeStep.KEY_FRAMES: min(KEY_FPS, self.fps), DegradeStep.PAUSED: 0.0}
        return rates.get(self.step, self.fps)

    def offered_fps(self) -> float:
        limits = (self.decoded_fps(), self.max_fps, self.order.max_fps if self.order else None)
        return min(fps for fps in limits if fps is not None)


@dataclass
class World:
    """Cameras, an engine that infers ``capacity_fps`` and decoders that decode ``decode_fps``.

    Attributes:
        estimate: What the engine believes of its capacity, as a factor.
        late_from: Where more than this share of the capacity is offered, a tenth of the urgent
            frames comes late.
        changes: Times and rungs at which the ladder moved.
        held: How many streams were held back then.
    """

    cameras: list[Camera]
    capacity_fps: float
    decode_fps: float = 1e9
    estimate: float = 1.0
    config: LadderConfig = field(default_factory=LadderConfig)
    late_from: float = float("inf")
    now: float = 100.0

    def __post_init__(self) -> None:
        self.ladder = DegradeLadder(self.config)
        self.changes: list[tuple[float, int]] = []
        self.held: list[int] = []
        self.lag_s = self.utilisation = self.inferred = self.given_up = 0.0
        self.on_time = self.late = 0.0
        for camera in self.cameras:
            self.enter(camera)

    def enter(self, camera: Camera) -> None:
        if camera not in self.cameras:
            self.cameras.append(camera)
        spec = qos(camera.qos_class, camera.min_fps)
        self.ladder.open("ingest", StreamQos(camera.stream, spec, camera.max_fps))

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self._second()

    @property
    def status(self) -> LadderStatus:
        return self.ladder.status(self.now, 0.0)

    @property
    def rung(self) -> int:
        return self.status.rung

    @property
    def steps(self) -> dict[QosClass, set[DegradeStep]]:
        told = self.status.steps
        return {
            name: {
                told.get(c.stream, DegradeStep.NONE) for c in self.cameras if c.qos_class is name
            }
            for name in QosClass
        }

    def _second(self) -> None:
        self.now += 1.0
        self._send()
        offered_fps = sum(camera.offered_fps() for camera in self.cameras)
        served_fps = min(offered_fps, self.capacity_fps)
        self.inferred += served_fps
        self.given_up += offered_fps - served_fps
        self.utilisation += (served_fps / self.capacity_fps - self.utilisation) / 2
        self._decode()
        is_late = offered_fps > self.late_from * self.capacity_fps
        self.on_time += 90.0 if is_late else 100.0
        self.late += 10.0 if is_late else 0.0
        load = Load(
            self.utilisation,
            self.capacity_fps * self.estimate,
            round(self.inferred),
            round(self.given_up),
            {"ingest": self.lag_s},
            round(self.on_time),
            round(self.late),
        )
        for step in self.ladder.take_steps("ingest"):
            next(c for c in self.cameras if c.stream == step.stream).order = step
        if self.ladder.update(load, self.now):
            self.changes.append((self.now, self.rung))
            self.held.append(self.status.num_held)

    def _send(self) -> None:
        for camera in self.cameras:
            camera.index += camera.decoded_fps()
            if camera.offered_fps() and self.now >= camera.due:
                self.ladder.learn(ticket(camera.stream, int(camera.index), self.now))
                camera.due = self.now + 1.0 / camera.offered_fps()

    def _decode(self) -> None:
        decoded_fps = sum(camera.decoded_fps() for camera in self.cameras)
        behind_s = 1.0 - self.decode_fps / decoded_fps if decoded_fps else -1.0
        self.lag_s = min(5.0, max(0.0, self.lag_s + max(-1.0, behind_s)))
