"""What is made of crops: attributes, texts, embeddings and pictures, as structs of arrays.

Each holds what was read of n views, in the order in which they were given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Attributes:
    """How likely each label is; a classifier has one head.

    Attributes:
        probabilities: For each head, in the order of the spec, float32 [n, labels of the head].
            Those of a row sum to 1 where exactly one label is true.
    """

    probabilities: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        return len(self.probabilities[0])

    def best(self, head: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The likeliest label of a head: indices int32 [n] and probabilities float32 [n]."""
        rows = self.probabilities[head]
        return rows.argmax(axis=1).astype(np.int32), rows.max(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Lines of symbols.

    Attributes:
        text: n texts; empty where nothing was read.
        confidence: float32 [n], 0 to 1, that of the least certain symbol; 0 for an empty text.
    """

    text: tuple[str, ...]
    confidence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """What things look like.

    Attributes:
        vectors: float32 [n, d] of length 1, so that a dot product is the cosine similarity.
    """

    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What things look like to people.

    Attributes:
        jpegs: n files; empty where there is none.
    """

    jpegs: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.jpegs)


Readings = Attributes | Texts | Embeddings | Pictures
