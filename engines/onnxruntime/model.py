"""A model on ONNX Runtime's CPU provider: checked against its spec, in lanes for two threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.crops import View
from engines.errors import EngineFailedError, ModelError
from engines.families.adapter import FamilyAdapter
from engines.families.letterbox import grey_input
from engines.onnxruntime.session import SESSION_ERRORS, open_session, signature_of
from engines.signature import Signature
from engines.spec import ModelSpec

Array = NDArray[np.float32]
Result = TypeVar("Result")

MAX_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class _Lane(Generic[Result]):
    """What one ``infer`` needs to itself."""

    family: FamilyAdapter[Result]
    input: Array


class OnnxRuntimeModel(ABC, Generic[Result]):
    """What engines on the CPU have in common, whatever their models are for.

    Two batches of one thread each do more than one batch of two threads: preparing the input and
    reading the output are as long as a small model, and a network this small divides badly.

    A CPU gains nothing from a batch, so every size up to the limit is offered and the caller need
    not wait to fill one. A model whose batch axis is fixed at 1 has ``batch_sizes`` (1,).

    Args:
        spec: The model.
        num_threads: Threads that compute a batch; cores divided by the batches in flight.
        max_batch_size: Most views of one ``infer``.
    """

    def __init__(self, spec: ModelSpec, *, num_threads: int = 1, max_batch_size: int = 4) -> None:
        self.spec = spec
        self.batch_sizes = tuple(range(1, max_batch_size + 1))
        self.max_in_flight = MAX_IN_FLIGHT
        self._num_threads = num_threads
        self._session: Any = None
        self._input_name, self._input_dtype = "", "float32"
        self._lanes: LifoQueue[_Lane[Result]] = LifoQueue()

    @abstractmethod
    def _adapter(self) -> FamilyAdapter[Result]:
        """A new adapter of the model's family."""

    def load(self) -> None:
        """See ``Engine.load``; the model's file, tensors and values are compared with the spec."""
        session = open_session(self.spec.path, num_threads=self._num_threads)
        signature = signature_of(session)
        families = [self._adapter() for _ in range(self.max_in_flight)]
        for family in families:
            family.check_signature(signature)
        self.batch_sizes = _batch_sizes(signature, self.batch_sizes)
        self._input_name = signature.inputs[0].name
        self._input_dtype = signature.inputs[0].dtype
        self._session = session
        grey = grey_input(self.spec.input, self.batch_sizes[-1])
        lanes = [_Lane(family, grey.copy()) for family in families]
        self._warm_up(lanes[0])
        self._lanes = LifoQueue()
        for lane in lanes:
            self._lanes.put(lane)

    def _infer(self, views: Sequence[View]) -> Result:
        """One batch; waits for a lane while all are busy."""
        if len(views) > self.batch_sizes[-1]:
            raise ValueError(f"{len(views)} frames in a batch, at most {self.batch_sizes[-1]}")
        if self._session is None:
            raise EngineFailedError(f"{self.spec.name} is not loaded: call load() first")
        lanes = self._lanes
        lane = lanes.get()
        try:
            for view, out in zip(views, lane.input, strict=False):
                lane.family.prepare(view, out)
            return lane.family.read(self._run(lane.input[: len(views)]), views)
        except SESSION_ERRORS as error:
            raise EngineFailedError(f"{self.spec.name} failed on the CPU: {error}") from error
        finally:
            lanes.put(lane)

    def close(self) -> None:
        """See ``Engine.close``."""
        self._session = None
        self._lanes = LifoQueue()

    def _warm_up(self, lane: _Lane[Result]) -> None:
        """Run the smallest batch, which is looked at, and the largest, which reserves memory."""
        largest = self.batch_sizes[-1]
        try:
            lane.family.check_outputs(self._run(lane.input[:1]))
            num_results = len(self._run(lane.input)[0])
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

    def _run(self, batch: Array) -> list[Array]:
        given = batch.astype(self._input_dtype, copy=False)
        outputs = self._session.run(None, {self._input_name: given})
        return [output.astype(np.float32, copy=False) for output in outputs]


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
