"""Where TensorRT 8.6, 10 and 11 differ; the rest of this package knows one TensorRT.

- 8.6: networks are weakly typed. Flags allow FP16 and INT8, layers can be held to FP32. Two
  execution contexts may share a profile only with a preview feature. No progress is told.
- 10: networks can be strongly typed, and are here: the graph alone says what is FP16 or INT8.
- 11: all networks are strongly typed, without a flag; precision flags, cuBLAS and cuDNN are gone.

All functions take the module ``tensorrt`` as ``trt`` and ask for names, not for version numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from engines.errors import ModelError
from engines.spec import Precision

TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build is.

    Attributes:
        elapsed_s: Since it began.
        phase: What TensorRT does; empty where it does not say (8.6).
        num_done: Steps of the phase that are done.
        num_steps: Steps of the phase; 0 where it does not say.
        waits_for: Who builds it, while that is another process; else empty.
    """

    elapsed_s: float
    phase: str = ""
    num_done: int = 0
    num_steps: int = 0
    waits_for: str = ""

    def sentence(self, model: str) -> str:
        """What is going on, in a few words.

        Args:
            model: Name of the model.
        """
        seconds = f"({self.elapsed_s:.0f} s)"
        if self.waits_for:
            return f"waiting for {self.waits_for}, which builds the plan of {model} {seconds}"
        return f"building the plan of {model} {seconds}"


Report = Callable[[BuildProgress], None]


def is_strongly_typed(trt: Any) -> bool:
    """Whether the types in the graph decide the precision, rather than flags."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def network_flags(trt: Any) -> int:
    """Flags of a network with explicit batch, strongly typed where that exists."""
    flag = trt.NetworkDefinitionCreationFlag
    if not hasattr(flag, "EXPLICIT_BATCH"):
        return 0
    return 1 << int(flag.STRONGLY_TYPED if is_strongly_typed(trt) else flag.EXPLICIT_BATCH)


def combined_timings(config: Any, cache: Any, others: bytes) -> bytes:
    """A timing cache with what other builds have measured, to be kept.

    Args:
        config: The builder's.
        cache: What this build had and measured; it is added to.
        others: A serialized cache; what another TensorRT or GPU measured is left out.
    """
    known = config.create_timing_cache(others) if others else None
    if known is not None:
        cache.combine(known, False)
    return bytes(cache.serialize())


def allow_precision(trt: Any, config: Any, network: Any, precision: Precision, fp32: str) -> None:
    """Let a weakly typed network compute in what its graph says; nothing to do for a typed one.

    Args:
        trt: The module.
        config: The builder's.
        network: Parsed.
        precision: Of the graph.
        fp32: Layers whose name begins so are held to FP32: a flag lets TensorRT lower any other.
    """
    if is_strongly_typed(trt) or precision is Precision.FP32:
        return
    flags = trt.BuilderFlag
    config.set_flag(flags.FP16 if precision is Precision.FP16 else flags.INT8)
    config.set_flag(flags.PREFER_PRECISION_CONSTRAINTS)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.name.startswith(fp32) and layer.type != trt.LayerType.CONSTANT:
            _hold_to_fp32(layer, trt.DataType.FLOAT)


def share_profiles(trt: Any, config: Any) -> None:
    """Let several execution contexts use one profile at a time, as 10 and 11 do anyway."""
    if not is_strongly_typed(trt):
        config.set_preview_feature(trt.PreviewFeature.PROFILE_SHARING_0806, True)


def tactic_mask(trt: Any, names: tuple[str, ...]) -> int:
    """Bits of the tactic sources of these names.

    Raises:
        ModelError: if this TensorRT has no such source.
    """
    known = sorted(name for name in dir(trt.TacticSource) if name.isupper())
    mask = 0
    for name in names:
        if name not in known:
            raise ModelError(
                f"TensorRT {trt.__version__} has no tactic source {name}",
                field="tactic_sources",
                remedy=f"Use some of {', '.join(known)}.",
            )
        mask |= 1 << int(getattr(trt.TacticSource, name))
    return mask


def node_of(error: Any, nodes: list[tuple[str, str]]) -> tuple[str, str]:
    """(name, operator) of the node that a parser error is about.

    Args:
        error: Of ``OnnxParser.get_error``.
        nodes: (name, operator) of all nodes, in the order of the graph: 8.6 gives an index only.
    """
    if hasattr(error, "node_operator"):
        return error.node_name(), error.node_operator()
    index = error.node()
    return nodes[index] if 0 <= index < len(nodes) else ("?", "?")


def activation_bytes(engine: Any) -> int:
    """Device memory that one execution context of the engine needs, whatever its profile."""
    if hasattr(engine, "device_memory_size_v2"):
        return int(engine.device_memory_size_v2)
    return int(engine.device_memory_size)


def create_context(trt: Any, engine: Any, address: int, num_bytes: int) -> Any:
    """An execution context on device memory that is given; None where TensorRT cannot make one."""
    if not hasattr(trt, "ExecutionContextAllocationStrategy"):
        context = engine.create_execution_context_without_device_memory()
        if context is not None:
            context.device_memory = address
        return context
    strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    context = engine.create_execution_context(strategy)
    if context is not None:
        context.set_device_memory(address, num_bytes)
    return context


@contextmanager
def progress(trt: Any, config: Any, report: Report) -> Iterator[None]:
    """Report while the body builds: TensorRT's own phases, or the time that has passed."""
    start = time.monotonic()
    if hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = _monitor(trt, report, start)
        yield
        return
    done = Event()
    ticker = Thread(target=_tick, args=(report, start, done), name="build-progress", daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _hold_to_fp32(layer: Any, fp32: Any) -> None:
    outputs = [index for index in range(layer.num_outputs) if layer.get_output(index).dtype == fp32]
    if outputs:
        layer.precision = fp32
    for index in outputs:
        layer.set_output_type(index, fp32)


def _tick(report: Report, start: float, done: Event) -> None:
    while not done.wait(TICK_S):
        report(BuildProgress(time.monotonic() - start))


def _monitor(trt: Any, report: Report, start: float) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Hands TensorRT's phases on; never cancels."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._num_steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            self._num_steps[phase_name] = num_steps
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step + 1)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._tell(phase_name, self._num_steps.pop(phase_name, 0))

        def _tell(self, phase: str, num_done: int) -> None:
            num_steps = self._num_steps.get(phase, 0)
            report(BuildProgress(time.monotonic() - start, phase, num_done, num_steps))

    return Monitor()
