"""From what a lane gives to detections or readings; of either nothing is left in its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from engines.crops import View
from engines.cuda.suppress import read_records
from engines.detections import Detections
from engines.families.adapter import FamilyAdapter
from engines.families.placement import SourceMaps
from engines.signature import Signature
from engines.spec import ModelSpec
from engines.tensorrt.lane import Lane, Outputs, grey_frame

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class OutputReader(Protocol[Result_co]):
    """Reads what one lane gives; for one thread at a time."""

    def read(self, outputs: Outputs, views: Sequence[View]) -> Result_co:
        """Turn the outputs of a batch into what was found or read, in the order of the views."""


class RecordReader:
    """Reads the records of suppressed detections."""

    def __init__(self, spec: ModelSpec) -> None:
        self._sources = SourceMaps(spec.input)

    def read(self, outputs: Outputs, views: Sequence[View]) -> list[Detections]:
        """See ``OutputReader.read``; the boxes of a batch are worked out together."""
        (records,) = outputs
        kept, nums = read_records(records[: len(views)])
        xyxy = self._sources.of_all(views, nums).apply(kept[:, :4])
        found, ends = Detections.of(xyxy, kept[:, 4], kept[:, 5]), nums.cumsum().tolist()
        return [found[a:b] for a, b in zip((0, *ends), ends, strict=False)]


class FamilyReader(Generic[Result]):
    """Reads the network's own outputs with the code that the CPU backend uses."""

    def __init__(self, family: FamilyAdapter[Result]) -> None:
        self._family = family

    def read(self, outputs: Outputs, views: Sequence[View]) -> Result:
        """See ``OutputReader.read``."""
        return self._family.read([np.array(output, np.float32) for output in outputs], views)


def family_reader(
    family: FamilyAdapter[Result], signature: Signature, lane: Lane, batch_size: int
) -> FamilyReader[Result]:
    """A reader of a family's outputs, once they have been compared with the spec.

    Args:
        family: Of the lane alone.
        signature: Of the plan.
        lane: Runs once, on a grey picture.
        batch_size: One that the plan was built for.

    Raises:
        ModelError: if tensors or values do not fit, naming the field of the spec.
        DeviceError: if the device failed.
    """
    family.check_signature(signature)
    outputs = lane.run([grey_frame()], batch_size)
    family.check_outputs([np.array(output, np.float32) for output in outputs])
    return FamilyReader(family)
