"""A recording: what a detector found in a film, with the truth of the film, to be replayed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cluster.demo.world import Truth
from engines.detections import Detections


@dataclass(frozen=True, slots=True)
class Recording:
    """One film.

    Attributes:
        truth: What happens in it, with the frames that were looked at.
        found: What the detector found in each of these frames, of any confidence.
    """

    truth: Truth
    found: tuple[Detections, ...]

    @property
    def name(self) -> str:
        """View, seed and light."""
        scenario = self.truth.scenario
        return f"{scenario.view}-{scenario.seed}-{scenario.time_of_day}"

    def save(self, path: Path) -> None:
        """Write two lines of JSON, the truth and what was found; the file is whole or not there."""
        found = json.dumps([_to_json(each) for each in self.found], separators=(",", ":"))
        part = path.with_suffix(".part")
        part.write_text(f"{self.truth.to_json()}\n{found}\n")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what ``save`` wrote.

        Raises:
            OSError: if there is no such file.
            ValueError: if it is none.
        """
        truth, found = path.read_text().splitlines()
        return cls(Truth.from_json(truth), tuple(map(_from_json, json.loads(found))))


def rounded(found: Detections) -> Detections:
    """As it comes out of a file: hundredths of a pixel, confidences to four digits."""
    return _from_json(_to_json(found))


def _to_json(found: Detections) -> list[Any]:
    rows = zip(found.class_id.tolist(), found.confidence.tolist(), found.xyxy.tolist(), strict=True)
    return [[name, round(sure, 4), *(round(side, 2) for side in box)] for name, sure, box in rows]


def _from_json(rows: list[Any]) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return Detections.of(table[:, 2:], table[:, 1], table[:, 0])
