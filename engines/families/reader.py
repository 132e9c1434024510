"""What the families that read crops have in common: the way in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.errors import ModelError
from engines.families.letterbox import Letterbox
from engines.families.tensors import check_count, is_per_picture
from engines.signature import Signature, TensorInfo
from engines.spec import ModelSpec

Array = NDArray[np.float32]


class Reader:
    """Prepares what is looked at, as the ``resize`` of the input says; for one thread."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._letterbox = Letterbox(spec.input)

    def prepare(self, view: View, out: Array) -> None:
        """See ``FamilyAdapter.prepare``."""
        self._letterbox.write(view, out)


def only_output(signature: Signature, family: str, expected: str) -> TensorInfo:
    """The one output of a model.

    Raises:
        ModelError: if there are several.
    """
    if len(signature.outputs) == 1:
        return signature.outputs[0]
    raise ModelError(
        f"{family} gives one output, {expected}; found {signature}",
        field="family",
        remedy="Leave only that output in the graph, or give another family.",
    )


def check_labels(output: TensorInfo, labels: tuple[str, ...], field: str) -> None:
    """An output has one row a picture and a column a label.

    Raises:
        ModelError: saying how many labels to give.
    """
    if not is_per_picture(output):
        raise ModelError(
            f"{output} is not one row of classes a picture, [N, classes]",
            field="family",
            remedy="Give another family, or export the model up to its classes.",
        )
    check_count(output, 1, len(labels), 0, field)
