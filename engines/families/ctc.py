"""Lines of text from models that were trained with connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.errors import ModelError
from engines.families.reader import Reader, only_output
from engines.families.tensors import activate, check_image, check_probabilities
from engines.readings import Texts
from engines.signature import Signature
from engines.spec import Blank, ModelSpec

TIME_FIRST, CLASSES_FIRST = 2, 1
"""Axis of the classes in [N, steps, classes], as PP-OCR has it, and [N, classes, steps]."""

Array = NDArray[np.float32]


class Ctc(Reader):
    """Models whose output is [N, steps, classes] or [N, classes, steps], the blank among them.

    Read greedily: the best class of each step, repeated ones once, blanks left out (Graves et al.,
    Connectionist Temporal Classification, ICML 2006, section 3.2).
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._axis = TIME_FIRST
        self._first = 1 if spec.blank is Blank.FIRST else 0
        self._blank = 0 if spec.blank is Blank.FIRST else len(spec.alphabet)

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "A text model")
        output = only_output(signature, "A text model", "[N, steps, classes]")
        if len(output.shape) != 3:
            raise ModelError(
                f"{output} is not [N, steps, classes] or [N, classes, steps]",
                field="family",
                remedy="Give another family, or export the model up to its classes.",
            )
        self._choose_axis(output.shape)

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        shape = outputs[0].shape
        self._choose_axis(shape)
        if shape[self._axis] != len(self._spec.alphabet) + 1:
            raise self._wrong_alphabet(shape)
        check_probabilities(outputs[0], self._spec.activation, sums_to_one=True, axis=self._axis)

    def read(self, outputs: Sequence[Array], views: Sequence[View]) -> Texts:
        """See ``FamilyAdapter.read``."""
        steps = outputs[0] if self._axis == TIME_FIRST else outputs[0].swapaxes(1, 2)
        probabilities = activate(steps, self._spec.activation)
        classes, sure = probabilities.argmax(axis=2), probabilities.max(axis=2)
        begins = classes != self._blank
        begins[:, 1:] &= classes[:, 1:] != classes[:, :-1]
        texts = tuple(
            "".join(self._spec.alphabet[number - self._first] for number in row[begin])
            for row, begin in zip(classes, begins, strict=True)
        )
        confidence = np.where(begins, sure, 1).min(axis=1)
        return Texts(texts, np.where(begins.any(axis=1), confidence, 0).astype(np.float32))

    def _choose_axis(self, shape: tuple[int | None, ...]) -> None:
        """Where the classes are; both axes fit only where there are as many steps as classes."""
        wanted = (len(self._spec.alphabet) + 1, None)
        if shape[TIME_FIRST] in wanted:
            self._axis = TIME_FIRST
        elif shape[CLASSES_FIRST] in wanted:
            self._axis = CLASSES_FIRST
        else:
            raise self._wrong_alphabet(shape)

    def _wrong_alphabet(self, shape: tuple[int | None, ...]) -> ModelError:
        given = len(self._spec.alphabet)
        _, first, second = shape
        counts = " or ".join(str(size - 1) for size in (second, first) if size is not None)
        return ModelError(
            f"{given} symbols and the blank make {given + 1} classes, the output is "
            f"[N, {first}, {second}]",
            field="alphabet",
            remedy=f"Give {counts} symbols, in class order, without the blank.",
        )
