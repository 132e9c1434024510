"""A model on TensorRT: its plan built or found, loaded in lanes for two batches in flight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import LifoQueue
from typing import Generic, TypeVar

from engines.crops import View
from engines.errors import DeviceError, EngineFailedError, ModelError
from engines.signature import Signature
from engines.spec import ModelSpec, Precision
from engines.tensorrt.builder import DEFAULT_BATCH_SIZES, build_plan, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.lane import Lane, Runtime, padded_size
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.reading import OutputReader
from engines.tensorrt.versions import Report

MAX_IN_FLIGHT = 2

OpenRuntime = Callable[[ModelSpec, tuple[int, ...]], Runtime]
"""A model and its batch sizes, ascending; a runtime with a lane a batch in flight."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Lane(Generic[Result]):
    """What one ``infer`` needs to itself."""

    lane: Lane
    reader: OutputReader[Result]


class TensorRtModel(ABC, Generic[Result]):
    """What engines on a GPU have in common, whatever their models are for.

    Pictures lie in a ``DevicePool``, or on the host, from where they are uploaded. Two batches are
    in flight, each on a lane of its own. A batch is padded to the next size that the plan was built
    for.

    Args:
        spec: The model.
        batch_sizes: A profile and a CUDA graph for each.
        precision: Of the plan; that of the spec if None.
        options: How to build a plan that is not there yet; as the environment says if None.
        cache: Where plans are kept; the user's if None.
        device: Index of the GPU.
        report: Told how far a build is.
        open_runtime: What computes; TensorRT if None.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        batch_sizes: Sequence[int] = DEFAULT_BATCH_SIZES,
        precision: Precision | None = None,
        options: BuildOptions | None = None,
        cache: PlanCache | None = None,
        device: int = 0,
        report: Report | None = None,
        open_runtime: OpenRuntime | None = None,
    ) -> None:
        self.spec = spec
        self.batch_sizes = tuple(sorted(set(batch_sizes)))
        self.max_in_flight = MAX_IN_FLIGHT
        self._open = open_runtime or partial(
            _open_tensorrt,
            precision=precision,
            options=options or BuildOptions().overridden(),
            cache=cache or PlanCache(),
            device=device,
            report=report,
        )
        self._runtime: Runtime | None = None
        self._lanes: LifoQueue[_Lane[Result]] = LifoQueue()

    @abstractmethod
    def _reader(self, lane: Lane, signature: Signature) -> OutputReader[Result]:
        """What reads the outputs of a lane; raises ModelError where they do not fit the spec."""

    def load(self) -> None:
        """See ``Engine.load``; builds the plan if the cache has none, which takes minutes.

        Raises:
            ModelError: also if the plan cannot be built or kept, or the GPU is full.
        """
        try:
            self._runtime = self._open(self.spec, self.batch_sizes)
            signature = self._runtime.signature
            lanes = [_Lane(one, self._reader(one, signature)) for one in self._runtime.lanes]
        except DeviceError as error:
            self.close()
            raise ModelError(
                str(error), field="device", remedy="See `sightline doctor`."
            ) from error
        except ModelError:
            self.close()
            raise
        self._lanes = LifoQueue()
        for lane in lanes:
            self._lanes.put(lane)

    def _infer(self, views: Sequence[View]) -> Result:
        """One batch; waits for a lane while all are busy."""
        batch_size = padded_size(len(views), self.batch_sizes)
        if self._runtime is None:
            raise EngineFailedError(f"{self.spec.name} is not loaded: call load() first")
        lanes = self._lanes
        lane = lanes.get()
        try:
            return lane.reader.read(lane.lane.run(views, batch_size), views)
        except DeviceError as error:
            raise EngineFailedError(f"{self.spec.name} failed: {error}") from error
        finally:
            lanes.put(lane)

    def close(self) -> None:
        """See ``Engine.close``."""
        runtime, self._runtime = self._runtime, None
        self._lanes = LifoQueue()
        if runtime is not None:
            runtime.close()


def _open_tensorrt(
    spec: ModelSpec,
    batch_sizes: tuple[int, ...],
    *,
    precision: Precision | None,
    options: BuildOptions,
    cache: PlanCache,
    device: int,
    report: Report | None,
) -> Runtime:
    from engines.cuda.context import open_device
    from engines.tensorrt.runtime import TensorRtRuntime, platform_of

    request = request_for(
        spec, platform_of(device), precision=precision, batch_sizes=batch_sizes, options=options
    )
    # TensorRT times its kernels in the context that is current.
    with open_device(device):
        build_plan(spec, request, cache, report=report)
    plan = cache.read(request)
    if plan is None:
        raise ModelError(f"{cache.path_of(request)} is gone again", field="plan", remedy="Retry.")
    return TensorRtRuntime(plan, spec, request, device=device)
