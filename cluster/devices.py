"""What slots run on: what the configuration wants, and what there is."""

from __future__ import annotations

import importlib.util
import logging

from actors.inference.options import DeviceName
from cluster.config import SightlineConfig
from cluster.errors import UnavailableError

_PACKAGES = ("pycuda", "tensorrt")

log = logging.getLogger(__name__)


def choose_device(config: SightlineConfig, num_gpus: float) -> DeviceName:
    """The CPU or GPUs; ``auto`` takes GPUs where there are any that can be used.

    Args:
        config: What is wanted.
        num_gpus: How many Ray offers.

    Raises:
        UnavailableError: if GPUs are asked for and cannot be used; says what to do.
    """
    wanted = config.slots.device
    pipelines = config.pipelines.values()
    if wanted == "cpu" or (wanted == "auto" and any(p.device == "cpu" for p in pipelines)):
        return "cpu"
    fault = gpu_fault(num_gpus)
    if not fault:
        return "cuda"
    if wanted == "cuda":
        raise UnavailableError(f"slots.device: cuda cannot be used: {fault}")
    if num_gpus:
        log.warning("models run on the CPU: %s", fault)
    return "cpu"


def gpu_fault(num_gpus: float) -> str:
    """Why slots cannot run on GPUs, with the remedy; empty where they can."""
    if num_gpus < 1:
        return "Ray offers no GPU: look at nvidia-smi, and at CUDA_VISIBLE_DEVICES"
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} cannot be imported: pip install 'sightline[gpu]'"
    return ""


def with_device(config: SightlineConfig, num_gpus: float) -> SightlineConfig:
    """The configuration with ``slots.device`` decided.

    Raises:
        UnavailableError: as ``choose_device`` does.
    """
    slots = config.slots.model_copy(update={"device": choose_device(config, num_gpus)})
    return config.model_copy(update={"slots": slots})


def with_device_of_cluster(config: SightlineConfig) -> SightlineConfig:
    """The same for nodes that come and go.

    ``cuda`` is taken at its word: the first GPU may still be on its way, and the node that asks
    needs none of the packages.

    Raises:
        UnavailableError: as ``choose_device`` does.
    """
    return config if is_on_gpu(config) else with_device(config, num_gpus_of_ray())


def is_on_gpu(config: SightlineConfig) -> bool:
    """Whether slots run on GPUs, once ``slots.device`` has been decided."""
    return config.slots.device == "cuda"


def reserves_gpu(config: SightlineConfig) -> bool:
    """Whether a slot has a GPU of its own in Ray's books, once ``slots.device`` is decided."""
    return is_on_gpu(config) or config.slots.reserve_gpu


def num_gpus_of_ray() -> float:
    """GPUs of the Ray cluster that this process belongs to; 0 where it belongs to none."""
    import ray

    if not ray.is_initialized():
        return 0.0
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return float(resources.get("GPU", 0))
