"""How TensorRT builds: what a user may set, by configuration or by environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engines.errors import ModelError

LEVEL = "SIGHTLINE_TENSORRT_LEVEL"
TACTIC_SOURCES = "SIGHTLINE_TENSORRT_TACTIC_SOURCES"
WORKSPACE_BYTES = "SIGHTLINE_TENSORRT_WORKSPACE_BYTES"

MAX_LEVEL = 5


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What decides how long a build takes and how fast its plan is.

    Attributes:
        optimization_level: 0 (quick build) to 5 (best plan), as TensorRT counts. At 0 it takes the
            first kernel that works, so that timings of earlier builds do not help; from 1 on they
            do, whatever the precision and the batch sizes of those builds were.
        tactic_sources: Names of ``TacticSource`` that may be tried; None for TensorRT's own choice.
            Needed where cuBLAS or cuDNN are not there.
        workspace_bytes: Most scratch memory of a layer; None for all that the GPU has.
    """

    optimization_level: int = 3
    tactic_sources: tuple[str, ...] | None = None
    workspace_bytes: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.optimization_level <= MAX_LEVEL:
            raise ModelError(
                f"{self.optimization_level} is not a level of optimization",
                field="optimization_level",
                remedy=f"Write 0 (quick build) to {MAX_LEVEL} (best plan).",
            )

    def overridden(self, environment: Mapping[str, str] = os.environ) -> BuildOptions:
        """These options, with those that the environment sets in their place.

        Raises:
            ModelError: naming the variable whose value cannot be used.
        """
        options = self
        if LEVEL in environment:
            options = replace(options, optimization_level=_number(environment, LEVEL))
        if WORKSPACE_BYTES in environment:
            options = replace(options, workspace_bytes=_number(environment, WORKSPACE_BYTES))
        if TACTIC_SOURCES in environment:
            names = environment[TACTIC_SOURCES].replace(" ", "").upper().split(",")
            options = replace(options, tactic_sources=tuple(filter(None, names)))
        return options


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except ValueError:
        raise ModelError(
            f"{environment[name]!r} is not a whole number", field=name, remedy="Write one."
        ) from None
