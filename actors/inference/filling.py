"""How a rate is divided among streams that ask for different ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from actors.inference.demand import LadderStream
from actors.inference.rungs import NUM_CAPPED, RUNGS
from actors.messages import DegradeStep
from actors.specs import QosClass


def water_level(demands_fps: Sequence[float], total_fps: float) -> float:
    """The cap under which all demands together come to ``total_fps``; infinite where they fit.

    Who asks for less than the cap gets it all, and what he leaves raises the cap of the others
    (max-min fairness, Bertsekas and Gallager, Data Networks, section 6.5).
    """
    left_fps, num_left = total_fps, len(demands_fps)
    for demand_fps in sorted(demands_fps):
        level_fps = max(0.0, left_fps) / num_left
        if demand_fps > level_fps:
            return level_fps
        left_fps -= demand_fps
        num_left -= 1
    return float("inf")


def class_levels(
    streams: Collection[LadderStream],
    steps: Mapping[str, DegradeStep],
    total_fps: float,
    now: float,
) -> dict[QosClass, float]:
    """The caps of the classes that are capped, under which all streams come to ``total_fps``.

    The highest class gets what is left beyond the floors of those below it. Where that is all that
    it asks for, the next one gets the rest; where it is not, those below keep their floors.

    Args:
        streams: All that there are.
        steps: What is taken from each.
        total_fps: What the engine should get.
        now: Seconds, the clock of the tickets.
    """
    asked: dict[QosClass, list[float]] = {name: [] for name, _ in RUNGS[:NUM_CAPPED]}
    floors_fps = dict.fromkeys(asked, 0.0)
    left_fps = total_fps
    for stream in streams:
        if steps[stream.stream] is DegradeStep.CAPPED:
            demand_fps = stream.offered_fps(DegradeStep.NONE, now)
            asked[stream.qos_class].append(demand_fps)
            floors_fps[stream.qos_class] += min(demand_fps, stream.cap_fps)
        else:
            left_fps -= stream.offered_fps(steps[stream.stream], now)
    left_fps -= sum(floors_fps.values())
    levels_fps: dict[QosClass, float] = {}
    for name in reversed(asked):
        left_fps += floors_fps[name]
        levels_fps[name] = water_level(asked[name], left_fps)
        if levels_fps[name] < float("inf"):
            break
        left_fps -= sum(asked[name])
    return levels_fps
