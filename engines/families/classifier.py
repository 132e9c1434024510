"""Classifiers: one label for all that is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.families.reader import Reader, check_labels, only_output
from engines.families.tensors import activate, check_image, check_probabilities, flat
from engines.readings import Attributes
from engines.signature import Signature, TensorInfo

Array = NDArray[np.float32]


class Classifier(Reader):
    """Models whose output is [N, classes]; axes of 1 may follow. Read as ``Attributes``, 1 head."""

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "A classifier")
        output = only_output(signature, "A classifier", "[N, classes]")
        check_labels(output, self._spec.labels, "labels")

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        rows = flat(outputs[0])
        check_labels(TensorInfo("output", "float32", rows.shape), self._spec.labels, "labels")
        check_probabilities(rows, self._spec.activation, sums_to_one=True)

    def read(self, outputs: Sequence[Array], views: Sequence[View]) -> Attributes:
        """See ``FamilyAdapter.read``."""
        return Attributes((activate(flat(outputs[0]), self._spec.activation),))
