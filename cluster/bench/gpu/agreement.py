"""Whether the GPU sees what the CPU sees: pictures, models' input and detections of a real film.

The film is MPEG-4, which the GPU leaves to the CPU, so it is played twice: as it is, through the
CPU's decoder, and coded anew as H.264, through NVDEC. ONNX Runtime gets the same pictures from the
CPU's decoder each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.ingest.config import DecoderName
from actors.ingest.picture import PictureLayout
from cluster.bench.claims import Claim, all_hold, at_most, plain
from cluster.bench.gpu.pets import EVERY, Pets, ap50, coded_copy, host_frame, play
from cluster.bench.gpu.sides import Side
from cluster.demo.clips import cache_dir
from cluster.errors import UnavailableError
from cluster.machine import num_cores
from engines.detections import Detections
from engines.errors import ModelError
from engines.families.letterbox import Letterbox
from engines.frames import Frame
from engines.inspection import load_spec
from engines.onnxruntime import OnnxRuntimeEngine
from engines.spec import InputSpec, ModelSpec

REFERENCE = "onnxruntime fp32"
MAX_AP50_DIFFERENCE = 0.005
MAX_GREY_LEVELS = 2.0

_CONFIDENCE, _IOU = 0.05, 0.65
"""As YOLOX evaluates itself; the curve needs weak detections too."""

Report = Callable[[str], None]
OpenSide = Callable[[ModelSpec, int], Side]
"""A model and the bytes of the largest picture."""


@dataclass(frozen=True, slots=True)
class AgreementPlan:
    """What to compare.

    Attributes:
        data: Folder with film, truth and model.
        model: Another YOLOX model that knows persons; None for the folder's.
        decoder: ``nvdec`` plays the film both ways, ``cpu`` only as it is.
        open_side: What is compared with ONNX Runtime.
        max_frames: So many of each film at most; None for all.
    """

    data: Path
    model: Path | None
    decoder: DecoderName
    open_side: OpenSide
    max_frames: int | None = None


@dataclass(slots=True)
class Seen:
    """What one way of playing the film gave.

    Attributes:
        found: Of each engine, the detections of each frame by its number, from 1.
        num_different: Frames whose pictures are not those of the CPU's decoder.
        decoded_levels: Their largest difference, grey levels.
        prepared_levels: Largest difference of the models' input, grey levels, by number format.
    """

    found: dict[str, dict[int, Detections]] = field(default_factory=dict)
    num_different: int = 0
    decoded_levels: int = 0
    prepared_levels: dict[str, float] = field(default_factory=dict)


def measure_agreement(plan: AgreementPlan, report: Report) -> dict[str, Any]:
    """Play the film, and compare.

    Args:
        plan: What to compare.
        report: Told what is going on.

    Returns:
        ``host`` and ``model``; ``rows``, one an engine and way of playing; ``decoding`` and
        ``preprocessing``, each by way of playing; ``claims``.

    Raises:
        UnavailableError: if a file is missing, or NVDEC does not decode.
        EngineError: if the model or the GPU cannot be used.
    """
    pets = Pets.within(plan.data, plan.model)
    spec = load_spec(pets.model).model_copy(update={"confidence": _CONFIDENCE, "iou": _IOU})
    person = class_of(spec, "person")
    ways: list[tuple[DecoderName, Path]] = [("cpu", pets.film)]
    if plan.decoder == "nvdec":
        report("coding the film as H.264")
        ways.append(("nvdec", coded_copy(pets.film, cache_dir())))
    engine = OnnxRuntimeEngine(spec, num_threads=num_cores(), max_batch_size=1)
    engine.load()
    first = next(play(pets.film, "cpu"))
    side = plan.open_side(spec, host_frame(first, PictureLayout()).picture.size_bytes)
    try:
        comparison, seen = Comparison(spec.input, engine, side), {}
        for decoder, film in ways:
            report(f"playing {film.name} through {decoder}")
            seen[decoder] = comparison.watch(film, decoder, plan.max_frames)
    finally:
        side.close()
    truth = np.loadtxt(pets.truth, delimiter=",")
    return {"host": dict(side.host), "model": spec.name, **document(seen, truth, person)}


class Comparison:
    """ONNX Runtime on pictures of the CPU's decoder, and a side on those of any decoder.

    Args:
        input_spec: The model's input.
        engine: The reference, loaded.
        side: What is compared with it.
    """

    def __init__(self, input_spec: InputSpec, engine: OnnxRuntimeEngine, side: Side) -> None:
        self._engine = engine
        self._side = side
        self._letterbox = Letterbox(input_spec)
        self._std = np.array(input_spec.std, np.float64)[:, None, None]

    def watch(self, film: Path, decoder: DecoderName, max_frames: int | None = None) -> Seen:
        """Play a film to its end.

        Raises:
            UnavailableError: if another decoder had to help out, or frames are missing.
        """
        seen, layout = Seen({REFERENCE: {}}), PictureLayout()
        batch: dict[int, Frame] = {}
        pairs = zip_longest(play(film, "cpu", max_frames), play(film, decoder, max_frames))
        for index, (expected, decoded) in enumerate(pairs):
            if expected is None or decoded is None:
                raise UnavailableError(f"{decoder} gives more or fewer frames of {film.name}")
            # At once: a decoder on a GPU has few surfaces.
            self._side.write(len(batch), decoded)
            batch[1 + index * EVERY] = host_frame(expected, layout)
            if len(batch) == self._side.batch_size:
                self._compare(batch, seen)
                batch = {}
        if batch:
            self._compare(batch, seen)
        return seen

    def _compare(self, batch: Mapping[int, Frame], seen: Seen) -> None:
        """Compare a batch, whose frames lie in the first slots in their order."""
        frames = self._side.frames(len(batch))
        found = {name: engine.infer(frames) for name, engine in self._side.engines.items()}
        found[REFERENCE] = [self._engine.infer([frame])[0] for frame in batch.values()]
        for name, each in found.items():
            seen.found.setdefault(name, {}).update(zip(batch, each, strict=True))
        in_slots = [self._side.download(slot) for slot in range(len(batch))]
        for expected, frame in zip(batch.values(), in_slots, strict=True):
            levels = grey_levels(expected, frame)
            seen.num_different += levels > 0
            seen.decoded_levels = max(seen.decoded_levels, levels)
        for dtype in (np.float32, np.float16):
            given = self._side.prepare(len(batch), dtype)
            if given is not None:
                name, before = np.dtype(dtype).name, seen.prepared_levels
                before[name] = max(before.get(name, 0.0), self._input_levels(given, in_slots))

    def _input_levels(self, given: NDArray[Any], frames: list[Frame]) -> float:
        expected = np.empty(given.shape, np.float32)
        for frame, out in zip(frames, expected, strict=True):
            self._letterbox.write(frame, out)
        return float((np.abs(given.astype(np.float64) - expected) * self._std).max())


def class_of(spec: ModelSpec, label: str) -> int:
    """The number of a class.

    Raises:
        ModelError: if the model does not know it.
    """
    if label in spec.labels:
        return spec.labels.index(label)
    raise ModelError(
        f"{spec.name} has no class {label}: {', '.join(spec.labels[:10])}",
        field="labels",
        remedy="Give a model of COCO's classes.",
    )


def grey_levels(left: Frame, right: Frame) -> int:
    """Largest difference of two pictures of one size, over all planes."""
    pairs = zip(left.planes, right.planes, strict=True)
    return max(int(np.abs(a.astype(np.int16) - b).max()) for a, b in pairs)


def document(seen: Mapping[DecoderName, Seen], truth: NDArray[Any], person: int) -> dict[str, Any]:
    """All figures, and the claims."""
    rows = []
    for decoder, each in seen.items():
        scores = {name: ap50(found, truth, person) for name, found in each.found.items()}
        for name, score in scores.items():
            known = {"decoder": decoder, "engine": name, "ap50": round(score, 4)}
            rows.append({**known, "difference": round(score - scores[REFERENCE], 5)})
    found = {
        "num_frames": {name: len(each.found[REFERENCE]) for name, each in seen.items()},
        "rows": rows,
        "decoding": {
            name: {"num_different": each.num_different, "grey_levels": each.decoded_levels}
            for name, each in seen.items()
        },
        "preprocessing": {name: each.prepared_levels for name, each in seen.items()},
    }
    claims = claims_of(found)
    return {**found, "claims": plain(claims), "holds": all_hold(claims)}


def claims_of(found: Mapping[str, Any]) -> list[Claim]:
    """What is promised, held against the figures; preprocessing where there is a kernel."""
    apart = [abs(row["difference"]) for row in found["rows"] if row["engine"] != REFERENCE]
    claims = [
        at_most(
            f"AP50 differs from that of ONNX Runtime by at most {MAX_AP50_DIFFERENCE}",
            max(apart, default=None),
            MAX_AP50_DIFFERENCE,
        )
    ]
    levels = [value for each in found["preprocessing"].values() for value in each.values()]
    if levels:
        text = f"preprocessing differs by at most {MAX_GREY_LEVELS:g} grey levels"
        claims.append(at_most(text, max(levels), MAX_GREY_LEVELS))
    return claims
