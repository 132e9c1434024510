"""People of a film, followed by appearance: whether embeddings hold identities better than motion.

The film is PETS09-S2L1, whose truth is that of MOT15; TrackEval scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.cascade_specs import SecondarySpec
from actors.crop_messages import SecondaryModel
from actors.specs import StreamSpec
from cluster.bench.attributes.looking import detector_spec, look
from cluster.bench.tracking.contestants import Tracked
from cluster.bench.tracking.scores import ALL, Score, score
from cluster.bench.tracking.sequences import read_sequence
from engines.spec import ModelSpec

MOTION, LOOKS = "deepsort, motion alone", "deepsort, embeddings"
_SET, _SEQUENCE, _FILM = "MOT15", "PETS09-S2L1", "videos/pets09_s2l1_vtest.avi"
_PERSON = "person"


@dataclass(frozen=True, slots=True)
class Held:
    """How well identities were held.

    Attributes:
        score: HOTA, MOTA, IDF1 and switches.
        num_crops: Embeddings that it took.
    """

    score: Score
    num_crops: int


def person_models(data: Path) -> list[SecondaryModel]:
    """OSNet x0.25, for people of any size."""
    model = ModelSpec.model_validate(
        {
            "name": "osnet_x0_25",
            "path": data / "models" / "osnet_x0_25_dynbatch.onnx",
            "family": "embedding",
            "input": {"width": 128, "height": 256},
        }
    )
    spec = SecondarySpec(name="looks", model=str(model.path), classes=(_PERSON,), min_size_px=10)
    return [SecondaryModel(spec, model)]


def hold_identities(data: Path) -> dict[str, Held]:
    """Follow the people of the film, without embeddings and with.

    Raises:
        ClusterError: if TrackEval or the truth is not there.
        OSError: if the film is not there.
        ModelError: if a model cannot be used.
    """
    sequence = read_sequence(data / "mot" / _SET / _SEQUENCE)
    with_models = {MOTION: [], LOOKS: person_models(data)}
    followed = {name: _follow(data, models) for name, models in with_models.items()}
    tracks = {name: {_SEQUENCE: tracked} for name, (tracked, _) in followed.items()}
    scores = score(_SET, [sequence], lambda film: list(range(len(film.frames))), tracks)
    return {name: Held(scores[name][ALL], num) for name, (_, num) in followed.items()}


def _follow(data: Path, models: Sequence[SecondaryModel]) -> tuple[list[Tracked], int]:
    job = StreamSpec.model_validate({"id": "pets", "url": "file:///pets", "tracker": "deepsort"})
    detector, tracks, num_crops = detector_spec(data), list[Tracked](), 0
    person = detector.labels.index(_PERSON)
    for looked in look(data / _FILM, detector, models, job):
        people = looked.pipeline.tracked
        people = people[people.class_id == person]
        tracks.append((people.track_id, people.xyxy))
        num_crops += sum(len(answer.tracks) for answer in looked.result.crops)
    return tracks, num_crops
