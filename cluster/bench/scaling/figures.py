"""The figures of ``bench cluster``, and what is promised of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cluster.bench.claims import Claim, at_most

WARM_S = {"p50": 1.0, "p95": 2.0}
"""From POST to the first detection, on a slot that runs."""


def percentiles_s(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and the longest."""
    points = {"p50": 50, "p95": 95, "max": 100}
    return {name: round(float(np.percentile(seconds, p)), 3) for name, p in points.items()}


def placement_of(
    slots: Iterable[Mapping[str, Any]], nodes: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Where the actors of each slot run, and which GPUs Ray shows to its engine and its ingest.

    Args:
        slots: As the API tells.
        nodes: The Ray node of each process, as GCS knows them.
    """
    found = []
    for slot in slots:
        actors = [a for a in slot["details"]["actors"] if a["pid"] in nodes]
        on_gpu = [a for a in actors if a["gpus"]]
        found.append(
            {
                "slot": slot["name"],
                "nodes": sorted({nodes[a["pid"]] for a in actors}),
                "gpus": sorted({(nodes[a["pid"]], gpu) for a in on_gpu for gpu in a["gpus"]}),
                "on_gpu": sorted(a["name"] for a in on_gpu),
            }
        )
    return found


def claims_of(found: Mapping[str, Any]) -> list[Claim]:
    """What is promised, held against the figures of ``measure_scaling``."""
    warm = found["warm"]["first_detection_s"]
    at_once = found["up"]["running_slot_s"]
    together = found["together"]["first_detection_s"]
    placement = found["placement"]
    gpus = [tuple(gpu) for slot in placement for gpu in slot["gpus"]]
    own = len(gpus) == len(set(gpus)) == len(placement) and all(
        {"engine", "ingest-0"} <= set(slot["on_gpu"]) for slot in placement
    )
    silence_s = found["down"]["longest_silence_s"]
    return [
        *(
            at_most(f"from POST to the first detection on a warm slot, {p}, s", warm[p], limit_s)
            for p, limit_s in WARM_S.items()
        ),
        *(
            at_most(f"the same of as many as it can hold, posted at once, {p}, s", at_once[p], s)
            for p, s in WARM_S.items()
        ),
        *(
            at_most(f"the same of all but one camera on all slots, {p}, s", together[p], s)
            for p, s in WARM_S.items()
        ),
        Claim("engine and ingest of each slot see one GPU, which no other slot has", gpus, own),
        at_most("frames lost while slots came and went", found["dropped"].get("lost", 0), 0),
        at_most("the camera that stays is never silent for more than 2 s", silence_s, 2.0),
    ]
