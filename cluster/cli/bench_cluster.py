"""``sightline bench failover`` and ``cluster``: several machines of a Ray cluster, on this one."""

from __future__ import annotations

import json
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.cli.bench_proofs import conclude, show_rows
from cluster.cli.output import console

JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write the figures to this file too.")
]
MaxFps = Annotated[float, typer.Option(min=2.5, help="Inferences a second and camera.")]
Cameras = Annotated[int, typer.Option(min=2, max=64, help="In real time, 640x360.")]
NumMachines = Annotated[
    int, typer.Option("--machines", min=1, max=16, help="With a slot each, besides the head.")
]
_FAILOVER_COLUMNS = (
    *("times", "limit_s", "hit_p50_s", "hit_max_s", "others_max_s", "others_more_s"),
    *("others_at_s", "others_skipped", "calm_max_s", "api_s", "whole_s"),
    *("num_made", "num_lost", "num_twice", "load"),
)


class FailureName(str, Enum):
    """Who is killed."""

    INGEST = "ingest"
    ENGINE = "engine"
    ANALYTICS = "analytics"
    SLOT = "slot"
    MACHINE = "machine"
    CONTROLLER = "controller"
    PROXY = "proxy"
    HEAD = "head"
    REDIS = "redis"


def failover(
    failure: Annotated[
        list[FailureName] | None, typer.Option(help="Only these; repeat. All without it.")
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each.")] = 5,
    cameras: Cameras = 6,
    machines: NumMachines = 3,
    max_fps: MaxFps = 4.0,
    json_file: JsonFile = None,
    resume: Annotated[
        bool, typer.Option(help="Keep what the file has, and let happen what is missing.")
    ] = False,
) -> None:
    """Kill actors, slots, machines, Serve, the head and Redis in turn, and see what streams had."""
    from cluster.bench.failover.run import FailoverPlan, measure_failover

    names = [each.value for each in failure or FailureName]
    plan = FailoverPlan(names, times, machines, cameras, max_fps)
    runs = _kept(json_file) if resume else []
    found = measure_failover(plan, console.print, runs, partial(_keep, json_file))
    console.print(", ".join(f"{key} {value}" for key, value in found["settings"].items()))
    show_rows(found["rows"], "failure", _FAILOVER_COLUMNS)
    conclude(found, json_file)


def _kept(path: Path | None) -> list[dict[str, Any]]:
    if path is None or not path.exists():
        return []
    runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"]
    return runs


def _keep(path: Path | None, found: dict[str, Any]) -> None:
    """After each failure, so that a run that is cut short can be resumed."""
    if path is not None:
        path.write_text(json.dumps(found, indent=2) + "\n")


def cluster(
    cameras: Cameras = 10,
    machines: NumMachines = 3,
    max_fps: MaxFps = 4.0,
    json_file: JsonFile = None,
) -> None:
    """From one camera to all and back, while slots come and go: how soon, and what is lost."""
    from cluster.bench.scaling.run import ScalingPlan, measure_scaling

    plan = ScalingPlan(num_cameras=cameras, num_machines=machines, max_fps=max_fps)
    found = measure_scaling(plan, console.print)
    firsts = [{"part": part, **found[part]["first_detection_s"]} for part in ("warm", "together")]
    firsts.append({"part": "at once", **found["up"]["running_slot_s"]})
    show_rows(firsts, "part", ("p50", "p95", "max"))
    parts = [{"part": part, **found[part]} for part in ("up", "down")]
    show_rows(parts, "part", ("slots", "slots_s", "num_moved", "longest_silence_s"))
    show_rows(found["placement"], "slot", ("nodes", "gpus", "on_gpu"))
    conclude(found, json_file)
