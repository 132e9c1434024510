"""Secondary models beside a detector: they look at crops of the frames that it has just inferred.

Crops of all frames of a batch, whatever cameras they are of, are looked at together while the
frames are still in their slots, in host memory or on a GPU. The time that this takes is part of the
batch. Detections come first: under overload, or where a deadline is near, requests are missed and
come again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from actors.crop_messages import CropAnswer, CropRequest, MissReason, SecondaryModel, part_of
from actors.inference.crop_desk import CropDesk, first_of_each, rows_of
from actors.inference.portraits import PortraitEngine, portrait_model
from actors.messages import Ticket
from engines.crops import Crop, cut
from engines.detections import Detections
from engines.engine import CropEngine, Engine
from engines.errors import ModelError
from engines.factory import create_crop_engine
from engines.frames import Frame
from engines.readings import Readings
from engines.spec import ModelSpec

_SMOOTHING = 0.2
_FIRST_GUESS_S = 1e-3
_SHARE = 0.5
"""Of the time until the first deadline of a batch: so much may go to crops."""

Answers = tuple[CropAnswer, ...]


MakeEngine = Callable[[ModelSpec], CropEngine]
"""An engine for a model of crops, not yet loaded."""


@dataclass(frozen=True, slots=True)
class Secondary:
    """One secondary model, with what runs it."""

    model: SecondaryModel
    engine: CropEngine

    @property
    def name(self) -> str:
        """Its name in the pipeline."""
        return self.model.spec.name


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One crop: of which frame of the batch, for which track, along which detection."""

    frame: int
    track: int
    row: int
    crop: Crop


class CascadeEngine:
    """An ``Engine`` that has secondary models with it: loaded, swapped and closed as one.

    Args:
        primary: The detector, loaded already.
        secondaries: A cascade, see ``require_cascade``.
        max_crops: Most crops that are asked for in one batch.
        clock: Seconds, the same clock as the tickets' deadlines.
    """

    def __init__(
        self,
        primary: Engine,
        secondaries: Sequence[Secondary],
        max_crops: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = primary.spec
        self.batch_sizes = primary.batch_sizes
        self.max_in_flight = primary.max_in_flight
        self._primary = primary
        self._secondaries = {one.name: one for one in secondaries}
        self._max_crops = max_crops
        self._clock = clock
        self._desk = CropDesk()
        self._lock = threading.Lock()
        self._crop_s = 0.0

    def load(self) -> None:
        """Load the secondary models.

        Raises:
            ModelError: one cannot be used; names the secondary and the field.
        """
        for number, one in enumerate(self._secondaries.values()):
            try:
                one.engine.load()
            except ModelError as error:
                self.close()
                field = f"secondaries.{number}.model.{error.field}"
                raise ModelError(error.message, field=field, remedy=error.remedy) from None

    def infer(self, frames: Sequence[Frame]) -> list[Detections]:
        """See ``Engine.infer``."""
        return self._primary.infer(frames)

    def close(self) -> None:
        """See ``Engine.close``."""
        self._primary.close()
        for one in self._secondaries.values():
            one.engine.close()

    def ask(self, requests: Iterable[CropRequest]) -> None:
        """Look at these in the next frames of their streams; any thread may call."""
        with self._lock:
            self._desk.put(requests, self._clock())

    def look(
        self,
        tickets: Sequence[Ticket],
        frames: Sequence[Frame],
        found: Sequence[Detections],
        *,
        is_busy: bool = False,
    ) -> list[Answers]:
        """Look at what was asked for of these frames.

        Args:
            tickets: Of a batch.
            frames: Its pictures.
            found: Their detections.
            is_busy: Whether frames need all the time: then all requests are missed.

        Returns:
            For each frame, what the secondaries say.

        Raises:
            EngineFailedError: if a device failed.
        """
        asked = self._take(tickets)
        if not any(asked):
            return [()] * len(tickets)
        limit = 0 if is_busy else self._affordable(min(t.deadline for t in tickets))
        takes = first_of_each([len(requests) for requests in asked], limit)
        looks: dict[str, list[_Look]] = {}
        for number, (ticket, requests, take) in enumerate(zip(tickets, asked, takes, strict=True)):
            rows = rows_of(requests[:take], ticket.ts, found[number])
            for request, row in zip(requests, rows.tolist(), strict=False):
                spec = self._secondaries[request.secondary].model.spec
                for crop in _crops(frames[number], found[number], row, spec.margin):
                    own = looks.setdefault(request.secondary, [])
                    own.append(_Look(number, request.track, row, crop))
        answers = self._answers(looks, len(tickets))
        why = MissReason.BUSY if is_busy else MissReason.LATE
        return [
            (*done, *_missed(requests[:take], done), *_missed(requests[take:], done, why))
            for requests, take, done in zip(asked, takes, answers, strict=True)
        ]

    def _take(self, tickets: Sequence[Ticket]) -> list[tuple[CropRequest, ...]]:
        """Requests of secondaries that there are, for each frame; empty where there are none."""
        now = self._clock()
        with self._lock:
            if not self._desk:
                return []
            taken = [self._desk.take(t.stream, t.session, now) for t in tickets]
        return [tuple(r for r in some if r.secondary in self._secondaries) for some in taken]

    def _affordable(self, deadline: float) -> int:
        """How many crops there is time for."""
        left_s = max(0.0, deadline - self._clock()) * _SHARE
        return min(self._max_crops, int(left_s / max(self._crop_s, _FIRST_GUESS_S)))

    def _answers(self, looks: dict[str, list[_Look]], num_frames: int) -> list[list[CropAnswer]]:
        answers: list[list[CropAnswer]] = [[] for _ in range(num_frames)]
        began, num = self._clock(), sum(map(len, looks.values()))
        for name, some in looks.items():
            for frame, answer in self._run(self._secondaries[name], some):
                answers[frame].append(answer)
        if num:
            self._learn((self._clock() - began) / num)
        return answers

    def _learn(self, crop_s: float) -> None:
        with self._lock:
            known_s = self._crop_s or crop_s
            self._crop_s = known_s + _SMOOTHING * (crop_s - known_s)

    def _run(self, secondary: Secondary, looks: list[_Look]) -> Iterable[tuple[int, CropAnswer]]:
        """One model's answers by frame, and those of the models that look at its boxes."""
        size = secondary.engine.batch_sizes[-1]
        for begin in range(0, len(looks), size):
            chunk = looks[begin : begin + size]
            given = secondary.engine.infer([look.crop for look in chunk])
            readings = None if isinstance(given, list) else given
            by_frame: dict[int, list[int]] = {}
            for number, look in enumerate(chunk):
                by_frame.setdefault(look.frame, []).append(number)
            for frame, numbers in by_frame.items():
                yield frame, _answer(secondary.name, chunk, numbers, readings)
            if isinstance(given, list):
                for follower in self._secondaries.values():
                    if follower.model.spec.after == secondary.name:
                        inner = _inner(secondary, follower, chunk, given)
                        yield from self._run(follower, inner)


def with_secondaries(
    primary: Engine,
    models: Sequence[SecondaryModel],
    max_crops: int,
    make: MakeEngine = create_crop_engine,
) -> Engine:
    """A loaded detector with its secondary models, loaded too, and with who takes best crops.

    Args:
        primary: The detector.
        models: A cascade, see ``require_cascade``.
        max_crops: See ``CascadeEngine``.
        make: Makes the engines of the secondary models, on the device of the detector.

    Raises:
        ModelError: a secondary cannot be used, names it and the field; then all are closed.
    """
    secondaries = [Secondary(one, make(one.model)) for one in models]
    secondaries.append(Secondary(portrait_model(primary.spec), PortraitEngine(primary.spec)))
    engine = CascadeEngine(primary, secondaries, max_crops)
    engine.load()
    return engine


def ask(engine: Engine, requests: Sequence[CropRequest]) -> None:
    """Hand requests to an engine that has secondary models; another one has no use for them."""
    if isinstance(engine, CascadeEngine):
        engine.ask(requests)


def looked_at(
    engine: Engine,
    tickets: Sequence[Ticket],
    frames: Sequence[Frame],
    found: Sequence[Detections],
    is_busy: Callable[[], bool],
) -> Sequence[Answers]:
    """See ``CascadeEngine.look``; of an engine without secondary models nothing."""
    if not isinstance(engine, CascadeEngine):
        return ((),) * len(found)
    return engine.look(tickets, frames, found, is_busy=is_busy())


def _crops(frame: Frame, found: Detections, row: int, margin: float) -> tuple[Crop, ...]:
    """The crop along a detection; none for row -1, and none where nothing is within the picture."""
    return () if row < 0 else cut(frame, found.xyxy[row : row + 1], margin=margin).crops


def _answer(
    name: str, chunk: Sequence[_Look], numbers: Sequence[int], readings: Readings | None
) -> CropAnswer:
    tracks, rows = zip(*((chunk[n].track, chunk[n].row) for n in numbers), strict=True)
    own = None if readings is None else part_of(readings, numbers)
    return CropAnswer(name, tracks, rows, own)


def _inner(
    parent: Secondary, follower: Secondary, looks: Sequence[_Look], found: Sequence[Detections]
) -> list[_Look]:
    """What a follower looks at: of each crop the surest box of its classes that is large enough."""
    spec, labels, inner = follower.model.spec, parent.model.model.labels, []
    wanted = np.array([not spec.classes or label in spec.classes for label in labels])
    for look, boxes in zip(looks, found, strict=True):
        own = boxes.xyxy[wanted[boxes.class_id]]  # the best first
        crops = cut(look.crop.frame, own, margin=spec.margin, min_size_px=spec.min_size_px).crops
        inner += [_Look(look.frame, look.track, look.row, crop) for crop in crops[:1]]
    return inner


def _missed(
    requests: Sequence[CropRequest],
    done: Sequence[CropAnswer],
    why: MissReason = MissReason.ABSENT,
) -> list[CropAnswer]:
    """What was asked for of a frame and not done, by secondary."""
    answered = {(answer.secondary, track) for answer in done for track in answer.tracks}
    missed: dict[str, list[int]] = {}
    for request in requests:
        if (request.secondary, request.track) not in answered:
            missed.setdefault(request.secondary, []).append(request.track)
    return [CropAnswer(name, missed=tuple(some), reason=why) for name, some in missed.items()]
