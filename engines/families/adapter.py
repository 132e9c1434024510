"""What the backends ask of a model family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.signature import Signature

Result_co = TypeVar("Result_co", covariant=True)


class FamilyAdapter(Protocol[Result_co]):
    """Knows how a family's input is prepared and its output read; for one thread.

    ``check_signature`` comes first: where outputs are told apart by name or shape, that is when.
    """

    def check_signature(self, signature: Signature) -> None:
        """Compare the tensors of the model file with the spec.

        Raises:
            ModelError: if they do not fit, naming the field of the spec.
        """

    def check_outputs(self, outputs: Sequence[NDArray[np.float32]]) -> None:
        """Look at what the model made of a grey picture, a batch of one.

        Raises:
            ModelError: if the values cannot be those of the family.
        """

    def prepare(self, view: View, out: NDArray[np.float32]) -> None:
        """Fill one picture of the input, float32 [3, height, width]."""

    def read(self, outputs: Sequence[NDArray[np.float32]], views: Sequence[View]) -> Result_co:
        """Turn the outputs of a batch into what was found or read, in the order of the views."""
