"""Recordings through tracker and rules, to events: the same bytes each time, wherever it runs.

``python -m cluster.bench.events.replay FILE ...`` prints a hash of each recording's events.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from actors.analytics.events import Event
from actors.analytics.pipeline import StreamPipeline
from actors.messages import FrameResult
from actors.specs import StreamSpec
from cluster.bench.events.noise import with_noise
from cluster.bench.events.recording import Recording
from cluster.demo.truth_rules import truth_rules
from cluster.demo.world import CLASSES, VIEWS
from engines.detections import Detections

EPOCH = 1_750_000_000.0
SOURCES: Mapping[str, Callable[[Recording], Sequence[Detections]]] = {
    "noise": lambda recording: with_noise(recording.truth),
    "detector": lambda recording: recording.found,
}
"""Whose boxes: those of the truth with errors, and those of the detector that ships."""


def replay(recording: Recording, source: str) -> list[Event]:
    """All events of a film, by the rules of its view."""
    rules = truth_rules(VIEWS[recording.truth.scenario.view])
    spec = StreamSpec.model_validate(
        {"id": recording.name, "url": "file:///recording", "rules": rules}
    )
    pipeline, events = StreamPipeline(spec, CLASSES), []
    for index, found in enumerate(SOURCES[source](recording)):
        events += pipeline.process(_result(recording, index, found)) or []
    return events + pipeline.close()


def _result(recording: Recording, index: int, found: Detections) -> FrameResult:
    scenario, t_s = recording.truth.scenario, recording.truth.frames[index].t_s
    size = scenario.width, scenario.height
    return FrameResult(
        recording.name, 1, index, t_s, EPOCH + t_s, t_s, size, "recorded", found, t_s
    )


def digest(recording: Recording) -> str:
    """Hash of all events as JSON lines, of both sources."""
    events = [event for source in SOURCES for event in replay(recording, source)]
    return sha256("\n".join(event.to_json() for event in events).encode()).hexdigest()


def main(paths: Sequence[str]) -> None:
    """Print a line for each recording."""
    for path in paths:
        sys.stdout.write(f"{digest(Recording.load(Path(path)))}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
