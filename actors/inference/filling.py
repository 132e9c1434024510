"""How a rate is divided among streams that ask for different ones."""

from __future__ import annotations

from collections.abc import Sequence


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
