"""The secondary models of one source session: what they should look at, and what follows from it.

Asks ahead: a crop is cut from the stream's next frame, where the object is a little further on.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.appearances import Appearances
from actors.analytics.best_crops import BestCrops
from actors.analytics.cascade import Cascade, Verdict
from actors.analytics.events import EventType, Phase
from actors.analytics.rules.scene import Occurrence, Scene
from actors.analytics.secondaries import Secondary, embedder_of
from actors.analytics.tracking import Tracker
from actors.crop_counts import CropCounts
from actors.crop_messages import BEST_CROP, CropAnswer, CropRequest, MissReason, SecondaryModel
from actors.messages import FrameResult
from engines.crops import Box
from engines.detections import Detections
from engines.readings import Pictures
from engines.spec import Task


class Inspector:
    """Cascade of one source session, between tracks and engine.

    Args:
        models: Secondary models of the pipeline.
        labels: Class names of its detector, in class order.
        counts: Where crops are counted.

    Attributes:
        best: The best crops of its tracks.
    """

    def __init__(
        self, models: Sequence[SecondaryModel], labels: Sequence[str], counts: CropCounts
    ) -> None:
        by_name = {one.spec.name: one.model for one in models}
        embedder = embedder_of(models)
        self._appearances = Appearances(embedder.spec, labels) if embedder is not None else None
        self._cascade = Cascade(
            [
                Secondary(
                    one.spec,
                    one.model,
                    by_name[one.spec.after].labels if one.spec.after else tuple(labels),
                )
                for one in models
                if one is not embedder
            ]
        )
        self._is_text = {name: model.task is Task.TEXT for name, model in by_name.items()}
        self.best = BestCrops()
        self._follows = {one.spec.name for one in models if one.spec.after}
        self._counts = counts
        self._num_labels = len(labels)
        self._made_of = [[one.spec.model_dump_json(), one.model.name] for one in models]
        self._before: tuple[Detections, float] = Detections.empty(), 0.0

    def hear(self, result: FrameResult, scene: Scene) -> list[Occurrence]:
        """Take what secondaries read in a frame; what has settled with it."""
        occurrences = []
        for answer in result.crops:
            if self._appearances is not None and answer.secondary == self._appearances.name:
                self._count(answer, answer)
                continue
            good = _of_their_tracks(answer, result.detections, scene)
            kept = answer.part(good)
            lost = set(answer.tracks) - set(kept.tracks)
            self._count(answer, kept)
            if isinstance(kept.readings, Pictures):
                self.best.take(kept.tracks, kept.readings.jpegs, scene.tracked)
                continue
            self._cascade.missed(answer.secondary, (*answer.missed, *lost))
            for verdict in self._cascade.answered(kept.secondary, kept.tracks, kept.readings):
                occurrences.append(self._occurrence(verdict, scene))
        return occurrences

    def known(self, track: int, name: str) -> set[str]:
        """What is settled of a track under the name of an attribute."""
        return self._cascade.known(track, name)

    def looks(self, result: FrameResult) -> NDArray[np.float32] | None:
        """Embeddings of the detections of a frame, for its tracker; None without such a model.

        float32 [n, d], zero for detections of which none has come.
        """
        if self._appearances is None:
            return None
        return self._appearances.take(result.crops, len(result.detections))

    def ask(
        self, result: FrameResult, scene: Scene, tracker: Tracker, *, wants_best: bool = False
    ) -> list[CropRequest]:
        """What is to be looked at in the stream's next frame, perhaps for best crops, too."""
        tracked, requests = scene.tracked, []
        # While models change a result may know classes that the labels do not.
        known = tracked[tracked.class_id < self._num_labels]
        for due in self._cascade.due(known, scene.at.t_s):
            for row in due.rows.tolist():
                requests.append(self._request(result, due.secondary, known, row))
        if self._appearances is not None and tracker.config.wants_looks:
            wanted = self._appearances.due(known, _strangers(result, scene, tracker), scene.at.t_s)
            name = self._appearances.name
            requests += [self._request(result, name, wanted, row) for row in range(len(wanted))]
            self._appearances.forget(scene.ended)
        if wants_best:
            wanted = self.best.due(known, scene.at.t_s)
            requests += [self._request(result, BEST_CROP, wanted, n) for n in range(len(wanted))]
        self.best.forget(scene.ended)
        for request in requests:
            self._counts.ask(request)
        self._before = known, result.ts
        self._cascade.forget(scene.ended)
        return requests

    def illustrated(self, occurrence: Occurrence) -> Occurrence:
        """The same with the best crop of its object, where it tells a summary and there is one."""
        is_summary = occurrence.type is EventType.OBJECT and "path" in occurrence.data
        if not is_summary or occurrence.sighting is None:
            return occurrence
        jpeg = self.best.of(occurrence.sighting.track)
        text = b64encode(jpeg).decode()
        return (
            replace(occurrence, data={**occurrence.data, "best_crop": text}) if jpeg else occurrence
        )

    def state(self) -> Any:
        """All that is known of tracks, as JSON values."""
        return [self._made_of, self._cascade.state()]

    def restore(self, state: Any) -> None:
        """Go on from what ``state`` gave; of other secondaries nothing is taken."""
        if state and state[0] == self._made_of:
            self._cascade.restore(state[1])

    def _count(self, answer: CropAnswer, kept: CropAnswer) -> None:
        tally = self._counts.of(answer.secondary)
        if answer.secondary in self._follows:  # nobody else asks for these
            tally.num_asked += len(answer.tracks)
        tally.num_answered += len(kept.tracks)
        if astray := len(answer.tracks) - len(kept.tracks):
            tally.missed[MissReason.ASTRAY] += astray
        if answer.missed:
            tally.missed[answer.reason] += len(answer.missed)

    def _request(
        self, result: FrameResult, secondary: str, tracked: Detections, row: int
    ) -> CropRequest:
        track, box = int(tracked.track_id[row]), tracked.xyxy[row]
        before, ts = self._before
        was = before.xyxy[before.track_id == track]
        passed_s = result.ts - ts
        velocity = (box - was[0]) / passed_s if len(was) and passed_s > 0 else np.zeros(4)
        class_id = int(tracked.class_id[row])
        return CropRequest(
            result.stream,
            result.session,
            secondary,
            track,
            class_id,
            _plain(box),
            _plain(velocity),
            result.ts,
        )

    def _occurrence(self, verdict: Verdict, scene: Scene) -> Occurrence:
        leader, previous = verdict.leader, verdict.previous
        is_text = self._is_text[verdict.secondary]
        votes = {"confidence": round(leader.confidence, 4), "votes": leader.num_votes}
        if is_text:
            before = previous[0] if previous else None
            data: dict[str, Any] = {"text": leader.values[0], **votes, "previous": before}
        else:
            values, earlier = list(leader.values), None if previous is None else list(previous)
            data = {"name": verdict.head, "values": values, **votes, "previous": earlier}
        return Occurrence(
            EventType.PLATE if is_text else EventType.ATTRIBUTE,
            Phase.INSTANT,
            verdict.secondary,
            scene.sighting(scene.tracks.index(verdict.track)),
            scene.at,
            data,
        )


def _of_their_tracks(answer: CropAnswer, found: Detections, scene: Scene) -> list[int]:
    """Which of the crops show the tracks that were asked for, as the tracker has it now."""
    good = []
    for number, (track, row) in enumerate(zip(answer.tracks, answer.rows, strict=True)):
        if track in scene.tracks:
            seen = scene.tracked.xyxy[scene.tracks.index(track)]
            if np.array_equal(seen, found.xyxy[row]):
                good.append(number)
    return good


def _strangers(result: FrameResult, scene: Scene, tracker: Tracker) -> Detections:
    """Sure detections that belong to no track; none while all tracks are in sight."""
    found = result.detections
    if len(tracker) == len(scene.tracked):
        return Detections.empty()
    known = set(map(tuple, scene.tracked.xyxy.tolist()))
    is_strange = [tuple(box) not in known for box in found.xyxy.tolist()]
    return found[np.array(is_strange, bool) & (found.confidence >= tracker.config.high_confidence)]


def _plain(values: Any) -> Box:
    left, top, right, bottom = values.tolist()
    return left, top, right, bottom
