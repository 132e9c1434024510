"""OnnxRuntimeEngine: detection models on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.detections import Detections
from engines.errors import EngineFailedError, ModelError
from engines.families import adapter_for
from engines.frames import Frame
from engines.onnxruntime.session import SESSION_ERRORS, open_session, signature_of
from engines.signature import Signature
from engines.spec import ModelSpec

Array = NDArray[np.float32]


class OnnxRuntimeEngine:
    """An ``Engine`` on ONNX Runtime's CPU provider; for one thread at a time.

    A CPU gains nothing from a batch, so every size up to the limit is offered and the caller need
    not wait to fill one. A model whose batch axis is fixed at 1 has ``batch_sizes`` (1,).

    Args:
        spec: The model.
        num_threads: Threads that compute; cores divided by the engines that share them.
        max_batch_size: Most frames of one ``infer``.
    """

    def __init__(self, spec: ModelSpec, *, num_threads: int = 1, max_batch_size: int = 4) -> None:
        self.spec = spec
        self.batch_sizes = tuple(range(1, max_batch_size + 1))
        self._num_threads = num_threads
        self._family = adapter_for(spec)
        self._session: Any = None
        self._input_name = ""
        self._input: Array = np.empty(0, np.float32)

    def load(self) -> None:
        """See ``Engine.load``; the model's file, tensors and values are compared with the spec."""
        session = open_session(self.spec.path, num_threads=self._num_threads)
        signature = signature_of(session)
        self._family.check_signature(signature)
        self.batch_sizes = _batch_sizes(signature, self.batch_sizes)
        self._input_name = signature.inputs[0].name
        image = self.spec.input
        self._input = np.empty((self.batch_sizes[-1], 3, image.height, image.width), np.float32)
        self._session = session
        self._warm_up()

    def infer(self, frames: Sequence[Frame]) -> list[Detections]:
        """See ``Engine.infer``."""
        if len(frames) > self.batch_sizes[-1]:
            raise ValueError(f"{len(frames)} frames in a batch, at most {self.batch_sizes[-1]}")
        if not frames:
            return []
        for frame, out in zip(frames, self._input, strict=False):
            self._family.prepare(frame, out)
        try:
            return self._family.read(self._run(len(frames)), frames)
        except SESSION_ERRORS as error:
            raise EngineFailedError(f"{self.spec.name} failed on the CPU: {error}") from error

    def close(self) -> None:
        """See ``Engine.close``."""
        self._session = None
        self._input = np.empty(0, np.float32)

    def _warm_up(self) -> None:
        """Run the smallest batch, which is looked at, and the largest, which reserves memory."""
        self._input.fill(self.spec.input.pad_value)
        largest = self.batch_sizes[-1]
        try:
            self._family.check_outputs(self._run(1))
            num_results = len(self._run(largest)[0])
        except SESSION_ERRORS as error:
            self.close()
            raise self._does_not_run(str(error)) from error
        except ModelError:
            self.close()
            raise
        # A Reshape that fixes the batch at 1 puts the other pictures into another axis.
        if num_results != largest:
            self.close()
            raise self._does_not_run(f"{largest} pictures give {num_results} results")

    def _does_not_run(self, reason: str) -> ModelError:
        image = self.spec.input
        return ModelError(
            f"{self.spec.path} does not run at {image.width}x{image.height}, batch 1 to "
            f"{self.batch_sizes[-1]} ({reason})",
            remedy="Export it with a free batch axis, or at the input size of the spec.",
        )

    def _run(self, num_frames: int) -> list[Array]:
        if self._session is None:
            raise EngineFailedError(f"{self.spec.name} is not loaded: call load() first")
        outputs: list[Array] = self._session.run(None, {self._input_name: self._input[:num_frames]})
        return outputs


def _batch_sizes(signature: Signature, wanted: tuple[int, ...]) -> tuple[int, ...]:
    fixed = signature.inputs[0].shape[0]
    if fixed is None:
        return wanted
    if fixed != 1:
        raise ModelError(
            f"the batch axis is fixed at {fixed}",
            remedy="Free it with engines.graph.free_batch_axis, or export with a dynamic batch.",
        )
    return (1,)
