"""What a model file takes and gives: names, types and shapes of its tensors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output; a dimension is None where it is free."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        dimensions = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype} [{dimensions}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and outputs of a model, in order."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def __str__(self) -> str:
        return f"inputs: {_listed(self.inputs)}; outputs: {_listed(self.outputs)}"


def _listed(tensors: tuple[TensorInfo, ...]) -> str:
    return ", ".join(map(str, tensors)) or "none"
