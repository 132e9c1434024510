"""What a TensorRT plan is bound to: its name, its header, and the refusal of a foreign one."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.errors import ModelError, PlanError
from engines.spec import Precision
from engines.tensorrt.options import BuildOptions

MAGIC = b"SIGHTLINE PLAN\n"
FORMAT = 1
"""Counts up when the graph that is built, or the file, changes for one and the same request."""
LENGTH_BYTES = 8
NAME_DIGITS = 16
MAX_HEADER_BYTES = 1 << 20
REBUILD = "sightline model build --rebuild"


@dataclass(frozen=True, slots=True)
class Platform:
    """Where a plan is built, and the only kind of place where it runs.

    Attributes:
        tensorrt: Version, as ``8.6.0``.
        gpu: Name that the driver gives the GPU.
        arch: Its architecture, as ``sm_90``.
    """

    tensorrt: str
    gpu: str
    arch: str

    def __str__(self) -> str:
        return f"TensorRT {self.tensorrt} on {self.gpu} ({self.arch})"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """All that decides what a plan is.

    Attributes:
        model: The model's name.
        onnx_sha256: Of the ONNX file.
        platform: Where it is to run.
        precision: Of the plan; it may be less than that of the file.
        batch_sizes: One profile for each, ascending.
        input_shape: (3, height, width) of one picture.
        num_classes: Columns of classes that the best candidates are chosen by; 0 without those.
        max_candidates: Candidates of a picture before suppression; 0 where the network's outputs
            stay as they are.
        options: How it is built.
        format: Of the file and of what we make of the graph.
    """

    model: str
    onnx_sha256: str
    platform: Platform
    precision: Precision
    batch_sizes: tuple[int, ...]
    input_shape: tuple[int, int, int]
    num_classes: int
    max_candidates: int
    options: BuildOptions
    format: int = FORMAT

    @property
    def file_name(self) -> str:
        """The plan's file: what people look for, and a hash of all the rest."""
        text = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:NAME_DIGITS]
        where = f"trt{self.platform.tensorrt}-{self.platform.arch}"
        return f"{self.model}-{self.precision.value}-{where}-{digest}.plan"


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What a plan's file says of itself.

    Attributes:
        request: Of the plan, as JSON gives it; a file of another format may hold other names.
        platform: Where it was built.
        num_bytes: Of the plan alone.
        sha256: Of the plan alone.
        start: Where in the file the plan begins, in bytes.
    """

    request: dict[str, Any]
    platform: Platform
    num_bytes: int
    sha256: str
    start: int


def pack(request: PlanRequest, plan: bytes) -> bytes:
    """A plan with a header that says what it is for and how long it is."""
    header = {
        "request": asdict(request),
        "num_bytes": len(plan),
        "sha256": hashlib.sha256(plan).hexdigest(),
    }
    text = json.dumps(header).encode()
    return MAGIC + len(text).to_bytes(LENGTH_BYTES, "big") + text + plan


def unpack(path: Path, request: PlanRequest) -> memoryview:
    """The plan in a file, if it is whole and is what the request asks for.

    Raises:
        FileNotFoundError: if there is no file.
        PlanError: if it cannot be read, is no plan, truncated, damaged, or made for anything else:
            another TensorRT, GPU, ONNX file, precision, batch size. It says what to do.
    """
    data = _bytes_of(path)
    header = _parsed(path, data[:MAX_HEADER_BYTES], len(data))
    _check_fits(path, header, request)
    plan = memoryview(data)[header.start :]
    if hashlib.sha256(plan).hexdigest() != header.sha256:
        raise _damaged(path, "does not have the bytes that were written")
    return plan


def read_header(path: Path) -> PlanHeader:
    """What a file says of the plan in it, whose bytes are not looked at.

    Raises:
        FileNotFoundError: if there is no file.
        PlanError: if it cannot be read, or is no whole plan.
    """
    return _parsed(path, _bytes_of(path, MAX_HEADER_BYTES), path.stat().st_size)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror})", remedy="Give the path of an ONNX file."
        ) from error


def plain_name(gpu: str) -> str:
    """A GPU's name as a part of file names."""
    return re.sub(r"[^A-Za-z0-9]+", "-", gpu).strip("-").lower()


def _bytes_of(path: Path, max_bytes: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(max_bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PlanError(
            f"{path} cannot be read ({error.strerror})",
            remedy="Let this user read it, or delete it.",
        ) from error


def _parsed(path: Path, data: bytes, size_bytes: int) -> PlanHeader:
    length = len(MAGIC) + LENGTH_BYTES
    if data[: len(MAGIC)] != MAGIC:
        raise _damaged(path, f"is not a plan of Sightline, in its {size_bytes} bytes")
    end = length + int.from_bytes(data[len(MAGIC) : length], "big")
    if len(data) < end:
        raise _damaged(path, f"ends in its header, after {size_bytes} bytes")
    try:
        says = json.loads(data[length:end])
        request = says["request"]
        platform = Platform(**request["platform"])
        header = PlanHeader(request, platform, int(says["num_bytes"]), str(says["sha256"]), end)
    except (ValueError, TypeError, KeyError):
        raise _damaged(path, "has a header that cannot be read") from None
    if size_bytes - end != header.num_bytes:
        raise _damaged(path, f"holds {size_bytes - end} bytes of a plan of {header.num_bytes}")
    return header


def _check_fits(path: Path, header: PlanHeader, request: PlanRequest) -> None:
    if header.platform != request.platform:
        raise PlanError(
            f"{path} was built by {header.platform}; here is {request.platform}",
            remedy=f"A plan runs nowhere else: build one here with `{REBUILD}`.",
        )
    wanted = json.loads(json.dumps(asdict(request)))
    if header.request == wanted:
        return
    names = sorted({*header.request, *wanted})
    others = [
        f"{name} {_shown(header.request.get(name))} instead of {_shown(wanted.get(name))}"
        for name in names
        if header.request.get(name) != wanted.get(name)
    ]
    raise PlanError(
        f"{path} was built for another plan: {'; '.join(others)}",
        remedy=f"Build it again with `{REBUILD}`.",
    )


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 4 * NAME_DIGITS else f"{text[:NAME_DIGITS]}..."


def _damaged(path: Path, what: str) -> PlanError:
    return PlanError(
        f"{path} {what}",
        remedy=f"Delete it, or build it again with `{REBUILD}`.",
    )
