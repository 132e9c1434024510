"""What a TensorRT plan is bound to: its name, its header, and the refusal of a foreign one."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.errors import ModelError
from engines.spec import Precision
from engines.tensorrt.options import BuildOptions

MAGIC = b"SIGHTLINE PLAN\n"
FORMAT = 1
"""Counts up when the graph that is built, or the file, changes for one and the same request."""
LENGTH_BYTES = 8
NAME_DIGITS = 16


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
        num_classes: Columns of classes that the best candidates are chosen by.
        max_candidates: Candidates of a picture before suppression.
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


def pack(request: PlanRequest, plan: bytes) -> bytes:
    """A plan with a header that says what it is for and how long it is."""
    header = {
        "request": asdict(request),
        "num_bytes": len(plan),
        "sha256": hashlib.sha256(plan).hexdigest(),
    }
    text = json.dumps(header).encode()
    return MAGIC + len(text).to_bytes(LENGTH_BYTES, "big") + text + plan


def unpack(path: Path, platform: Platform) -> memoryview:
    """The plan in a file, if it is whole and was built for this platform.

    Raises:
        ModelError: if it is no plan, truncated, damaged, or of another TensorRT or GPU; it names
            both, and what to do.
    """
    data = memoryview(path.read_bytes())
    header, plan = _parted(path, data)
    built_for = Platform(**header["request"]["platform"])
    if built_for != platform:
        raise ModelError(
            f"{path} was built by {built_for}; here is {platform}",
            field="plan",
            remedy="A plan runs nowhere else: build one here with `sightline model build`.",
        )
    if len(plan) != header["num_bytes"]:
        raise _damaged(path, f"holds {len(plan)} bytes of a plan of {header['num_bytes']}")
    if hashlib.sha256(plan).hexdigest() != header["sha256"]:
        raise _damaged(path, "does not have the bytes that were written")
    return plan


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


def _parted(path: Path, data: memoryview) -> tuple[dict[str, Any], memoryview]:
    start = len(MAGIC) + LENGTH_BYTES
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise _damaged(path, "is not a plan of Sightline")
    end = start + int.from_bytes(data[len(MAGIC) : start], "big")
    try:
        header: dict[str, Any] = json.loads(bytes(data[start:end]))
    except ValueError:
        raise _damaged(path, f"ends in its header, after {len(data)} bytes") from None
    return header, data[end:]


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(
        f"{path} {what}",
        field="plan",
        remedy="Delete it, and build it again with `sightline model build`.",
    )
