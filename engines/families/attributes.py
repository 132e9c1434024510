"""Attributes: several properties of one thing, an output each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.errors import ModelError
from engines.families.reader import Reader, check_labels
from engines.families.tensors import activate, check_image, check_probabilities, flat
from engines.readings import Attributes
from engines.signature import Signature, TensorInfo
from engines.spec import Choice, HeadSpec, ModelSpec

Array = NDArray[np.float32]


class AttributeHeads(Reader):
    """Models with an output [N, labels] for each of their ``heads``; others are not looked at."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._heads: list[tuple[str, HeadSpec]] = list(spec.heads.items())
        self._outputs: list[int] = []

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "A model of attributes")
        names = [output.name for output in signature.outputs]
        for name, head in self._heads:
            if (head.output or name) not in names:
                raise ModelError(
                    f"the model has no output {head.output or name}, it has {', '.join(names)}",
                    field=f"heads.{name}",
                    remedy=f"Name the head like its output, or write output: {names[0]}.",
                )
        self._outputs = [names.index(head.output or name) for name, head in self._heads]
        for (name, head), index in zip(self._heads, self._outputs, strict=True):
            check_labels(signature.outputs[index], head.labels, f"heads.{name}.labels")

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        for (name, head), index in zip(self._heads, self._outputs, strict=True):
            rows = flat(outputs[index])
            given = TensorInfo(name, "float32", rows.shape)
            check_labels(given, head.labels, f"heads.{name}.labels")
            try:
                check_probabilities(rows, head.activation, sums_to_one=head.choice is Choice.ONE)
            except ModelError as error:
                raise ModelError(
                    error.message, field=f"heads.{name}.{error.field}", remedy=error.remedy
                ) from None

    def read(self, outputs: Sequence[Array], views: Sequence[View]) -> Attributes:
        """See ``FamilyAdapter.read``."""
        return Attributes(
            tuple(
                activate(flat(outputs[index]), head.activation)
                for (_, head), index in zip(self._heads, self._outputs, strict=True)
            )
        )
