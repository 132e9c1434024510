"""Detections: what a model found in one picture, as a struct of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_TRACK = -1
_BYTES_EACH = 4 * 4 + 4 + 4 + 8


@dataclass(slots=True, eq=False)
class Detections:
    """Objects found in one picture; all arrays have the same length n.

    Not frozen, though nobody changes them: several are made for a frame, at half of the cost.

    Attributes:
        xyxy: float32 [n, 4], left, top, right, bottom in pixels of the source picture.
        confidence: float32 [n], 0 to 1.
        class_id: int32 [n], index into the model's labels.
        track_id: int64 [n], identity within the stream, ``NO_TRACK`` where there is none.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]
    track_id: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Detections:
        """No objects."""
        return cls.of(np.empty((0, 4)), np.empty(0), np.empty(0))

    @classmethod
    def of(
        cls,
        xyxy: NDArray[np.floating],
        confidence: NDArray[np.floating],
        class_id: NDArray[np.integer] | NDArray[np.floating],
        track_id: NDArray[np.integer] | None = None,
    ) -> Detections:
        """Build from arrays of any numeric type; without ``track_id`` nothing is tracked.

        Raises:
            ValueError: if the lengths differ or ``xyxy`` is not [n, 4].
        """
        num = len(confidence)
        tracks = track_id
        if tracks is None:
            tracks = np.empty(num, dtype=np.int64)
            tracks.fill(NO_TRACK)  # np.full takes twice as long
        if xyxy.shape != (num, 4) or len(class_id) != num or len(tracks) != num:
            raise ValueError(
                f"lengths differ: xyxy {xyxy.shape}, confidence {num}, "
                f"class_id {len(class_id)}, track_id {len(tracks)}"
            )
        return cls(
            np.ascontiguousarray(xyxy, dtype=np.float32),
            np.ascontiguousarray(confidence, dtype=np.float32),
            np.ascontiguousarray(class_id, dtype=np.int32),
            np.ascontiguousarray(tracks, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.confidence)

    def __reduce__(self) -> tuple[object, ...]:
        """Cross a process as one string of bytes: four small arrays cost ten times as much."""
        parts = (self.xyxy, self.confidence, self.class_id, self.track_id)
        return _unpacked, (b"".join(part.tobytes() for part in parts),)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Detections:
        """The detections that a mask, an index array or a slice selects."""
        return Detections(
            self.xyxy[index], self.confidence[index], self.class_id[index], self.track_id[index]
        )


def _unpacked(packed: bytes) -> Detections:
    num = len(packed) // _BYTES_EACH
    xyxy = np.frombuffer(packed, np.float32, 4 * num).reshape(num, 4)
    confidence = np.frombuffer(packed, np.float32, num, 16 * num)
    class_id = np.frombuffer(packed, np.int32, num, 20 * num)
    return Detections(xyxy, confidence, class_id, np.frombuffer(packed, np.int64, num, 24 * num))
