"""Embeddings: vectors that are alike for what looks alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.errors import ModelError
from engines.families.reader import Reader, only_output
from engines.families.tensors import check_image, flat, is_per_picture
from engines.readings import Embeddings
from engines.signature import Signature

SMALLEST = np.float32(1e-12)
"""Vectors shorter than this stay as they are: they point nowhere."""

Array = NDArray[np.float32]


class Embedding(Reader):
    """Models whose output is a vector a picture, [N, d]; axes of 1 may follow."""

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "An embedding model")
        output = only_output(signature, "An embedding model", "[N, d]")
        if not is_per_picture(output):
            raise ModelError(
                f"{output} is not one vector a picture, [N, d]",
                field="family",
                remedy="Give another family, or export the model up to its pooled features.",
            )

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        vector = flat(outputs[0])[0]
        if len(vector) < 2 or not np.isfinite(vector).all() or not vector.any():
            raise ModelError(
                f"a grey picture gives no direction ({len(vector)} values)",
                field="input",
                remedy="Check mean and std, or export the model again.",
            )

    def read(self, outputs: Sequence[Array], views: Sequence[View]) -> Embeddings:
        """See ``FamilyAdapter.read``."""
        vectors = flat(outputs[0])
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embeddings(vectors / np.maximum(length, SMALLEST))
