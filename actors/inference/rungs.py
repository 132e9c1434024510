"""The rungs of the degrade ladder: which takes what from which class."""

from __future__ import annotations

from functools import cache

from actors.messages import DegradeStep
from actors.specs import QosClass, QosSpec

RUNGS: tuple[tuple[QosClass, DegradeStep], ...] = tuple(
    (name, step)
    for step in (DegradeStep.CAPPED, DegradeStep.KEY_FRAMES, DegradeStep.PAUSED)
    for name in (QosClass.LOW, QosClass.NORMAL, QosClass.HIGH)
)

NUM_CAPPED = sum(step is DegradeStep.CAPPED for _, step in RUNGS)
"""So many of them keep floors; those above break them."""

# One frame in six may still be lost on its way, or come late, without the floor being undercut.
_MARGIN = 1.2
# Without a floor: a picture every five seconds shows that the camera lives, and costs next to
# nothing.
_LEAST_FPS = 0.2


@cache
def step_at(rung: int, qos_class: QosClass) -> DegradeStep:
    """What the lowest ``rung`` rungs take from a class: the last of its steps."""
    steps = [step for name, step in RUNGS[:rung] if name is qos_class]
    return steps[-1] if steps else DegradeStep.NONE


def floor_cap_fps(qos: QosSpec) -> float:
    """The rate to which a stream is capped: its floor and a fifth more, and never quite nothing."""
    return max(_LEAST_FPS, _MARGIN * qos.resolved().min_fps)
