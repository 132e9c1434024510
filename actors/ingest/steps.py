"""What the engine's degrade ladder takes from the streams of one ingest actor."""

from __future__ import annotations

from collections.abc import Iterable

from actors.messages import DegradeStep, StreamStep

_NOTHING = StreamStep("", DegradeStep.NONE)


class Steps:
    """Steps by stream. Written by the feeder, read by others at any time: no lock is needed."""

    def __init__(self) -> None:
        self._steps: dict[str, StreamStep] = {}

    def of(self, stream: str) -> StreamStep:
        """The step in force; ``none``, without a name, where the engine has said nothing."""
        return self._steps.get(stream) or _NOTHING

    def apply(self, steps: Iterable[StreamStep]) -> None:
        """The engine has told changes."""
        self._steps.update((each.stream, each) for each in steps)

    def forget(self, stream: str) -> None:
        """The stream is closed."""
        self._steps.pop(stream, None)

    def clear(self) -> None:
        """The engine is gone, and its ladder with it."""
        self._steps.clear()
