"""``sightline doctor``: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from rich.table import Table

from cluster.cli.doctor_gpu import examine_gpu
from cluster.cli.finding import Finding, tried
from cluster.cli.output import JsonFlag, console, print_json
from cluster.embedded import find_server
from cluster.errors import UnavailableError
from cluster.machine import num_cores
from engines.frames import shared_memory_dir

_MIN_SHARED_MEMORY_BYTES = 256 << 20
_PACKAGES = ("ray", "av", "onnxruntime", "onnx", "redis", "numpy", "scipy", "fastapi")


def doctor(as_json: JsonFlag = False) -> None:
    """Check this machine: packages, Redis, shared memory, decoder, model, GPU.

    Exits with 1 if something is missing that every Sightline needs.
    """
    findings = list(examine())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if not all(f.ok for f in findings if not f.what.startswith("GPU")):
        raise SystemExit(1)


def examine() -> Iterator[Finding]:
    """Look at everything; never raises."""
    yield Finding("Python", True, f"{platform.python_version()} on {platform.platform()}")
    yield Finding("CPU", True, f"{num_cores()} cores")
    yield from map(_package, _PACKAGES)
    for look in (_redis, _shared_memory, _decoder, _model):
        yield look()
    yield from examine_gpu()


def _package(name: str) -> Finding:
    try:
        return Finding(f"package {name}", True, version(name))
    except PackageNotFoundError:
        return Finding(f"package {name}", False, "missing", "pip install sightline")


def _redis() -> Finding:
    try:
        return Finding("Redis server", True, find_server())
    except UnavailableError as error:
        return Finding("Redis server", False, "none", str(error))


def _shared_memory() -> Finding:
    folder = shared_memory_dir()
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**20:.0f} MB free in {folder}"
    if free >= _MIN_SHARED_MEMORY_BYTES:
        return Finding("shared memory", True, found)
    return Finding(
        "shared memory", False, found, "give the container more: --shm-size=1g or --ipc=host"
    )


def _decoder() -> Finding:
    return tried("H.264 and H.265 decoders", _codecs)


def _codecs() -> str:
    import av

    for name in ("h264", "hevc"):
        av.CodecContext.create(name, "r")
    return f"FFmpeg libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


def _model() -> Finding:
    return tried("detector", _run_builtin)


def _run_builtin() -> str:
    from cluster.config.pipelines import PipelineSpec
    from cluster.models import resolve_model
    from engines.factory import create_engine

    engine = create_engine(resolve_model(PipelineSpec()))
    engine.load()
    engine.close()
    return f"{engine.spec.name} runs ({', '.join(engine.spec.labels)})"


def _show(findings: list[Finding]) -> None:
    table = Table("", "what", "found", "what to do")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[yellow]--[/]"
        table.add_row(mark, finding.what, finding.found, "" if finding.ok else finding.remedy)
    console.print(table)
