"""``sightline doctor``: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from rich.markup import escape
from rich.table import Table

from cluster.cli.doctor_gpu import examine_gpu
from cluster.cli.doctor_memory import examine_shared_memory, pool_bytes
from cluster.cli.finding import Facts, Finding, tried
from cluster.cli.output import JsonFlag, console, print_json
from cluster.cli.service import ConfigOption
from cluster.config import SightlineConfig, load_config
from cluster.devices import is_on_gpu, with_device
from cluster.embedded import find_server
from cluster.errors import UnavailableError
from cluster.machine import num_cores
from engines.cuda.address import bus_address

_PACKAGES = ("ray", "av", "onnxruntime", "onnx", "redis", "numpy", "scipy", "fastapi")


def doctor(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """Check this machine: packages, Redis, shared memory, decoder, model, GPU.

    Exits with 1 if something is missing that every Sightline needs, or that the configuration asks
    for.
    """
    findings = list(examine(load_config(config)))
    if as_json:
        print_json([asdict(finding) | {"remedy": _to_do(finding)} for finding in findings])
    else:
        _show(findings)
    if not all(f.ok for f in findings if not f.what.startswith("GPU")):
        raise SystemExit(1)


def examine(config: SightlineConfig) -> Iterator[Finding]:
    """Look at everything; never raises."""
    python = platform.python_version()
    yield Finding("Python", True, f"{python} on {platform.platform()}", facts={"version": python})
    yield Finding("CPU", True, f"{num_cores()} cores", facts={"cores": num_cores()})
    yield from map(_package, _PACKAGES)
    decided, slots = _slots(config)
    yield from (slots, _redis(), examine_shared_memory(decided), _decoder(), _model())
    yield from examine_gpu(pool_bytes(decided) if is_on_gpu(decided) else 0)


def _package(name: str) -> Finding:
    try:
        found = version(name)
        return Finding(f"package {name}", True, found, facts={"version": found})
    except PackageNotFoundError:
        return Finding(f"package {name}", False, "missing", "pip install sightline")


def _slots(config: SightlineConfig) -> tuple[SightlineConfig, Finding]:
    """The configuration with ``slots.device`` decided, and what ``up`` would do with it."""
    wanted = config.slots.device
    try:
        decided = with_device(config, 1 if bus_address() else 0)
    except UnavailableError as error:
        return config, Finding("slots", False, str(error), "see the GPU's lines")
    device = decided.slots.device
    found = f"run on {device}" if wanted == device else f"run on {device} (slots.device: {wanted})"
    return decided, Finding("slots", True, found, facts={"device": device})


def _redis() -> Finding:
    try:
        return Finding("Redis server", True, find_server())
    except UnavailableError as error:
        return Finding("Redis server", False, "none", str(error))


def _decoder() -> Finding:
    return tried("H.264 and H.265 decoders", _codecs)


def _codecs() -> tuple[str, Facts]:
    import av

    for name in ("h264", "hevc"):
        av.CodecContext.create(name, "r")
    found = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"FFmpeg libavcodec {found}", {"libavcodec": found}


def _model() -> Finding:
    return tried("detector", _run_builtin)


def _run_builtin() -> tuple[str, Facts]:
    from cluster.config.pipelines import PipelineSpec
    from cluster.models import resolve_model
    from engines.factory import create_engine

    engine = create_engine(resolve_model(PipelineSpec()))
    engine.load()
    engine.close()
    name, labels = engine.spec.name, engine.spec.labels
    return f"{name} runs ({', '.join(labels)})", {"model": name, "labels": list(labels)}


def _show(findings: list[Finding]) -> None:
    table = Table("", "what", "found", "what to do")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[yellow]--[/]"
        # Not everything in brackets is a style: sightline[gpu].
        table.add_row(mark, *map(escape, (finding.what, finding.found, _to_do(finding))))
    console.print(table)


def _to_do(finding: Finding) -> str:
    return "" if finding.ok else finding.remedy
