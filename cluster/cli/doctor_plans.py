"""What ``sightline doctor`` says of TensorRT's plans: whether those that are kept fit here."""

from __future__ import annotations

from pathlib import Path

from cluster.cli.finding import Finding
from engines.errors import PlanError
from engines.tensorrt.cache import default_folder
from engines.tensorrt.inventory import stored_plans
from engines.tensorrt.plan import Platform

_BUILD = "`sightline model build` makes them; else a slot does when it starts, in minutes"


def examine_plans(here: Platform, folder: Path | None = None) -> Finding:
    """Whether there are plans that run here. Plans of other GPUs may share the folder.

    Args:
        here: TensorRT and the GPU.
        folder: Where plans are kept; None for the user's.
    """
    where = folder or default_folder()
    try:
        plans = stored_plans(where)
    except PlanError as error:
        return Finding("GPU plans", False, error.message, error.remedy)
    damaged = [plan.fault for plan in plans if plan.header is None]
    whole = [plan for plan in plans if plan.header is not None]
    fitting = [plan.path.name for plan in whole if not plan.misfit(here)]
    foreign = [plan.path.name for plan in whole if plan.misfit(here)]
    found = f"{len(fitting)} in {where} fit {here}"
    if foreign:
        found += f", {len(foreign)} are of another GPU or version"
    if damaged:
        found += f", {len(damaged)} are no good: {damaged[0]}"
    facts = {"folder": str(where), "fitting": fitting, "foreign": foreign, "damaged": damaged}
    remedy = "delete those that are no good" if damaged else _BUILD
    return Finding("GPU plans", bool(fitting) and not damaged, found, remedy, facts)
